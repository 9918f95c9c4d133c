"""From a proposal to what a system is started with, in a home on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ballast_cli.configuration import effective
from common.errors import ConfigError
from research.backtest import cores
from research.optimize.splits import Span
from research.overrides import with_values
from research.updates import course, store
from research.updates.impact import SHIPPED as TOLERANCES
from research.updates.impact import Impact, StepImpact, impact
from research.updates.plan import Ledger, Moment, RefusedError, State, Word, judged, proposed, rolled_back
from research.updates.ranges import Values, load
from research.updates.watch import SHIPPED as RULES
from research.updates.watch import Verdict

pytestmark = pytest.mark.req("RES-06")

RISK = "portfolio.risk_per_trade"
WORD = Word(ts_ns=1, author="ada", reason="a test")
NOISE = np.random.default_rng(1).normal(0.0004, 0.005, 1000)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return effective("fx")


def ready(config: dict[str, Any], wanted: Values | None = None) -> Ledger:
    ledger = Ledger(profile="fx")
    drafted = course.drafted(config, ledger, wanted or {RISK: 0.0024}, load(), name="one", steps=2, days_between=5)
    return judged(proposed(ledger, drafted, WORD), "one", WORD, passed=True)


def step(config: dict[str, Any], ledger: Ledger, watched: Verdict | None = None) -> Ledger:
    return course.applied(config, ledger, "one", WORD, moment=Moment(), watched=watched)


def evidence() -> Impact:
    found = StepImpact(
        values={}, figures={}, sharpe_difference=None, return_difference=None, reasons=(), returns=tuple(NOISE)
    )
    return Impact(
        data="builtin", span=Span(0, 1), tolerances=TOLERANCES, days_a_year=252, before={}, steps=(found, found)
    )


def results(config: dict[str, Any], returns: np.ndarray) -> course.Results:
    return course.Results(config=config, equity=tuple(100.0 * np.cumprod(np.concatenate(([1.0], 1.0 + returns)))))


def test_a_home_without_updates_starts_with_its_profile(tmp_path: Path, config: dict[str, Any]) -> None:
    assert store.in_force(tmp_path, config) == config


def test_a_system_is_started_with_what_is_in_force_and_after_a_rollback_with_its_profile(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    ledger = step(config, ready(config))
    store.save(tmp_path, ledger)
    assert store.load(tmp_path, "fx") == ledger
    assert store.in_force(tmp_path, config) == with_values(config, {RISK: pytest.approx(0.0022)})
    assert store.in_force(tmp_path, effective("crypto")) == effective("crypto")
    store.save(tmp_path, rolled_back(ledger, "one", WORD))
    assert store.in_force(tmp_path, config) == config


def test_a_parameter_of_a_strategy_moves_from_its_own_value_and_goes_back_to_it(config: dict[str, Any]) -> None:
    fast = "signals.params.sma_cross_20_50.NORMAL.fast"
    ledger = step(config, ready(config, {fast: 24}))
    assert ledger.values == {fast: 22}
    assert cores(store.overlaid(config, ledger))
    assert store.overlaid(config, rolled_back(ledger, "one", WORD)) == config


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({RISK: 0.02}, "expected 0.0005 to 0.005"),
        ({"portfolio.nothing": 1}, "may not be changed"),
        ({"signals.params.nobody.NORMAL.fast": 10}, "neither the configuration nor a strategy"),
        ({"risk_guardian.limits.max_drawdown": 0.5}, "may not be changed"),
        ({RISK: 0.002}, "no value differs"),
    ],
)
def test_values_that_are_not_allowed_never_become_a_plan(
    config: dict[str, Any], values: Values, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        ready(config, values)


def test_another_configuration_than_the_tested_one_takes_no_step_but_goes_back(config: dict[str, Any]) -> None:
    ledger = step(config, ready(config))
    other = with_values(config, {"portfolio.trade_band": 0.31})
    with pytest.raises(RefusedError, match="propose it again"):
        step(
            other,
            ledger,
            course.verdict(ledger, "one", results(with_values(config, ledger.values), NOISE), evidence(), RULES),
        )
    assert rolled_back(ledger, "one", WORD).values == {}


def test_good_results_lead_to_the_next_step_and_to_the_end(config: dict[str, Any]) -> None:
    ledger = step(config, ready(config))
    for wanted in ((State.APPLYING, 0.0024), (State.DONE, 0.0024)):
        running = with_values(config, ledger.values)
        verdict = course.verdict(ledger, "one", results(running, NOISE[:30]), evidence(), RULES)
        ledger = step(config, ledger, verdict)
        assert (ledger.plan("one").state, ledger.values[RISK]) == wanted


def test_bad_results_are_the_way_back_by_rule_with_their_figures(config: dict[str, Any]) -> None:
    ledger = step(config, ready(config))
    running = with_values(config, ledger.values)
    verdict = course.verdict(ledger, "one", results(running, np.full(3, -0.02)), evidence(), RULES)
    for back in (step(config, ledger, verdict), course.watched(ledger, "one", WORD, verdict)):
        assert (back.plan("one").state, back.values) == (State.ROLLED_BACK, {})
        assert back.history[-1].author == "rule"
        assert "drawdown 0.0588" in back.history[-1].reason
        assert json.loads(back.history[-1].evidence)["drawdown"] == pytest.approx(1 - 0.98**3)


def test_results_of_a_run_with_other_values_say_nothing_about_the_step(config: dict[str, Any]) -> None:
    ledger = step(config, ready(config))
    with pytest.raises(RefusedError, match="without step 1"):
        course.verdict(ledger, "one", results(config, NOISE), evidence(), RULES)


def test_days_before_the_first_trade_do_not_count() -> None:
    idle = course.Results(config={}, equity=(100.0, 100.0, 100.0, 101.0, 101.0, 99.0))
    assert idle.returns() == pytest.approx([0.01, 0.0, 99 / 101 - 1])
    assert course.Results(config={}, equity=(100.0, 100.0)).returns().size == 0


@pytest.mark.parametrize("content", [b"", b"{", b'{"profile": "fx", "standing": ["ghost"]}', b"\xff"])
def test_a_ledger_that_nobody_wrote_like_that_stops_the_start_and_says_how_to_go_on(
    tmp_path: Path, config: dict[str, Any], content: bytes
) -> None:
    path = store.ledger_file(tmp_path, "fx")
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="ballast params reset") as refused:
        store.in_force(tmp_path, config)
    assert str(path) in str(refused.value)
    store.set_aside(tmp_path, "fx", 7)
    assert store.in_force(tmp_path, config) == config
    assert (path.parent / "fx.json.unreadable-7").read_bytes() == content


def test_a_write_that_dies_leaves_the_old_ledger(
    tmp_path: Path, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ready(config)
    store.save(tmp_path, ledger)

    def dies(*_: object) -> None:
        raise OSError("power is gone")

    monkeypatch.setattr("os.fsync", dies)
    with pytest.raises(OSError, match="power"):
        store.save(tmp_path, step(config, ledger))
    assert store.load(tmp_path, "fx") == ledger


def test_the_test_runs_every_step_beside_what_trades_now_over_the_same_days_and_is_kept(tmp_path: Path) -> None:
    config = effective("fx", start="2016-01-01", end="2016-12-31")
    path: list[Values] = [{RISK: 0.0022}, {RISK: 0.0024}]
    found = impact(config, path, fraction=0.5, warmup_days=60)
    assert [step.values for step in found.steps] == path
    assert {len(step.returns) for step in found.steps} == {len(found.steps[0].returns)}
    turnovers = [found.before["turnover"], *(step.figures["turnover"] for step in found.steps)]
    assert len(set(turnovers)) == 3  # every run traded with its own values
    assert found.steps[0].sharpe_difference is not None
    assert len(store.keep_evidence(tmp_path, "one", found)) == 64
    assert store.evidence(tmp_path, "one") == found
