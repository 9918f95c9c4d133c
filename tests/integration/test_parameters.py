"""Other parameters reach a system when it starts, its results are watched, and the way back is on the tape and in the history."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from support.system import System, ballast, until

from ballast_cli import output
from ballast_cli.configuration import effective
from common.messages import MarketDataEnded, MarketSlice, ParametersChanged, RiskStep
from common.runtime.embedded.endpoints import Endpoints
from research.optimize.splits import Span
from research.updates import course, store
from research.updates.impact import SHIPPED, Impact, StepImpact
from research.updates.plan import Ledger, Word, judged, proposed
from research.updates.ranges import load

pytestmark = [pytest.mark.integration, pytest.mark.req("RES-06"), pytest.mark.timeout(240)]

SPAN = ("--from", "2015-01-01", "--to", "2015-06-01", "--speed", "max")
RISK = "portfolio.risk_per_trade"


@pytest.fixture
def home(prepared_home: Path) -> Iterator[Path]:
    """With a plan that has been tested: what it may lose in a day is next to nothing."""
    folder = Path(tempfile.mkdtemp(prefix="ballast-test-"))
    folder.chmod(0o711)
    subprocess.run(["cp", "-a", f"{prepared_home}/.", folder], check=True)
    word = Word(ts_ns=1, author="ada", reason="a test")
    empty = Ledger(profile="fx")
    plan = course.drafted(effective("fx"), empty, {RISK: 0.0024}, load(), name="one", steps=2, days_between=5)
    step = StepImpact(
        values={},
        figures={},
        sharpe_difference=None,
        return_difference=None,
        reasons=(),
        returns=(0.00001, -0.00001, 0.00002),
    )
    evidence = Impact(
        data="builtin", span=Span(0, 1), tolerances=SHIPPED, days_a_year=252, before={}, steps=(step, step)
    )
    store.keep_evidence(folder, "one", evidence)
    store.save(folder, judged(proposed(empty, plan, word), "one", word, passed=True))
    yield folder
    shutil.rmtree(folder)


def params(home: Path, *words: str) -> dict[str, Any]:
    said: dict[str, Any] = ballast(home, "params", *words, check=False)
    return said


def history(home: Path) -> list[tuple[Any, ...]]:
    async def rows() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(Endpoints.load(home).postgres_dsn_with_password())
        try:
            found = await connection.fetch(
                "SELECT action, key, before, after FROM parameter_history ORDER BY seq, item"
            )
            return [tuple(row) for row in found]
        finally:
            await connection.close()

    return asyncio.run(rows())


def test_a_step_trades_with_the_next_run_is_taken_back_by_rule_and_all_of_it_is_history(home: Path) -> None:
    first = params(home, "apply", "one")
    assert (first["exit_code"], first["history_on_tape"], first["in_force"][RISK]) == (0, False, pytest.approx(0.0022))
    with System(home, *SPAN) as system:
        running = json.loads((home / "config.json").read_text())
        assert running["portfolio"]["risk_per_trade"] == pytest.approx(0.0022)
        until(lambda: bool(system.said(MarketDataEnded)), "the data is over")
        last = system.said(MarketSlice)[-1][1]
        until(lambda: system.said(RiskStep)[-1][1].step == last.step, "the last step is closed")

        watched = params(home, "watch")
        assert (watched["exit_code"], watched["state"]) == (output.FAILED, "ROLLED_BACK"), watched
        assert (watched["in_force"], watched["history_on_tape"]) == ({}, True)
        assert watched["watched"]["days"] > 20
        assert "drawdown" in watched["reason"]
        until(lambda: len(history(home)) == 4, "the history is recorded")
        assert [message.action for _, message in system.said(ParametersChanged)] == [
            *("propose", "test", "step", "rollback")
        ]
        value = json.dumps(first["in_force"][RISK])
        assert history(home)[2:] == [("step", RISK, None, value), ("rollback", RISK, value, None)]
        assert params(home, "reset", "--reason", "a drill")["exit_code"] == 0
        until(lambda: len(history(home)) == 5, "the history is recorded")


def test_a_run_is_not_continued_with_other_values(home: Path) -> None:
    with System(home, *SPAN[:-1], "1"):
        applied = params(home, "apply", "one")
        assert applied["exit_code"] == 0, applied
        refused = params(home, "watch")
        assert (refused["exit_code"], "without step 1" in refused["error"]) == (output.FAILED, True)
    again = ballast(home, "up", *SPAN, check=False)
    assert "in the middle of another run" in again["error"]
