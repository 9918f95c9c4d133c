"""The gateway's end of the tape: listens from now on, hears who is alive, puts commands on it. Reconnects for ever."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from common import messages as m
from common.contracts import DOMAINS, INPUTS, pattern
from common.errors import DecodeError, TapeError
from common.messages.base import Envelope, Message
from common.runtime import metrics
from common.runtime.codec import decode, decode_envelope
from common.runtime.heartbeat import SILENT_AFTER_S, Heartbeat, keep_beating
from common.runtime.login import Login
from common.runtime.nats_tape import NatsTape
from common.runtime.service import Process, end
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.runtime.tape import Record, Tape
from gateway.problems import UnavailableError

CONNECT_WITHIN_S: Final = 2.0
ACK_WITHIN_S: Final = 5.0
RETRY_AFTER_S: Final = 0.25
EVERYTHING: Final = tuple(f"{domain}.>" for domain in DOMAINS)
SERVICES: Final = tuple(name for name in INPUTS if name != "operator")

Heard = Callable[[int, Envelope, Message], None]


class Link:
    """`heard` gets every message that is new on the tape since the link was up first, also what came while it was not."""

    def __init__(self, process: Process, heard: Heard) -> None:
        environment = process.environment
        self._process = process
        self._login = Login.of(environment)
        self._heard = heard
        self._tape: NatsTape | None = None
        self._book = ""
        self._seq = 0
        self._ts_event = 0
        self._beats: dict[str, tuple[float, Heartbeat]] = {}

    @property
    def up(self) -> bool:
        return self._tape is not None and not self._tape.broken.done()

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self._one_life()
            except TapeError as error:
                if self._process.health.waits_for.get("nats") != str(error):
                    self._process.log.warning("tape out of reach", error=str(error))
                self._process.waits_for("nats", str(error))
            await asyncio.sleep(RETRY_AFTER_S)

    async def command(self, make: Callable[[str, int], Message]) -> int:
        """Puts a command, made from the book's name and the data time, on the tape; returns its sequence once stored.

        Needs nothing but NATS. Raises TapeError when it cannot be known to be stored, UnavailableError before the first run.
        """
        tape = self._tape
        if tape is None:
            raise TapeError(f"{self._login.url}: out of reach, so nothing was commanded; try `ballast halt`, or again")
        if not self._book:
            raise UnavailableError("there is no run on the tape yet, so there is nothing to command")
        message = make(self._book, self._ts_event)
        sealed = envelope("gateway", message, f"{message.TYPE}:gateway:{secrets.token_hex(8)}", cause=None)
        try:
            seq = await asyncio.wait_for(await tape.append(subject(message), sealed), ACK_WITHIN_S)
        except (TimeoutError, asyncio.CancelledError):
            raise TapeError("NATS did not acknowledge the command: it may or may not be on the tape") from None
        metrics.MESSAGES_OUT.labels(message.TYPE).inc()
        return seq

    def unique(self) -> str:
        """For the name of something that people order: no two are the same."""
        return f"{self._ts_event // 10**9}-{secrets.token_hex(4)}"

    def services(self) -> list[dict[str, Any]]:
        """Every service and how it is: ready, waiting (with what for), or silent."""
        now = time.monotonic()
        return [self._vitals(name, now) for name in SERVICES]

    def _vitals(self, name: str, now: float) -> dict[str, Any]:
        at, beat = self._beats.get(name, (0.0, None))
        if beat is None or now - at > SILENT_AFTER_S:
            silent_s = round(now - at, 1) if beat else None
            return {"service": name, "state": "silent", "seq": beat.seq if beat else None, "silent_s": silent_s}
        state = "ready" if beat.ready else "waiting"
        return {"service": name, "state": state, "seq": beat.seq, "waits_for": beat.waits_for}

    async def _one_life(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                tape = await NatsTape.connect(self._login)
        except TimeoutError:
            raise TapeError(f"{self._login.url}: no answer within {CONNECT_WITHIN_S:g} s") from None
        beating = asyncio.create_task(keep_beating(tape, self._process.health, lambda: self._seq))
        try:
            await tape.listen("*", self._on_beat)
            await self._begin(tape)
            self._tape = tape
            self._process.waits_for("", "")
            ends: set[asyncio.Future[Any]] = {tape.broken, beating}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            raise tape.broken.result() if tape.broken.done() else TapeError("the heartbeat cannot be sent")
        finally:
            self._tape = None
            await end(beating)
            await tape.close()

    async def _begin(self, tape: Tape) -> None:
        before = self._seq
        for kind in (m.RunStarted, m.MarketSlice):  # the book's name, and what time it is in its market
            if last := await tape.last([pattern(kind)]):
                self._note(last.seq, decode(decode_envelope(last.payload)))
        newest = await tape.last(EVERYTHING)
        end = newest.seq if newest else 0
        self._seq = before if 0 < before <= end else end  # what was said since the link broke is heard, too
        await tape.read(EVERYTHING, self._seq + 1, self._on_record)

    async def _on_record(self, record: Record) -> None:
        try:
            sealed = decode_envelope(record.payload)
            message = decode(sealed)
        except DecodeError:
            self._seq = record.seq  # the recorder keeps it as a dead letter
            return
        self._note(record.seq, message)
        metrics.MESSAGES_IN.labels(sealed.type).inc()
        metrics.LAST_SEQ.set(record.seq)
        metrics.LAG.set(record.pending)
        self._heard(record.seq, sealed, message)

    def _note(self, seq: int, message: Message) -> None:
        self._seq = seq
        match message:
            case m.RunStarted():
                self._book = message.book
            case m.MarketSlice():
                self._ts_event = message.ts_event

    def _on_beat(self, payload: bytes) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            beat = msgspec.json.decode(payload, type=Heartbeat)
            self._beats[beat.service] = (time.monotonic(), beat)
