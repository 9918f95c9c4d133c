"""Overfitting statistics hold the papers' figures, agree with their plain definitions and obey their laws."""

from __future__ import annotations

from itertools import combinations
from math import log, sqrt
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.quant import overfitting as o
from common.quant.bootstrap import sharpes

pytestmark = pytest.mark.req("RES-04")

BEST = o.Moments(1250, 2.5 / sqrt(250), skewness=-3.0, kurtosis=10.0)
VARIANCE = 0.5 / 250  # of the Sharpes of all trials, per day


def noise(periods: int, configurations: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.01, (periods, configurations))


def test_the_example_of_the_deflated_sharpe_paper_holds() -> None:
    assert o.expected_max_sharpe(100, VARIANCE) == pytest.approx(0.1132, abs=5e-5)
    assert o.deflated_sharpe(BEST, 100, VARIANCE) == pytest.approx(0.9004, abs=5e-5)
    assert o.deflated_sharpe(BEST, 46, VARIANCE) == pytest.approx(0.9505, abs=5e-5)
    normal = o.Moments(1250, BEST.sharpe)
    assert o.deflated_sharpe(normal, 88, VARIANCE) == pytest.approx(0.9505, abs=5e-5)


def test_the_examples_of_the_probabilistic_sharpe_paper_hold() -> None:
    assert o.probabilistic_sharpe(o.Moments(24, 0.458)) == pytest.approx(0.982, abs=5e-4)
    assert o.probabilistic_sharpe(o.Moments(24, 0.458, -2.448, 10.164)) == pytest.approx(0.913, abs=5e-4)
    for a_year, years in ((252, 2.73), (52, 2.83), (12, 3.24)):
        needed = o.min_track_record(o.Moments(1, 2 / sqrt(a_year)), 1 / sqrt(a_year))
        assert needed is not None
        assert needed / a_year == pytest.approx(years, abs=5e-3)
    needed = o.min_track_record(o.Moments(1, 2 / sqrt(12), -0.72, 5.78), 1 / sqrt(12))
    assert needed is not None
    assert needed / 12 == pytest.approx(4.99, abs=5e-3)


@given(st.floats(0.01, 0.5), st.floats(-1.0, 0.5), st.floats(3.0, 9.0), st.floats(0.55, 0.99))
def test_after_the_minimum_track_record_the_probability_is_the_confidence(
    sharpe: float, skewness: float, kurtosis: float, confidence: float
) -> None:
    needed = o.min_track_record(o.Moments(1, sharpe, skewness, kurtosis), 0.0, confidence)
    assert needed is not None
    # Periods are whole in life; the law does not care.
    reached = o.probabilistic_sharpe(o.Moments(needed, sharpe, skewness, kurtosis))  # type: ignore[arg-type]
    if needed >= 2:
        assert reached == pytest.approx(confidence, abs=1e-9)


def test_the_more_trials_the_lower_the_deflated_sharpe_and_one_trial_deflates_nothing() -> None:
    falling = [o.deflated_sharpe(BEST, trials, VARIANCE) for trials in (1, 1.5, 2, 5, 10, 100, 1000)]
    assert falling == sorted(falling, reverse=True)  # type: ignore[type-var]
    assert falling[0] == o.probabilistic_sharpe(BEST)


def test_the_expected_maximum_is_about_what_the_best_of_many_draws_shows() -> None:
    drawn = np.random.default_rng(3).normal(0.0, 0.1, (4_000, 50)).max(axis=1).mean()
    assert o.expected_max_sharpe(50, 0.01) == pytest.approx(drawn, rel=0.02)


def test_the_deflated_sharpe_of_the_best_of_worthless_trials_is_no_discovery() -> None:
    found = 0
    for seed in range(60):
        returns = noise(250, 40, seed)
        trials = sharpes(returns.T)
        best = o.moments(returns[:, int(trials.argmax())])
        assert best is not None
        found += (o.deflated_sharpe(best, 40, float(trials.var(ddof=1))) or 0.0) > 0.95
    assert found <= 6  # where the probabilistic Sharpe alone is above 0.95 in nearly all


def test_moments_are_those_of_the_definition_and_none_where_nothing_moves() -> None:
    values = [0.01, -0.02, 0.03, 0.005, -0.001]
    found = o.moments(np.array(values))
    assert found is not None
    centred = [value - mean(values) for value in values]
    second = mean(x**2 for x in centred)
    assert found.sharpe == pytest.approx(mean(values) / stdev(values), rel=1e-12)
    assert found.skewness == pytest.approx(mean(x**3 for x in centred) / second**1.5, rel=1e-12)
    assert found.kurtosis == pytest.approx(mean(x**4 for x in centred) / second**2, rel=1e-12)
    assert o.moments(np.full(9, 0.01)) is None
    assert o.moments(np.diff(1.001 ** np.arange(60)) / 1.001 ** np.arange(59)) is None
    assert o.moments(np.array([0.01])) is None


def test_what_no_track_record_can_show_is_undefined() -> None:
    assert o.min_track_record(o.Moments(100, 0.05), 0.05) is None
    assert o.probabilistic_sharpe(o.Moments(100, 1.0, skewness=2.0, kurtosis=1.0)) is None
    assert o.probabilistic_sharpe(o.Moments(1, 0.1)) is None


def test_effective_trials_count_copies_once_and_independent_ones_fully() -> None:
    returns = noise(3_000, 8)
    assert o.effective_trials(returns) == pytest.approx(8, abs=0.3)
    assert o.effective_trials(np.repeat(returns[:, :1], 8, axis=1)) == pytest.approx(1)
    with_idle = np.column_stack((returns, np.zeros(3_000)))
    assert o.effective_trials(with_idle) == pytest.approx(o.effective_trials(returns))
    average = np.corrcoef(returns.T)[np.triu_indices(8, 1)].mean()
    assert o.effective_trials(returns) == pytest.approx(max(average, 0) + (1 - max(average, 0)) * 8)


def plainly(returns: np.ndarray, blocks: int) -> tuple[list[float], list[float], list[float]]:
    """The definition, split by split: logit, the winner's Sharpe in sample and out of sample."""

    def sharpe(values: np.ndarray) -> float:
        return float(values.mean() / values.std(ddof=1)) if values.max() > values.min() else 0.0

    parts = np.array_split(returns, blocks)
    logits, insides, outsides = [], [], []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[i] for i in chosen])
        outside = np.concatenate([parts[i] for i in range(blocks) if i not in chosen])
        before, after = [sharpe(column) for column in inside.T], [sharpe(column) for column in outside.T]
        winner = max(range(len(before)), key=before.__getitem__)
        rank = sum(x < after[winner] for x in after) + (sum(x == after[winner] for x in after) + 1) / 2
        logits.append(log(rank / (len(after) + 1 - rank)))
        insides.append(before[winner])
        outsides.append(after[winner])
    return logits, insides, outsides


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 4, 6]), st.integers(2, 6), st.integers(12, 40))
def test_cross_validation_agrees_with_its_definition(seed: int, blocks: int, configurations: int, periods: int) -> None:
    returns = noise(periods, configurations, seed)
    found = o.backtest_overfitting(returns, blocks)
    assert found is not None
    logits, inside, outside = plainly(returns, blocks)
    assert found.logits == pytest.approx(logits)
    assert found.in_sample == pytest.approx(inside)
    assert found.out_of_sample == pytest.approx(outside)
    assert found.pbo == np.mean(np.array(logits) <= 0)
    assert found.probability_of_loss == np.mean(np.array(outside) < 0)
    if found.degradation_slope is not None and len(inside) > 2:
        assert found.degradation_slope == pytest.approx(np.polyfit(inside, outside, 1)[0])


def test_choosing_among_noise_is_overfitting_half_the_time() -> None:
    pbo = [found.pbo for seed in range(40) if (found := o.backtest_overfitting(noise(160, 12, seed), 8)) is not None]
    assert mean(pbo) == pytest.approx(0.5, abs=0.08)


def test_one_truly_better_configuration_is_found_out_of_sample_too() -> None:
    returns = noise(320, 50)
    returns[:, 17] += 0.006
    found = o.backtest_overfitting(returns, 8)
    assert found is not None
    assert found.pbo < 0.02
    assert found.probability_of_loss < 0.02


def test_equal_configurations_share_their_rank_and_idle_ones_earn_nothing() -> None:
    returns = noise(64, 1)
    same = o.backtest_overfitting(np.repeat(returns, 5, axis=1), 8)
    assert same is not None
    assert np.all(same.logits == 0.0)
    # 0.1 is no binary fraction: its sums are not exact, and still it does not move.
    idle = o.backtest_overfitting(np.column_stack((np.full(64, 0.1), np.zeros(64))), 8)
    assert idle is not None
    assert np.all(idle.in_sample == 0.0)
    assert idle.degradation_slope is None


def test_too_little_to_cross_validate_is_undefined_and_odd_blocks_are_refused() -> None:
    assert o.backtest_overfitting(noise(100, 1)) is None
    assert o.backtest_overfitting(noise(31, 5), 16) is None
    for blocks in (0, 7, 18):
        with pytest.raises(ValueError, match="even number"):
            o.backtest_overfitting(noise(100, 5), blocks)


def test_all_12870_splits_of_16_blocks_are_judged() -> None:
    found = o.backtest_overfitting(noise(300, 20), 16)
    assert found is not None
    assert found.logits.size == 12_870
