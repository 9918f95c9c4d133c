"""`ballast halt` and `ballast resume`: an operator's word, straight onto the tape, past everything that could be down."""

from __future__ import annotations

import asyncio
import getpass
import time
from pathlib import Path
from typing import Any, Final

from common.contracts import pattern
from common.errors import ConfigError, TapeError
from common.messages.control import RunStarted
from common.messages.risk import HaltTrading, ResumeTrading, TradingStateChanged
from common.model.enums import TradingState
from common.runtime.codec import decode, decode_envelope
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.emergency import ask_to_stop
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.runtime.tape import Record

ANSWER_WITHIN_S: Final = 5.0


class UnreachableError(TapeError):
    """What was commanded is not known to be on the tape."""


async def halt(home: Path, reason: str, *, flatten: bool) -> dict[str, Any]:
    """Returns once the guardian has confirmed; `confirmed` is false when it stays silent (execution obeys all the same). Where
    NATS does not answer, the guardian is asked by a file in the home, which it carries out as soon as it can.
    """
    endpoints_of(home)
    try:
        return await _command(home, TradingState.HALTED, reason, flatten=flatten)
    except UnreachableError as error:
        return await _halt_by_file(home, reason, str(error), flatten=flatten)


async def resume(home: Path, reason: str) -> dict[str, Any]:
    """Ends a halt."""
    return await _command(home, TradingState.ACTIVE, reason, flatten=False)


def endpoints_of(home: Path) -> Endpoints:
    """Where the servers of this home are, or were. Raises TapeError where nothing has ever run."""
    try:
        return Endpoints.load(home)
    except ConfigError:
        raise TapeError(f"{home}: nothing has run here; start it with `ballast up`") from None


async def _command(home: Path, wanted: TradingState, reason: str, *, flatten: bool) -> dict[str, Any]:
    endpoints, author = endpoints_of(home), getpass.getuser()
    try:
        tape = await NatsTape.connect(endpoints.login("operator"))
    except TapeError as error:
        raise UnreachableError(str(error)) from error
    try:
        begun = await tape.last([pattern(RunStarted)])
        if begun is None:
            raise TapeError(f"{home}: no run on the tape")
        run = decode(decode_envelope(begun.payload))
        assert isinstance(run, RunStarted)
        now = time.time_ns()
        order = (
            HaltTrading(ts_event=now, book=run.book, author=author, reason=reason, flatten=flatten)
            if wanted is TradingState.HALTED
            else ResumeTrading(ts_event=now, book=run.book, author=author, reason=reason)
        )
        started = time.perf_counter()
        stored = await tape.append(subject(order), envelope("operator", order, f"{order.TYPE}:{now}", cause=None))
        await asyncio.wait([stored], timeout=ANSWER_WITHIN_S)
        if not stored.done() or stored.cancelled():
            raise UnreachableError("NATS did not acknowledge the command: it may or may not be on the tape")
        seq = stored.result()
        confirmed = await _confirmation(tape, seq, wanted)
    finally:
        await tape.close()
    took = round((time.perf_counter() - started) * 1000, 1)
    return {"state": wanted, "confirmed": confirmed, "seq": seq, "took_ms": took, "author": author}


async def _halt_by_file(home: Path, reason: str, why: str, *, flatten: bool) -> dict[str, Any]:
    author, started = getpass.getuser(), time.perf_counter()
    path = ask_to_stop(home, f"{reason} (asked by {author})", flatten=flatten)
    while path.exists() and time.perf_counter() - started < ANSWER_WITHIN_S:  # noqa: ASYNC110 (no event tells)
        await asyncio.sleep(0.02)
    waits = f"{path} waits for the guardian"
    return {
        "state": TradingState.HALTED,
        "confirmed": not path.exists(),
        "how": waits if path.exists() else "by a file, which the guardian has carried out",
        "because": why,
        "took_ms": round((time.perf_counter() - started) * 1000, 1),
        "author": author,
    }


async def _confirmation(tape: NatsTape, seq: int, wanted: TradingState) -> bool:
    heard = asyncio.Event()

    async def on_record(record: Record) -> None:
        message = decode(decode_envelope(record.payload))
        if isinstance(message, TradingStateChanged) and message.state is wanted:
            heard.set()

    await tape.read([pattern(TradingStateChanged)], seq + 1, on_record)
    try:
        await asyncio.wait_for(heard.wait(), ANSWER_WITHIN_S)
    except TimeoutError:
        return False
    return True
