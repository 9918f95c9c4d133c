"""A whole backtest over synthetic paths and crises: distributions, and worst cases that can be replayed (RES-08)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, DataError
from common.model.time import NS_PER_DAY
from research.resilience import EPISODES
from research.run import run
from research.stress.episodes import of_profile
from research.stress.paths import REAL, Outcome, outcomes, stress

pytestmark = pytest.mark.req("RES-08")
MARCH_NS = 1_488_326_400_000_000_000  # 2017-03-01
CONFIG: dict[str, Any] = {
    "market_data": {"symbols": ["EUR-USD"], "timeframes": ["1h"]},
    "signals": {"strategies": ["sma_cross_20_50"], "timeframes": ["1h"]},
    "run": {"data": "builtin-h1", "start_ns": MARCH_NS, "end_ns": MARCH_NS + 90 * NS_PER_DAY},
}


def outcome(**values: Any) -> Outcome:
    common = {
        "kind": "crash",
        "seed": 1,
        "data": "paths:crash:1:x",
        "total_return": 0.0,
        "max_drawdown": 0.0,
        "halts": 0,
    }
    counts = {"var_breaches": 0, "var_days": 0, "trades": 0, "quarantined": 0, "features_off": ()}
    return Outcome(**(common | counts | values))


def test_every_kind_runs_after_the_real_prices_and_the_worst_path_replays_to_the_same_result() -> None:
    found = list(outcomes(CONFIG, kinds=["garch", "jumps", "crash", "bootstrap"], paths=2, seed=7))
    assert [(one.kind, one.seed) for one in found] == [
        (REAL, None),
        *((kind, seed) for kind in ("garch", "jumps", "crash", "bootstrap") for seed in (7, 8)),
    ]
    assert len({one.total_return for one in found}) == len(found)
    assert all(one.trades > 10 and one.max_drawdown and one.var_days > 0 for one in found)
    worst = stress(found)["crash"]["worst"]
    again = run({**CONFIG, "run": {**CONFIG["run"], "data": worst["data"]}})
    assert again.metrics()["cum_returns_final"] == worst["total_return"]
    assert again.result()["max_drawdown"] == worst["max_drawdown"]


def test_real_prices_give_what_a_plain_backtest_gives() -> None:
    (real,) = outcomes(CONFIG, kinds=[], paths=1, seed=1)
    plain = run(CONFIG)
    assert real.total_return == plain.metrics()["cum_returns_final"]
    assert (real.trades, real.halts) == (plain.metrics()["trades"], plain.halts)


def test_several_processes_give_the_same_in_the_same_order() -> None:
    def run_with(workers: int) -> list[Outcome]:
        return list(outcomes(CONFIG, kinds=["bootstrap"], paths=2, seed=1, workers=workers))

    assert run_with(2) == run_with(1)


def test_costs_are_paid_on_a_path_too() -> None:
    dear = {**CONFIG, "execution": {"taker_bps": 20}}
    cheap, costly = (list(outcomes(config, kinds=["crash"], paths=1, seed=1))[1] for config in (CONFIG, dear))
    assert costly.total_return is not None
    assert cheap.total_return is not None
    assert costly.total_return < cheap.total_return


def test_a_distribution_has_its_quantiles_its_share_of_losers_and_its_worst_path() -> None:
    returns = [0.1, -0.2, 0.0, 0.3, -0.1]
    found = stress(
        outcome(seed=i, total_return=x, halts=i % 2, var_breaches=i, var_days=10 * (i > 0))
        for i, x in enumerate(returns)
    )["crash"]
    assert found["paths"] == 5
    assert found["return"]["p50"] == 0.0
    assert found["return"]["p05"] == pytest.approx(-0.18)
    assert found["return"]["p95"] == pytest.approx(0.26)
    assert found["losing"] == pytest.approx(0.4)
    assert found["halted"] == pytest.approx(0.4)
    assert found["var_breach_rate"]["p50"] == pytest.approx(0.25)
    assert found["worst"]["seed"] == 1


def test_what_was_never_measured_is_undefined_and_what_failed_is_named() -> None:
    found = stress([outcome(total_return=None, max_drawdown=None, features_off=("signals x",))])["crash"]
    assert (found["return"], found["max_drawdown"], found["losing"], found["var_breach_rate"]) == (None,) * 4
    assert found["features_off"] == ["signals x"]


def test_an_unknown_kind_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match=r"--kind warp: .* garch, jumps, crash, bootstrap"):
        next(outcomes(CONFIG, kinds=["crash", "warp"], paths=1, seed=1))


def test_only_episodes_whose_prices_are_there_are_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no episode of profile fx"):
        of_profile("fx", tmp_path)
    (tmp_path / "fx" / "h1").mkdir(parents=True)
    (tmp_path / "fx" / "h1" / "EURUSD_H1_ejtrader.parquet").touch()
    assert [episode.name for episode in of_profile("fx", tmp_path)] == ["March 2020, FX"]
    assert {episode.profile for episode in EPISODES} == {"fx", "crypto", "crypto-perp"}
