"""Block bootstrap: lengths agree with the `arch` package, intervals with theory, and pairing removes what is shared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.quant import bootstrap as b

pytestmark = pytest.mark.req("RES-03")


def autoregressive(n: int, phi: float) -> np.ndarray:
    """Of exact integers, so that it is the same series wherever it is made."""
    seed, level, path = 1, 0.0, []
    for _ in range(n):
        seed = (seed * 1103515245 + 12345) % 2**31
        level = phi * level + seed / 2**31 - 0.5
        path.append(level)
    return np.array(path)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


# arch 8.0.0, arch.bootstrap.optimal_block_length
@pytest.mark.parametrize(
    ("n", "phi", "stationary", "circular"),
    [
        (250, 0.3, 5.2720333727980435, 6.034971689058399),
        (1000, 0.6, 12.297446640298933, 14.07706231618981),
        (1000, 0.9, 44.4306926845756, 50.86044672254381),
        (250, -0.4, 1.5252518022663828, 1.745977461534467),
    ],
)
def test_block_lengths_agree_with_arch(n: int, phi: float, stationary: float, circular: float) -> None:
    series = autoregressive(n, phi)
    assert b.block_length(series) == pytest.approx(stationary, rel=1e-9)
    assert b.block_length(series, b.Scheme.CIRCULAR) == pytest.approx(circular, rel=1e-9)


@given(st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=80))
def test_a_block_is_at_least_one_period_and_at_most_a_third_of_them(values: list[float]) -> None:
    length = b.block_length(np.array(values))
    assert 1.0 <= length <= max(1.0, np.ceil(len(values) / 3))


@given(st.integers(1, 60), st.floats(1, 80), st.sampled_from(b.Scheme), st.integers(0, 999))
def test_a_sample_has_the_length_of_the_data_and_only_its_positions(
    n: int, block: float, scheme: b.Scheme, seed: int
) -> None:
    at = b.resample(n, block, 5, rng(seed), scheme)
    assert at.shape == (5, n)
    assert at.min() >= 0
    assert at.max() < n
    assert np.array_equal(at, b.resample(n, block, 5, rng(seed), scheme))


def test_blocks_have_the_length_asked_for_and_every_period_is_drawn_as_often() -> None:
    circular = b.resample(100, 10, 400, rng(), b.Scheme.CIRCULAR)
    within = (np.diff(circular, axis=1) % 100 == 1).reshape(400, -1)
    assert within[:, [i for i in range(99) if i % 10 != 9]].all()
    stationary = b.resample(100, 10, 400, rng())
    breaks = np.mean(np.diff(stationary, axis=1) % 100 != 1)
    assert 1 / breaks == pytest.approx(10, rel=0.05)
    for at in (circular, stationary):
        assert np.bincount(at.ravel(), minlength=100) == pytest.approx(400, rel=0.35)


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    returns = rng().normal(0.001, 0.01, 2_000)
    found = b.bootstrap_interval(returns, b.means, rng(2), block=1.0)
    assert found is not None
    half = 1.96 * returns.std() / np.sqrt(returns.size)
    assert found.estimate == pytest.approx(returns.mean())
    assert found.high - found.low == pytest.approx(2 * half, rel=0.08)
    assert found.low < found.estimate < found.high


@pytest.mark.parametrize("scheme", list(b.Scheme))
def test_blocks_widen_the_interval_of_correlated_returns_as_they_should(scheme: b.Scheme) -> None:
    returns = autoregressive(4_000, 0.6)
    wide = b.bootstrap_interval(returns, b.means, rng(), scheme=scheme)
    narrow = b.bootstrap_interval(returns, b.means, rng(), block=1.0)
    assert wide is not None
    assert narrow is not None
    # The long-run deviation of an AR(1) is sqrt((1 + phi) / (1 - phi)) = 2 times that of independent draws.
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(2.0, abs=0.3)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(120):
        found = b.bootstrap_interval(
            rng(seed).normal(0.05, 1.0, 250), b.sharpes, rng(seed), level=0.9, replications=300
        )
        assert found is not None
        covered += found.low <= 0.05 <= found.high
    assert 0.8 <= covered / 120 <= 0.97


def test_a_paired_difference_is_far_surer_than_two_intervals() -> None:
    market = rng().normal(0.0, 0.02, 750)
    better, worse = market + rng(2).normal(0.0006, 0.001, 750), market
    paired = b.bootstrap_interval(better, b.means, rng(), minus=worse)
    alone = b.bootstrap_interval(better, b.means, rng())
    assert paired is not None
    assert alone is not None
    assert paired.low > 0
    assert paired.p_value < 0.01
    assert alone.low < 0
    assert alone.p_value > 0.05
    assert paired.estimate == pytest.approx(better.mean() - worse.mean())


def test_equal_books_differ_by_nothing() -> None:
    returns = rng().normal(0.0, 0.01, 100)
    found = b.bootstrap_interval(returns, b.sharpes, rng(), minus=returns)
    assert found is not None
    assert (found.estimate, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_an_interval_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    returns = autoregressive(3_000, 0.2)
    first = b.bootstrap_interval(returns, b.sharpes, rng(5), replications=500)
    assert first == b.bootstrap_interval(returns, b.sharpes, rng(5), replications=500)
    assert first != b.bootstrap_interval(returns, b.sharpes, rng(6), replications=500)


def test_what_cannot_be_resampled_is_undefined_and_unequal_lengths_are_refused() -> None:
    assert b.bootstrap_interval(np.array([0.01]), b.means, rng()) is None
    assert b.bootstrap_interval(np.full(50, 0.01), b.sharpes, rng()) is None
    evenly = np.diff(1.001 ** np.arange(60)) / 1.001 ** np.arange(59)
    assert b.bootstrap_interval(evenly, b.sharpes, rng()) is None
    with pytest.raises(ValueError, match="expected the 3"):
        b.bootstrap_interval(np.zeros(3), b.means, rng(), minus=np.zeros(4))
