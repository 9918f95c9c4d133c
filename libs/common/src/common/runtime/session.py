"""One life of a core around one connection to the tape: exactly once, without time windows (docs/adr/0002).

State and position are restored from one snapshot; everything after it is read again, and what the service had already
said is not said twice: its own last output on the tape tells how far it had come.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, NamedTuple

import msgspec

from common.contracts import FROM_OUTSIDE, INPUTS, own_pattern, pattern, publishes
from common.core import Core, Effect
from common.errors import DecodeError, TapeError
from common.messages.base import Envelope, Message
from common.runtime import metrics, order_log, snapshots, tracing, trading_metrics
from common.runtime.codec import decode, decode_envelope, encode
from common.runtime.introduction import THIS_PROCESS, Speaker, warn_of_others
from common.runtime.subjects import subject
from common.runtime.tape import Fence, Record, Tape

SNAPSHOT_EVERY_S: Final = 5.0
SNAPSHOT_EVERY: Final = 5_000  # messages: who is killed while it catches up shall not begin anew
DEAD_LETTER_LIMIT: Final = 100
HELD_BACK_LIMIT: Final = 100_000  # a leader that is this far behind its standby is not leading


class Outside(NamedTuple):
    """What a shell has to tell its core. `key` makes the message id, within the run: telling it twice puts it on the tape once."""

    key: str
    message: Message


class _Output(NamedTuple):
    seq: int
    number: int
    cause: Envelope
    message: Message


Effects = Callable[[Effect], Awaitable[Outside]]


async def own_progress(tape: Tape, service: str) -> tuple[int, int]:
    """(cause, index) of the last thing `service` said because of something it had read; (-1, -1) if it never spoke."""
    said = [message for message in publishes(service) if message not in FROM_OUTSIDE]
    last = await tape.last([own_pattern(message, service) for message in said])
    if last is None:
        return -1, -1
    envelope = decode_envelope(last.payload)
    return envelope.cause_seq, envelope.cause_index


async def introduce(tape: Tape, service: str, speaker: Speaker, run_id: str) -> None:
    """Says on the tape who speaks from here on; it is there when this returns."""
    message = speaker.introduction(service)
    identity = f"{message.TYPE}:{run_id}:{service}:{speaker.instance}:{message.ts_event}"
    await tape.append(subject(message), envelope(service, message, identity, cause=None))
    await tape.flush()
    await warn_of_others(tape, speaker)


class Session:
    """`start` it, or let it `lead` at once; then it lives in the tape's callbacks until the tape is closed or `tape.broken` completes. `caught_up` is
    called once, when it has read what was on the tape before it.

    A `standby` reads like any other, but is silent, runs no effects and leaves no snapshots, until it is told to `lead`. What
    it does not say it holds back until its leader is known to have said it.
    """

    def __init__(
        self,
        service: str,
        core: Core,
        tape: Tape,
        *,
        mark: str,
        run_id: str = "",
        effects: Effects | None = None,
        caught_up: Callable[[], None] = lambda: None,
        fence: Fence | None = None,
        standby: bool = False,
        speaker: Speaker = THIS_PROCESS,
    ) -> None:
        self.recovering = True
        self.standby = standby
        self.seq = 0
        self.trading = trading_metrics.TradingMetrics(service)
        self._fence = fence
        self._patterns = [pattern(message) for message in INPUTS[service]]
        self._held_back: deque[_Output] = deque()
        self._has_read = asyncio.Event()
        self._service = service
        self._core = core
        self._tape = tape
        self._mark = mark
        self._run_id = run_id
        self._speaker = speaker
        self._caught_up = caught_up
        self._effects = effects
        self._silent_until = (-1, -1)
        self._behind: int | None = None
        self._dead_letters = 0
        self._snapshot_due = time.monotonic() + SNAPSHOT_EVERY_S
        self._unsaved = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Restores the core and begins to read."""
        payload = await self._tape.get_snapshot(self._service)
        self.seq = snapshots.restore(self._core, payload, self._mark)
        await self._check_end()
        if not self.standby:
            await self._introduce()
        self._silent_until = await own_progress(self._tape, self._service)
        await self._tape.read(self._patterns, self.seq + 1, self._on_record)
        newest = await self._tape.last(self._patterns)
        self._behind = newest.seq if newest else 0
        self._maybe_caught_up()

    async def _check_end(self) -> None:
        """A tape that ends before what was read from it has lost something. What comes next would take the numbers of what is
        lost, and would never be read: whoever goes on from there might not hear of a halt.
        """
        if not self.seq:
            return
        newest = await self._tape.last(self._patterns)
        end = newest.seq if newest else 0
        if end < self.seq:
            raise TapeError(f"the tape ends at {end}, but {self._service} has read up to {self.seq}")

    def token(self) -> int | None:
        """As a `Fence`; 0 for a service that has no lease."""
        if self.standby:
            return None
        return self._fence.token() if self._fence else 0

    async def follow(self) -> None:
        """As a standby: notes how far the leader has come."""
        said = await own_progress(self._tape, self._service)
        self._silent_until = max(self._silent_until, said)
        while self._held_back and self._held_back[0][:2] <= self._silent_until:
            self._held_back.popleft()

    async def lead(self) -> None:
        """Speaks from now on. Who has been a standby first reads all that its leader may have read, says what the leader has
        not said, and runs the effects that are still unanswered. The tape must be fenced by then.
        """
        if self._behind is None:
            self.standby = False
            await self.start()
            return
        await self._introduce()
        await self.follow()
        newest = await self._tape.last(self._patterns)
        while self.recovering or (newest is not None and self.seq < newest.seq):
            self._has_read.clear()
            await self._has_read.wait()
        while self._held_back:
            await self._say(*self._held_back.popleft())
        self.standby = False
        self._run_pending()

    async def _introduce(self) -> None:
        """Not before the end of the tape is known to be there: it would hide that something is lost."""
        await introduce(self._tape, self._service, self._speaker, self._run_id)

    async def stop(self) -> None:
        """Leaves a snapshot, so that the next start is short. Outputs so far are stored first."""
        for task in self._tasks:
            task.cancel()
        if not self.standby:
            await self._store(snapshots.encode(self._core, self.seq, self._mark))

    async def tell(self, outside: Outside) -> None:
        """Puts a fact from outside on the tape; the core hears of it from there, like everybody."""
        with tracing.outside():
            await self._tell(outside)

    async def _tell(self, outside: Outside) -> None:
        message = outside.message
        identity = f"{message.TYPE}:{self._run_id}:{outside.key}"
        sealed = envelope(self._service, message, identity, cause=None)
        await self._tape.append(subject(message), sealed)
        metrics.MESSAGES_OUT.labels(message.TYPE).inc()

    async def _on_record(self, record: Record) -> None:
        try:
            cause = decode_envelope(record.payload)
            message = decode(cause)
        except DecodeError as error:
            await self._set_aside(record, str(error))
        else:
            with tracing.handling(record, cause, message, again=self.recovering, mute=self.standby):
                await self._handle(record.seq, cause, message)
        self.seq = record.seq
        self._unsaved += 1
        metrics.LAG.set(record.pending)
        metrics.LAST_SEQ.set(record.seq)
        self._maybe_caught_up()
        self._has_read.set()
        if not self.standby and (self._unsaved >= SNAPSHOT_EVERY or time.monotonic() >= self._snapshot_due):
            self._snapshot()

    async def _handle(self, seq: int, cause: Envelope, message: Message) -> None:
        started = time.perf_counter()
        outputs = self._core.handle(message)
        metrics.HANDLE_SECONDS.observe(time.perf_counter() - started)
        self.trading.heard(cause, message)
        metrics.MESSAGES_IN.labels(cause.type).inc()
        index = 0
        for output in outputs:
            if isinstance(output, Effect):
                if not self.recovering and not self.standby:
                    self._run(output)
                continue
            if (seq, index) > self._silent_until:
                await self._say_or_hold_back(_Output(seq, index, cause, output))
            index += 1

    async def _say_or_hold_back(self, output: _Output) -> None:
        if not self.standby:
            await self._say(*output)
            return
        self._held_back.append(output)
        if len(self._held_back) > HELD_BACK_LIMIT:
            raise TapeError(f"standby of {self._service}: its leader reads nothing any more, or says nothing")

    async def _say(self, seq: int, index: int, cause: Envelope, message: Message) -> None:
        sealed = envelope(self._service, message, f"{self._service}:{seq}:{index}", cause=(seq, index, cause))
        order_log.write(sealed, message)
        await self._tape.append(subject(message), sealed)
        metrics.MESSAGES_OUT.labels(message.TYPE).inc()
        self.trading.said(sealed, message)
        if not self.recovering:
            metrics.HOP_SECONDS.labels(message.TYPE).observe(
                max(sealed.ts_init - cause.ts_init, 0) * trading_metrics.NS
            )

    def _maybe_caught_up(self) -> None:
        if self.recovering and self._behind is not None and self.seq >= self._behind:
            self.recovering = False
            self._has_read.set()
            self._snapshot_due = 0.0  # who is killed again right away need not read all this once more
            self._caught_up()
            self._run_pending()

    def _run_pending(self) -> None:
        if not self.standby:
            for effect in self._core.pending():
                self._run(effect)

    def _run(self, effect: Effect) -> None:
        if self._effects is None:
            raise TypeError(f"{self._service} asks for {type(effect).__name__}, but its shell has no effects")
        self._spawn(self._answer(self._effects, effect))

    async def _answer(self, effects: Effects, effect: Effect) -> None:
        with tracing.answering(effect):
            await self._tell(await effects(effect))

    async def _set_aside(self, record: Record, reason: str) -> None:
        self._dead_letters += 1
        metrics.DEAD_LETTERS.inc()
        await self._tape.dead_letter(self._service, record, reason)
        if self._dead_letters >= DEAD_LETTER_LIMIT:
            raise TapeError(f"{self._dead_letters} messages that cannot be understood; the last: {reason}")

    def _snapshot(self) -> None:
        """Encodes now, between two messages; waits for the acknowledgements in the background."""
        self._snapshot_due = time.monotonic() + SNAPSHOT_EVERY_S
        self._unsaved = 0
        self._spawn(self._store(snapshots.encode(self._core, self.seq, self._mark)))

    async def _store(self, payload: bytes) -> None:
        await self._tape.flush()  # a snapshot must never be ahead of what was said
        await self._tape.put_snapshot(self._service, payload)
        metrics.SNAPSHOT_BYTES.set(len(payload))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._tape.broken.done():
            self._tape.broken.set_result(error if isinstance(error, Exception) else RuntimeError(repr(error)))


def envelope(service: str, message: Message, identity: str, *, cause: tuple[int, int, Envelope] | None) -> Envelope:
    seq, index, parent = cause or (-1, -1, None)
    return Envelope(
        id=identity,
        type=message.TYPE,
        source=service,
        ts_event=message.ts_event,
        ts_init=time.time_ns(),
        correlation_id=parent.correlation_id if parent else identity,
        causation_id=parent.id if parent else "",
        cause_seq=seq,
        cause_index=index,
        data=msgspec.Raw(encode(message)),
    )
