"""The figures of `ballast bench risk`: the load is what it says, and equal on every machine."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from ballast_cli import risk_bench
from ballast_cli.risk_bench import Run, drive
from ballast_cli.risk_load import ALL_ON, DAYS, INSTRUMENTS, POSITIONS, RESTING, guardian, scenarios
from common.messages.orders import OrderApproved, OrderDenied
from risk_guardian.core import RiskGuardian
from risk_guardian.limits import Limits

DECISIONS = 150


@cache
def driven() -> tuple[RiskGuardian, Run]:
    core = guardian(ALL_ON, scenarios())
    return core, drive(core, DECISIONS)


@pytest.mark.req("RSK-02")
def test_the_load_leaves_no_limit_at_its_off_value() -> None:
    off = {name for name in Limits.__struct_fields__ if getattr(ALL_ON, name) in (0, 0.0, (), {}, False)}
    assert off == set()
    assert sum(each.limit is not None for each in scenarios().values()) == 3


def test_every_decision_is_made_on_a_full_book_with_resting_orders_and_history() -> None:
    core, run = driven()
    assert len(run.decisions) == len(run.steps) == DECISIONS
    assert len(INSTRUMENTS) == POSITIONS
    assert sum(held.signed_qty != 0 for held in core.state.ledger.positions.values()) >= POSITIONS - 2
    assert len(core.state.working) >= RESTING
    assert core.state.measures.history.counts == [DAYS] * POSITIONS


def test_orders_pass_and_are_cut_and_every_step_costs_more_than_its_decision() -> None:
    _, run = driven()
    assert len(run.verdicts) == DECISIONS
    assert run.verdicts.count("approved") >= DECISIONS // 3
    assert any(name.startswith("cut by") for name in run.verdicts)
    assert all(step.wall > decision.wall > 0 for step, decision in zip(run.steps, run.decisions, strict=True))


def test_the_same_load_gets_the_same_verdicts_again() -> None:
    def verdicts(run: Run) -> list[bytes]:
        return [msgspec.json.encode(said) for said in run.said if isinstance(said, OrderApproved | OrderDenied)]

    assert verdicts(drive(guardian(ALL_ON, scenarios()), DECISIONS)) == verdicts(driven()[1])


def test_quantiles_are_in_microseconds() -> None:
    assert risk_bench.quantiles([number * 1000 for number in range(1001)]) == {
        "p50": 500.0,
        "p99": 990.0,
        "p99_9": 999.0,
    }
