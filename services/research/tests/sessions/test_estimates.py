"""Figures and what they rest on, against independent sources."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.sessions.estimates import Estimate, correlation, mean, rank_correlation, share, shrink, student

figures = st.lists(st.floats(-100, 100), min_size=4, max_size=60).map(np.array)


@pytest.mark.req("REG-11")
@pytest.mark.parametrize(
    ("freedom", "point"), [(3, 3.182446), (5, 2.570582), (10, 2.228139), (30, 2.042272), (1000, 1.962339)]
)
def test_students_point_is_that_of_the_tables(freedom: int, point: float) -> None:
    assert student(freedom) == pytest.approx(point, rel=1.5e-3)


@pytest.mark.req("REG-11")
def test_a_share_has_wilsons_interval() -> None:
    """10 of 100, as in Brown, Cai & DasGupta (2001): 0.0552 to 0.1744."""
    assert share(10, 100) == (100, 0.1, pytest.approx(0.0552, abs=5e-5), pytest.approx(0.1744, abs=5e-5))
    assert share(0, 0) == Estimate(0)
    assert share(5, 5).high == 1.0


@pytest.mark.req("REG-11")
def test_the_mean_of_independent_values_has_at_least_students_interval() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    found = mean(values)
    half = student(399) * values.std(ddof=1) / sqrt(400)
    assert found.n == 400
    assert found.value == pytest.approx(values.mean())
    assert found.high is not None
    assert half * (1 - 1e-9) <= found.high - values.mean() <= 1.3 * half


@pytest.mark.req("REG-11")
def test_clustered_values_have_the_interval_of_newey_and_west() -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    noise = np.random.default_rng(2).normal(size=500)
    values = np.convolve(noise, [1.0, 0.9, 0.8, 0.7], mode="valid")
    n = values.size
    lags = int(4 * (n / 100) ** (2 / 9))
    theirs = statsmodels.OLS(values, np.ones(n)).fit(cov_type="HAC", cov_kwds={"maxlags": lags}).bse[0]
    found = mean(values)
    assert found.high is not None
    ours = (found.high - values.mean()) / student(n - 1)
    assert ours == pytest.approx(theirs, rel=2e-3)  # theirs divides every term by n, ours the first by n - 1
    assert ours > 1.5 * values.std(ddof=1) / sqrt(n)


@pytest.mark.req("REG-11")
def test_what_is_undefined_is_none_and_a_few_values_have_no_interval() -> None:
    assert mean(np.array([np.nan])) == Estimate(0)
    assert mean(np.array([1.0, 3.0, np.nan])) == Estimate(2, 2.0)
    assert correlation(np.ones(9), np.arange(9.0)) == Estimate(9)
    assert rank_correlation(np.arange(3.0), np.arange(3.0)) == Estimate(3)


@pytest.mark.req("REG-11")
@given(figures)
def test_rank_correlation_is_scipys_and_knows_no_scale(x: np.ndarray) -> None:
    stats = pytest.importorskip("scipy.stats")
    y = np.roll(x, 1) + np.arange(x.size)
    ours = rank_correlation(x, y)
    if not np.ptp(x) or not np.ptp(y):
        assert ours.value is None
        return
    assert ours.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert rank_correlation(x * 8, y).value == ours.value


@pytest.mark.req("REG-11")
def test_a_correlation_has_fishers_interval() -> None:
    stats = pytest.importorskip("scipy.stats")
    x, noise = np.random.default_rng(3).normal(size=(2, 80))
    theirs = stats.pearsonr(x, x + noise).confidence_interval(0.95)
    ours = correlation(x, x + noise)
    assert (ours.low, ours.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


@pytest.mark.req("REG-13")
def test_more_tests_ask_for_more() -> None:
    borderline = Estimate(100, 1.0, 0.1, 1.9)  # 2.2 standard errors
    assert borderline.stands(1)
    assert not borderline.stands(10)
    assert not Estimate(100, 1.0).stands(1)


@pytest.mark.req("REG-12")
@given(
    st.lists(st.tuples(st.floats(-50, 50), st.integers(1, 500)), min_size=2, max_size=24),
    st.floats(0, 1e4),
    st.floats(-20, 20),
)
def test_shrinkage_lies_between_the_groups_mean_and_that_of_all(
    groups: list[tuple[float, int]], variance: float, center: float
) -> None:
    means, counts = np.array([mean for mean, _ in groups]), np.array([n for _, n in groups])
    drawn = shrink(means, counts, variance, center)
    low, high = np.minimum(means, center), np.maximum(means, center)
    assert np.all((drawn.means >= low - 1e-9) & (drawn.means <= high + 1e-9))
    order = np.argsort(counts)
    assert np.all(np.diff(drawn.weights[order]) >= -1e-12)  # the more is known, the more it counts


@pytest.mark.req("REG-12")
def test_groups_that_differ_by_chance_alone_are_drawn_to_the_mean_and_others_hardly() -> None:
    rng = np.random.default_rng(4)
    chance = rng.normal(0.0, 10.0, (24, 400)).mean(axis=1)
    counts = np.full(24, 400)
    drawn = shrink(chance, counts, 100.0, float(chance.mean()))
    assert np.abs(drawn.means - drawn.center).max() < 0.6 * np.abs(chance - drawn.center).max()
    real = chance + np.arange(24) - 11.5
    assert shrink(real, counts, 100.0, float(real.mean())).weights.min() > 0.99


@pytest.mark.req("REG-12")
def test_the_weight_of_equal_groups_is_that_of_the_textbook() -> None:
    """Between-group variance by moments over that plus the noise of a mean."""
    means, counts = np.array([1.0, -1.0, 3.0, -3.0]), np.full(4, 10)
    drawn = shrink(means, counts, 20.0, 0.0)
    between = np.mean(means**2) - 20.0 / 10
    assert drawn.spread == pytest.approx(sqrt(between))
    assert drawn.weights == pytest.approx(np.full(4, between / (between + 2.0)))
