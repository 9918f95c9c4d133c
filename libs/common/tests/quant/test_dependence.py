"""Dependence between returns, each measure against an independent formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.quant import dependence


def together(count: int, rho: float, seed: int, wide: int = 2) -> np.ndarray:
    matrix = np.full((wide, wide), rho) + (1.0 - rho) * np.eye(wide)
    return np.random.default_rng(seed).multivariate_normal(np.zeros(wide), matrix, size=count)


@pytest.mark.req("REG-03")
@given(seed=st.integers(0, 10**6), decay=st.sampled_from([0.8, 0.94, 0.97]))
def test_an_ewma_correlation_is_that_of_explicit_weights_once_it_is_old(seed: int, decay: float) -> None:
    x, y = together(1_500, 0.5, seed).T
    weights = decay ** np.arange(1_499, -1, -1)
    expected = (weights @ (x * y)) / np.sqrt((weights @ (x * x)) * (weights @ (y * y)))
    ours = dependence.ewma_correlation(x, y, decay, 10)
    assert ours[-1] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(ours[:9]).all()
    assert (np.abs(ours[9:]) <= 1.0).all()


@pytest.mark.req("REG-03")
def test_a_young_ewma_correlation_weighs_all_the_same() -> None:
    x, y = together(12, 0.5, 3).T
    ours = dependence.ewma_correlation(x, y, 0.94, 3)[-1]
    assert ours == pytest.approx((x @ y) / np.sqrt((x @ x) * (y @ y)), rel=1e-12)


@pytest.mark.req("REG-03")
def test_what_does_not_move_has_no_correlation() -> None:
    assert np.isnan(dependence.ewma_correlation(np.zeros(50), np.ones(50), 0.94, 5)).all()


@pytest.mark.req("REG-03")
def test_what_has_stood_still_for_thousands_of_bars_has_no_correlation_either() -> None:
    """Its moments shrink with every bar until they are too small for a product."""
    x, y = np.vstack((together(50, 0.2, 3), np.zeros((12_000, 2)))).T
    ours = dependence.ewma_correlation(1e-4 * x, 1e-4 * y, 0.94, 30)
    np.testing.assert_allclose(ours[50:4_000], ours[49], rtol=1e-9)
    assert np.isnan(ours[6_000:]).all()
    assert np.nanmax(np.abs(ours[29:])) < 0.5


@pytest.mark.req("REG-03")
def test_dcc_is_engles_recursion_written_with_matrices() -> None:
    shocks, a, b = together(300, 0.4, 7, wide=3), 0.05, 0.9
    usual = np.corrcoef(shocks, rowvar=False)
    q = usual
    ours = dependence.dcc(shocks, usual, a, b)
    for t, shock in enumerate(shocks):
        q = (1 - a - b) * usual + a * np.outer(shock, shock) + b * q
        root = np.diag(1 / np.sqrt(np.diag(q)))
        np.testing.assert_allclose(ours[t], root @ q @ root, rtol=1e-10)


@pytest.mark.req("REG-03")
def test_shares_of_factors_are_squared_singular_values() -> None:
    x = together(400, 0.6, 5, wide=4)
    away = x - x.mean(axis=0)
    singular = np.linalg.svd(away, compute_uv=False) ** 2
    np.testing.assert_allclose(dependence.factor_shares(np.cov(x, rowvar=False)), singular / singular.sum(), rtol=1e-9)
    np.testing.assert_allclose(dependence.factor_shares(np.ones((3, 3))), [1.0, 0.0, 0.0], atol=1e-12)


@pytest.mark.req("REG-03")
def test_lower_tails_of_what_moves_as_one_meet_and_of_strangers_hardly_do() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 100_000))
    assert dependence.lower_tail_dependence(x, np.exp(x), 0.05) == 1.0
    assert dependence.lower_tail_dependence(x, y, 0.05) == pytest.approx(0.05, abs=0.01)
    assert dependence.lower_tail_dependence(x, -x, 0.05) == 0.0
    assert np.isnan(dependence.lower_tail_dependence(x[:0], y[:0], 0.05))


@pytest.mark.req("REG-03")
@pytest.mark.parametrize(("level", "count", "worst"), [(0.07, 100, 7), (0.05, 100, 5), (0.05, 90, 5), (0.1, 30, 3)])
def test_the_worst_are_as_many_as_the_level_says(level: float, count: int, worst: int) -> None:
    x = np.arange(count, dtype=np.float64)
    turned = np.concatenate((x[:worst], [-1.0], x[worst + 1 :]))  # the next worst of x is the worst of the other
    assert dependence.lower_tail_dependence(x, turned, level) == (worst - 1) / worst


@pytest.mark.req("REG-03")
def test_lower_tail_dependence_of_a_clayton_copula_is_its_formula() -> None:
    """C(u, u) / u at u = level, with C the Clayton copula (Nelsen 2006, 4.2.1)."""
    rng, theta, level = np.random.default_rng(4), 2.0, 0.05
    u, w = rng.random((2, 200_000))
    v = ((w ** (-theta / (1 + theta)) - 1) * u**-theta + 1) ** (-1 / theta)
    expected = (2 * level**-theta - 1) ** (-1 / theta) / level
    assert dependence.lower_tail_dependence(u, v, level) == pytest.approx(expected, abs=0.02)
