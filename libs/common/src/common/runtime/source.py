"""One life of the service that begins every step: it reads a feed instead of the tape, and waits for the others.

In lockstep a slice follows when the guardian has closed the step before it (DESIGN §5): that one rule makes a run of many
processes equal to a run in one. Exactly once works as everywhere, with the number of the feed's step as the cause.

What is live cannot be read again. There every step is in the snapshot before it is said, so that who comes back says the rest
of it, and goes on from now.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

import msgspec

from common.contracts import INPUTS, pattern
from common.messages.base import Envelope, Message
from common.messages.control import InstrumentsDefined
from common.messages.market_data import MarketSlice
from common.messages.risk import RiskStep
from common.model.run import Run, pace
from common.runtime import metrics, snapshots
from common.runtime.codec import decode, decode_envelope
from common.runtime.introduction import THIS_PROCESS, Speaker
from common.runtime.session import SNAPSHOT_EVERY_S, envelope, introduce, own_progress
from common.runtime.subjects import subject
from common.runtime.tape import Record, Tape
from common.runtime.trading_metrics import TradingMetrics

SERVICE: Final = "market_data"
M = TypeVar("M", bound=Message)


class Source(Protocol):
    """`state` as in a core. `opening` is said once, before the first step; every item of `steps` is what one step of the
    feed makes it say, the end of the data included.
    """

    state: Any

    def opening(self) -> Sequence[Message]: ...

    def steps(self, skip: int) -> Iterator[Sequence[Message]]:
        """All steps but the first `skip`, whose traces are in `state` already."""
        ...


@runtime_checkable
class LiveSource(Protocol):
    """A source that no one can read twice. `state` holds what is handed over next before it is: the snapshot then has it. A slice
    waits for the step before it no longer than `patience_s`.
    """

    state: Any
    patience_s: float

    def resume(self, number: int, defined: InstrumentsDefined | None, last: MarketSlice | None) -> None:
        """Instead of a snapshot: what the tape tells, up to what `number` says."""
        ...

    def listen(self) -> AsyncGenerator[tuple[int, Sequence[Message]], None]:
        """What is said together, numbered from 1 without a hole; first again what the snapshot holds."""
        ...


class SourceSession:
    """Publishes a source in lockstep with the rest of the system, at the speed of `run`."""

    def __init__(
        self,
        source: Source | LiveSource,
        tape: Tape,
        run: Run,
        mark: str,
        caught_up: Callable[[], None],
        speaker: Speaker = THIS_PROCESS,
    ) -> None:
        self.seq = 0
        self.recovering = True
        self.trading = TradingMetrics(SERVICE)
        self._feed = run.data if "/" not in run.data else "directory"
        self._source = source
        self._tape = tape
        self._mark = mark
        self._run_id = run.id
        self._speaker = speaker
        self._caught_up = caught_up
        live = isinstance(source, LiveSource)
        self._interval, self._wall_per_ns = (None, None) if live else pace(run.speed)
        self._patience_s = source.patience_s if isinstance(source, LiveSource) else None
        self._closed_step = 0
        self._step_closed = asyncio.Event()
        self._silent_until = (-1, -1)
        self._due = 0.0
        self._anchor: tuple[int, float] | None = None

    async def run(self) -> None:
        """Until the data ends."""
        metrics.FEED_ENDED.labels(self._feed).set(0)
        try:
            await self._run()
        except BaseException:
            metrics.FEED_HEALTHY.labels(self._feed).set(0)
            raise
        metrics.FEED_ENDED.labels(self._feed).set(1)

    async def _run(self) -> None:
        payload = await self._tape.get_snapshot(SERVICE)
        ordinal = snapshots.restore(self._source, payload, self._mark)
        await introduce(self._tape, SERVICE, self._speaker, self._run_id)
        self._silent_until = await own_progress(self._tape, SERVICE)
        await self.trading.restore(self._tape)
        await self._follow_risk_steps()
        if isinstance(self._source, LiveSource):
            await self._run_live(self._source, ordinal)
        else:
            await self._run_recorded(self._source, ordinal)
        await self._tape.flush()
        self._has_caught_up()

    async def _run_recorded(self, source: Source, ordinal: int) -> None:
        if ordinal == 0:
            await self._say_all(0, source.opening())
        snapshot_due = time.monotonic() + SNAPSHOT_EVERY_S
        for number, messages in zip(itertools.count(ordinal + 1), source.steps(ordinal), strict=False):
            await self._say_all(number, messages)
            if time.monotonic() >= snapshot_due:
                await self._store(number)
                snapshot_due = time.monotonic() + SNAPSHOT_EVERY_S

    async def _run_live(self, source: LiveSource, ordinal: int) -> None:
        said = self._silent_until[0]
        if said > ordinal:  # no snapshot, or none that fits this build
            source.resume(said, await self._last(InstrumentsDefined), await self._last(MarketSlice))
        self._has_caught_up()
        async with contextlib.aclosing(source.listen()) as heard:
            async for number, messages in heard:
                await self._store(number)
                await self._say_all(number, messages)

    async def _last(self, kind: type[M]) -> M | None:
        record = await self._tape.last([pattern(kind)])
        message = decode(decode_envelope(record.payload)) if record else None
        return message if isinstance(message, kind) else None

    async def _follow_risk_steps(self) -> None:
        filters = [pattern(message) for message in INPUTS[SERVICE]]
        last = await self._tape.last(filters)
        await self._tape.read(filters, last.seq if last else 1, self._on_risk_step)

    async def _on_risk_step(self, record: Record) -> None:
        message = decode(decode_envelope(record.payload))
        if isinstance(message, RiskStep):
            self._closed_step = message.step
            self._step_closed.set()

    async def _say_all(self, ordinal: int, messages: Sequence[Message]) -> None:
        for index, message in enumerate(messages):
            if (ordinal, index) <= self._silent_until:
                if ordinal % 256 == 0:
                    await asyncio.sleep(0)  # catching up must not starve the heartbeat
                continue
            self._has_caught_up()
            if isinstance(message, MarketSlice):
                await self._wait_for(message.step - 1)
                await self._keep_pace(message.ts_event)
            identity = f"{SERVICE}:{self._run_id}:{ordinal}:{index}"
            sealed = _seal(message, identity, ordinal, index)
            self.seq = ordinal
            await self._tape.append(subject(message), sealed)
            metrics.MESSAGES_OUT.labels(message.TYPE).inc()
            self.trading.said(sealed, message)

    def _has_caught_up(self) -> None:
        if self.recovering:
            self.recovering = False
            metrics.FEED_HEALTHY.labels(self._feed).set(1)
            self._caught_up()

    async def _wait_for(self, step: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                while self._closed_step < step:
                    self._step_closed.clear()
                    await self._step_closed.wait()

    async def _keep_pace(self, ts: int) -> None:
        now = time.monotonic()
        if self._interval is not None:
            self._due = max(self._due + self._interval, now)
        elif self._wall_per_ns is not None:
            first_ts, started = self._anchor = self._anchor or (ts, now)
            self._due = started + (ts - first_ts) * self._wall_per_ns
        if self._due > now:
            await asyncio.sleep(self._due - now)

    async def _store(self, ordinal: int) -> None:
        payload = snapshots.encode(self._source, ordinal, self._mark)
        await self._tape.flush()
        await self._tape.put_snapshot(SERVICE, payload)
        metrics.SNAPSHOT_BYTES.set(len(payload))


def _seal(message: Message, identity: str, ordinal: int, index: int) -> Envelope:
    """What begins a step begins its trace."""
    return msgspec.structs.replace(
        envelope(SERVICE, message, identity, cause=None), cause_seq=ordinal, cause_index=index
    )
