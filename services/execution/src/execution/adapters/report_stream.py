"""The venue's report stream over a WebSocket: opened again whenever it ends, holes in its numbers noticed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from execution.adapters.wire import WireHello, WireReport
from execution.venue_settings import VenueSettings

_TROUBLE: Final = (OSError, TimeoutError, WebSocketException, msgspec.MsgspecError)
_hello = msgspec.json.Decoder(WireHello)
_line = msgspec.json.Decoder(WireHello | WireReport)


class MissedReportsError(Exception):
    """Reports were lost and what they said could not be asked for."""


class ReportStream:
    """`heard` gets every report once, in the order of the numbers. `resync` is called when some may have been missed: it asks
    the venue how everything stands and says whether that worked. `changed` is called with the reason when the stream goes
    up (empty) or down.
    """

    def __init__(
        self,
        settings: VenueSettings,
        *,
        heard: Callable[[WireReport], Awaitable[None]],
        resync: Callable[[], Awaitable[bool]],
        changed: Callable[[str], Awaitable[None]],
    ) -> None:
        self.connected = False
        self.reason = "not connected yet"
        self._settings = settings
        self._url = settings.url.replace("http", "ws", 1) + "/reports"
        self._heard = heard
        self._resync = resync
        self._changed = changed
        self._seq = -1

    async def run(self) -> None:
        """For ever."""
        pause_s = self._settings.reconnect_s
        while True:
            try:
                async with self._open() as socket:
                    await self._greet(socket)
                    pause_s = self._settings.reconnect_s
                    await self._listen(socket)
            except MissedReportsError as error:
                reason = str(error)
            except _TROUBLE as error:
                reason = str(error) or type(error).__name__
            else:
                reason = "the venue ended the stream"
            await self._set(connected=False, reason=reason)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, self._settings.max_reconnect_s)

    def _open(self) -> contextlib.AbstractAsyncContextManager[ClientConnection]:
        settings = self._settings
        return connect(
            self._url,
            proxy=None,
            compression=None,
            open_timeout=settings.connect_timeout_s,
            ping_interval=settings.ping_s,
            ping_timeout=settings.ping_s,
            close_timeout=settings.ping_s,
        )

    async def _greet(self, socket: ClientConnection) -> None:
        hello = _hello.decode(await socket.recv())
        if hello.seq != self._seq:  # the first time, too: what a former life of ours missed is not known
            self._seq = hello.seq
            await self._catch_up("reports before the stream was open")
        await self._set(connected=True, reason="")

    async def _listen(self, socket: ClientConnection) -> None:
        async for line in socket:
            said = _line.decode(line)
            if said.seq <= self._seq:
                continue
            missed = said.seq - self._seq - isinstance(said, WireReport)
            self._seq = said.seq
            if isinstance(said, WireReport):
                await self._heard(said)
            if missed:
                await self._catch_up(f"{missed} reports up to number {said.seq}")

    async def _catch_up(self, what: str) -> None:
        if not await self._resync():
            self._seq = -1  # so that the next connection asks again
            raise MissedReportsError(f"lost: {what}")

    async def _set(self, *, connected: bool, reason: str) -> None:
        changed = connected is not self.connected or reason != self.reason
        self.connected, self.reason = connected, reason
        if changed:
            await self._changed(reason)
