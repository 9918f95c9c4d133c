"""Live prices as a run reads them: connections, a clock, and the core that makes messages of both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import msgspec
import structlog

from common.messages.base import Envelope, Message
from common.messages.control import InstrumentsDefined
from common.messages.market_data import MarketSlice
from common.model.account import Account
from common.model.run import Run
from common.model.time import NS_PER_SECOND, iso
from common.runtime import metrics
from common.runtime.clock import fast, wall_ns
from common.runtime.codec import decode, encode
from market_data.events import schedule_of
from market_data.feeds import LIVE
from market_data.live.connection import Clock, Connected, Connection, Disconnected, FeedEvent
from market_data.live.core import LiveMarketData
from market_data.live.registry import connect
from market_data.live.state import State, Unsaid
from market_data.redundancy.core import SET_BACK_NS
from market_data.settings import Settings

POLL_S: Final = 0.05
WAITING: Final = 20_000  # events; a feed that brings more than are taken waits
AT_ONCE: Final = 256
Heard = tuple[str, FeedEvent]


class LiveSource:
    """A `common.runtime.source.LiveSource`. Raises ConfigError for feeds that make no sense."""

    def __init__(self, settings: Settings, run: Run, account: Account, config: str = "") -> None:
        self.patience_s = settings.live.patience_s
        self._settings = settings
        self._status: dict[str, str] = {}  # by feed: why it is away, empty while it is connected
        self._now = 0
        self._core = LiveMarketData(settings, run, account, config, schedule_of(settings))

    @property
    def state(self) -> State:
        return self._core.state

    @state.setter
    def state(self, value: State) -> None:
        self._core.state = value

    def resume(self, number: int, defined: InstrumentsDefined | None, last: MarketSlice | None) -> None:
        """As `LiveMarketData.resume`."""
        self._core.resume(number, defined, last)

    async def listen(self) -> AsyncGenerator[tuple[int, Sequence[Message]], None]:
        """For ever, or to the end of recorded feeds: what is said together, by number. Before anything is handed over it is
        in `state`. First what a former life may not have got out.
        """
        core, queue = self._core, asyncio.Queue[Heard](WAITING)
        if core.state.unsaid:
            yield core.state.number, [_told(one) for one in core.state.unsaid]
        clock = fast(core.state.origin_ns or wall_ns(), self._settings.live.clock_speed)
        core.begin(clock())
        connections = self._connections(clock)
        tasks = [asyncio.create_task(_pump(connection, queue)) for connection in connections]
        try:
            while not core.over:
                await asyncio.sleep(POLL_S)
                self._drain(queue)
                if all(_ended(task) for task in tasks) and queue.empty():
                    core.end()
                if messages := core.on_time(self._at(clock())):
                    yield self._number(messages)
        finally:
            await _close(tasks, connections)

    def _connections(self, clock: Clock) -> list[Connection]:
        fast_clock = self._settings.live.clock_speed != 1.0
        return [connect(feed, clock, self._settings.seed, fast=fast_clock) for feed in self._settings.feeds]

    def _drain(self, queue: asyncio.Queue[Heard]) -> None:
        for _ in range(queue.qsize()):
            name, event = queue.get_nowait()
            self._log(name, event)
            self._core.handle(name, event)
        for feed in self._settings.feeds:
            metrics.FEED_HEALTHY.labels(feed.name).set(self._core.usable(feed.name))
        metrics.FEED_HEALTHY.labels(LIVE).set(self._core.supplied())

    def _log(self, feed: str, event: FeedEvent) -> None:
        """A line for every change: a venue that stays away for days says so once for each reason."""
        if not isinstance(event, Connected | Disconnected):
            return
        status = event.reason if isinstance(event, Disconnected) else ""
        if status == self._status.get(feed):
            return
        self._status[feed] = status
        if isinstance(event, Disconnected):
            structlog.get_logger().warning("feed disconnected", feed=feed, reason=event.reason)
        else:
            structlog.get_logger().info("feed connected", feed=feed)

    def _at(self, now: int) -> int:
        """The same; a clock that was set back costs every bar until it is where it was."""
        if (back := self._now - now) > SET_BACK_NS:
            log = structlog.get_logger()
            log.warning("this machine's clock was set back", seconds=back / NS_PER_SECOND, silent_until=iso(self._now))
        self._now = now
        return now

    def _number(self, messages: Sequence[Message]) -> tuple[int, Sequence[Message]]:
        state = self._core.state
        state.number += 1
        state.unsaid = [Unsaid(message.TYPE, encode(message)) for message in messages]
        return state.number, messages


async def _pump(connection: Connection, queue: asyncio.Queue[Heard]) -> None:
    count = 0
    async for event in connection.events():
        await queue.put((connection.name, event))
        count += 1
        if count % AT_ONCE == 0:
            await asyncio.sleep(0)  # a burst that is already here must not keep the others waiting


def _ended(task: asyncio.Task[None]) -> bool:
    """Raises what ended it, if that was an error."""
    if task.done():
        task.result()
    return task.done()


async def _close(tasks: Sequence[asyncio.Task[None]], connections: Sequence[Connection]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for connection in connections:
        with contextlib.suppress(OSError):
            await connection.close()


def _told(one: Unsaid) -> Message:
    sealed = Envelope(
        id="",
        type=one.type,
        source="",
        ts_event=0,
        ts_init=0,
        correlation_id="",
        causation_id="",
        data=msgspec.Raw(one.data),
    )
    return decode(sealed)
