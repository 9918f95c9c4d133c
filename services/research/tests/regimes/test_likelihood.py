"""Fits against the package arch, and against paths whose parameters are known."""

from __future__ import annotations

import numpy as np
import pytest
from arch import arch_model

from common.quant.garch import garch_log_likelihood
from research.regimes.likelihood import fit_dcc, fit_garch

OMEGA, ALPHA, BETA = 0.05, 0.1, 0.85


def simulate(count: int, seed: int) -> np.ndarray:
    rng, out, variance = np.random.default_rng(seed), np.empty(count), 1.0
    for i in range(count):
        out[i] = np.sqrt(variance) * rng.standard_normal()
        variance = OMEGA + ALPHA * out[i] ** 2 + BETA * variance
    return out


@pytest.mark.req("REG-06")
@pytest.mark.parametrize("seed", [1, 2])
def test_a_fit_is_as_likely_as_that_of_arch(seed: int) -> None:
    values = simulate(3_000, seed)
    theirs = arch_model(values, mean="Zero", vol="GARCH", rescale=False).fit(disp="off")
    ours = fit_garch([values])
    first = float(np.mean(values**2))
    of_theirs = garch_log_likelihood(values, first, *theirs.params)
    assert ours.log_likelihood >= of_theirs - 0.01
    np.testing.assert_allclose(ours[1:3], theirs.params[1:], atol=0.01)


@pytest.mark.req("REG-06")
def test_too_little_or_nothing_that_moves_is_an_error() -> None:
    for series in ([np.ones(49)], [np.zeros(100)]):
        with pytest.raises(ValueError, match="Expected at least 50 returns"):
            fit_garch(series)


@pytest.mark.req("REG-03")
def test_the_parameters_of_dcc_are_found_again() -> None:
    rng, usual = np.random.default_rng(2), np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.3], [0.2, 0.3, 1.0]])
    q, shocks = usual, np.empty((3_000, 3))
    for t in range(len(shocks)):
        root = np.diag(1 / np.sqrt(np.diag(q)))
        shocks[t] = np.linalg.cholesky(root @ q @ root) @ rng.standard_normal(3)
        q = 0.05 * usual + 0.05 * np.outer(shocks[t], shocks[t]) + 0.9 * q
    a, b = fit_dcc(shocks)
    assert a == pytest.approx(0.05, abs=0.015)
    assert b == pytest.approx(0.9, abs=0.05)


@pytest.mark.req("REG-03")
def test_too_few_shocks_are_an_error() -> None:
    for shocks in (np.ones((49, 2)), np.ones((60, 1)), np.ones(60)):
        with pytest.raises(ValueError, match="Expected at least 50 rows of two or more"):
            fit_dcc(shocks)
