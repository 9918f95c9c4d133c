"""`ballast stress`: asks the running guardian what the book of now would lose in every scenario."""

from __future__ import annotations

import asyncio
import getpass
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from ballast_cli.operator import ANSWER_WITHIN_S, endpoints_of
from common.contracts import pattern
from common.errors import TapeError
from common.messages.control import RunStarted
from common.messages.risk import RunStress, ScenarioResult, StressTested
from common.runtime.codec import decode, decode_envelope
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.runtime.tape import Record

SHOWN: Final = 3  # instruments of a scenario, in words


async def stress(home: Path) -> dict[str, Any]:
    """The guardian's answer, worst scenario first; `confirmed` is false when it stays silent. Raises TapeError."""
    endpoints, author = endpoints_of(home), getpass.getuser()
    tape = await NatsTape.connect(endpoints.login("operator"))
    try:
        begun = await tape.last([pattern(RunStarted)])
        if begun is None:
            raise TapeError(f"{home}: no run on the tape")
        run = decode(decode_envelope(begun.payload))
        assert isinstance(run, RunStarted)
        now = time.time_ns()
        order = RunStress(ts_event=now, book=run.book, author=author)
        stored = await tape.append(subject(order), envelope("operator", order, f"{order.TYPE}:{now}", cause=None))
        seq = await asyncio.wait_for(stored, ANSWER_WITHIN_S)
        said = await _answer(tape, seq)
    except TimeoutError:
        raise TapeError("NATS did not acknowledge the command") from None
    finally:
        await tape.close()
    if said is None:
        return {"confirmed": False, "book": run.book}
    worst_first = sorted(said.results, key=lambda result: -result.loss)
    scenarios = {result.scenario: msgspec.to_builtins(result) for result in worst_first}
    return {"confirmed": True, "book": said.book, "step": said.step, "scenarios": scenarios}


def in_words(result: dict[str, Any]) -> dict[str, str]:
    """A line for each scenario: the loss, the limit where it has one, and who loses most."""
    if not result["confirmed"]:
        return {"guardian": "does not answer"}
    results = msgspec.convert(list(result["scenarios"].values()), list[ScenarioResult])
    lines = {each.scenario: _line(each) for each in results if each.by_instrument}
    return lines or {"book": "holds nothing that a scenario could hurt"}


def _line(result: ScenarioResult) -> str:
    most = sorted(result.by_instrument.items(), key=lambda part: -abs(part[1]))[:SHOWN]
    limit = "" if result.limit is None else f"  limit {result.limit:.1%}{' EXCEEDED' if result.breached else ''}"
    return f"{result.loss:>8.2%}{limit}  " + ", ".join(f"{name} {loss:.2%}" for name, loss in most)


async def _answer(tape: NatsTape, seq: int) -> StressTested | None:
    found: asyncio.Future[StressTested] = asyncio.get_running_loop().create_future()

    async def on_record(record: Record) -> None:
        said = decode_envelope(record.payload)
        message = decode(said)
        if said.cause_seq == seq and isinstance(message, StressTested) and not found.done():
            found.set_result(message)

    await tape.read([pattern(StressTested)], seq + 1, on_record)
    try:
        return await asyncio.wait_for(found, ANSWER_WITHIN_S)
    except TimeoutError:
        return None
