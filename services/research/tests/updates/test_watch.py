"""Results that could be expected are left alone; worse ones are found out."""

from __future__ import annotations

import numpy as np
import pytest

from common.quant.bootstrap import Array
from research.updates.watch import Rules, judge

pytestmark = pytest.mark.req("RES-06")


def drawn(seed: int, days: int, mean: float = 0.0004) -> Array:
    return np.random.default_rng(seed).normal(mean, 0.01, days)


EXPECTED = drawn(0, 1500)


def test_the_limits_are_the_quantiles_of_what_independent_days_would_bring() -> None:
    verdict = judge(drawn(1, 60), EXPECTED, 252, Rules(replications=20_000))
    rng = np.random.default_rng(7)
    futures = EXPECTED[rng.integers(EXPECTED.size, size=(20_000, 60))]
    levels = np.concatenate([np.ones((20_000, 1)), np.cumprod(1 + futures, axis=1)], axis=1)
    drawdowns = (1 - levels / np.maximum.accumulate(levels, axis=1)).max(axis=1)
    sharpes = futures.mean(axis=1) / futures.std(axis=1, ddof=1) * np.sqrt(252)
    assert verdict.drawdown_limit == pytest.approx(np.quantile(drawdowns, 0.95), rel=0.05)
    assert verdict.sharpe_limit == pytest.approx(np.quantile(sharpes, 0.05), rel=0.05)


def test_a_loss_beyond_what_can_be_expected_is_found_on_its_first_day() -> None:
    verdict = judge(np.array([-0.05]), EXPECTED, 252)
    assert (verdict.good, verdict.sharpe) == (False, None)
    assert verdict.drawdown == pytest.approx(0.05)
    assert "drawdown 0.0500 beyond" in verdict.reason


def test_results_that_lose_steadily_are_found_by_their_sharpe_ratio() -> None:
    verdict = judge(np.tile([-0.002, 0.001], 20), EXPECTED, 252)
    assert not verdict.good
    assert "Sharpe ratio" in verdict.reason
    assert "drawdown" not in verdict.reason


def test_a_sharpe_ratio_of_few_days_is_not_asked_for() -> None:
    losing = np.tile([-0.002, -0.001], 5)
    assert judge(losing, EXPECTED, 252).good
    assert not judge(losing, EXPECTED, 252, Rules(sharpe_days=5)).good


def test_no_results_are_no_reason_to_go_back() -> None:
    verdict = judge(np.empty(0), EXPECTED, 252)
    assert (verdict.good, verdict.days) == (True, 0)


def test_equal_results_get_equal_verdicts() -> None:
    assert judge(drawn(1, 30), EXPECTED, 252) == judge(drawn(1, 30), EXPECTED, 252)


def test_on_a_single_day_few_of_those_that_are_as_expected_are_taken_back_and_most_broken_ones_are() -> None:
    rules = Rules(replications=300)
    alarms = sum(not judge(drawn(seed, 40), EXPECTED, 252, rules).good for seed in range(1, 101))
    caught = sum(not judge(drawn(seed, 40, mean=-0.004), EXPECTED, 252, rules).good for seed in range(1, 101))
    assert alarms <= 15  # two rules of 5 % each, which mostly agree
    assert caught >= 80


def test_more_days_than_the_test_had_can_be_judged() -> None:
    assert judge(drawn(1, 100), EXPECTED[:40], 252).days == 100
