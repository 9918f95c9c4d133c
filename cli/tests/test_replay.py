"""`ballast replay --check` finds what was changed, left out or put in; a tape that nobody touched is identical."""

from __future__ import annotations

from functools import cache
from itertools import chain

import msgspec
import pytest

from ballast_cli.configuration import effective
from ballast_cli.replay import Check, Replay
from common.contracts import INPUTS
from common.core import Effect
from common.messages.base import Envelope, Message
from common.messages.risk import RiskStep
from common.runtime.codec import decode, encode, encode_envelope
from common.runtime.session import envelope
from common.runtime.tape import Record
from common.testing.builders import a
from market_data.source import source
from research.backtest import answer, cores

SERVICES = ("market_data", "execution", "regime", "signals", "portfolio", "risk_guardian")
Tape = list[Envelope]


@cache
def recorded() -> tuple[Envelope, ...]:
    """The tape of eight months of a few currencies: every service answers what it reads, in the order of the tape."""
    config = effective("fx", start="2015-01-01", end="2015-09-01")
    machines, feed, tape = cores(config), source(config), Tape()
    for ordinal, said in enumerate(chain([feed.opening()], feed.steps(0))):
        read = len(tape)
        tape += [seal("market_data", message, ordinal, index) for index, message in enumerate(said)]
        while read < len(tape):
            message, read = decode(tape[read]), read + 1
            for name, core in machines.items():
                if type(message) in INPUTS[name]:
                    tape += reactions(name, core.handle(message), seq=read)
    return tuple(tape)


def reactions(name: str, outputs: object, seq: int) -> Tape:
    said = [output for output in outputs if not isinstance(output, Effect)]
    done = chain.from_iterable(answer(output) for output in outputs if isinstance(output, Effect))
    return [
        *(seal(name, message, seq, index) for index, message in enumerate(said)),
        *(seal(name, message, -1, -1) for message in done),
    ]


def seal(name: str, message: Message, seq: int, index: int) -> Envelope:
    sealed = envelope(name, message, f"{name}:{seq}:{index}:{message.TYPE}", cause=None)
    return msgspec.structs.replace(sealed, cause_seq=seq, cause_index=index)


def replayed(tape: Tape) -> Replay:
    run = Replay()
    for seq, sealed in enumerate(tape, start=1):
        run.see(Record(seq, encode_envelope(sealed), len(tape) - seq))
    return run


def one_of(service: str, tape: Tape) -> int:
    """The place of an output of `service` in the middle of the tape, behind which it says more."""
    return [place for place, sealed in enumerate(tape) if sealed.source == service and sealed.cause_seq > 0][-20]


@pytest.mark.req("PLT-09")
def test_a_tape_that_nobody_touched_is_identical() -> None:
    run = replayed([*recorded()])

    assert set(run.checks) == set(SERVICES)
    for check in run.checks.values():
        assert check.result() == {"messages": check.messages, "identical": True}
        assert check.messages > 100


@pytest.mark.req("PLT-09")
@pytest.mark.parametrize("service", SERVICES)
def test_a_changed_output_is_found_with_its_cause(service: str) -> None:
    tape = [*recorded()]
    place = one_of(service, tape)
    changed = msgspec.structs.replace(decode(tape[place]), ts_event=tape[place].ts_event + 1)
    tape[place] = msgspec.structs.replace(tape[place], data=msgspec.Raw(encode(changed)))

    result = replayed(tape).checks[service].result()

    assert not result["identical"]
    assert f"cause {tape[place].cause_seq}, output {tape[place].cause_index}: had said" in result["first_difference"]
    assert f"ts_event={changed.ts_event}" in result["first_difference"]


@pytest.mark.parametrize(
    ("first", "then", "found"),
    [
        (["x"], ["x"], ""),
        (["x"], ["y"], "had said y, says x"),
        ([], ["x"], "had said x, says None"),
        (["x", "y"], ["y"], "had said y, says x"),
        (["x", "y"], ["x"], ""),  # the tape may simply end before the second is on it
    ],
)
def test_a_check_compares_place_by_place(first: list[str], then: list[str], found: str) -> None:
    check, message = Check(), {name: a(RiskStep, book=name) for name in "xy"}

    for index, name in enumerate(first):
        check.says(7, index, message[name])
    for index, name in enumerate(then):
        check.had_said(7, index, message[name])

    assert bool(check.first_difference) == bool(found)
    assert [f"book='{name}'" in check.first_difference for name in "xy"] == [f" {name}" in found for name in "xy"]


def test_an_output_that_was_never_said_is_a_difference_once_a_later_one_is_on_the_tape() -> None:
    check, step = Check(), a(RiskStep)
    for seq in (1, 2, 3):
        check.says(seq, 0, step)

    check.had_said(1, 0, step)
    assert check.result() == {"messages": 1, "identical": True}

    check.had_said(3, 0, step)
    assert check.result()["first_difference"].startswith("cause 2, output 0: had said None, says RiskStep(")
