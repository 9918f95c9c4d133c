"""GARCH(1,1) against the package arch, and against simulated paths."""

from __future__ import annotations

import numpy as np
import pytest
from arch import arch_model
from hypothesis import given
from hypothesis import strategies as st

from common.quant import garch

OMEGA, ALPHA, BETA = 0.05, 0.1, 0.85


def simulate(count: int, seed: int) -> np.ndarray:
    rng, out, variance = np.random.default_rng(seed), np.empty(count), 1.0
    for i in range(count):
        out[i] = np.sqrt(variance) * rng.standard_normal()
        variance = OMEGA + ALPHA * out[i] ** 2 + BETA * variance
    return out


@pytest.mark.req("REG-06")
def test_variances_and_likelihood_are_those_of_arch_with_the_same_parameters() -> None:
    values = simulate(2_000, 3)
    theirs = arch_model(values, mean="Zero", vol="GARCH", rescale=False).fix([OMEGA, ALPHA, BETA])
    ours = garch.garch(values, OMEGA, ALPHA, BETA)
    # arch begins at another variance; what is left of that after 600 returns is 0.95^600.
    np.testing.assert_allclose(ours[600:-1], theirs.conditional_volatility[601:] ** 2, rtol=1e-9)
    first = float(theirs.conditional_volatility[0] ** 2)
    likelihood = garch.garch_log_likelihood(values, first, OMEGA, ALPHA, BETA)
    assert likelihood == pytest.approx(theirs.loglikelihood, abs=1e-6)


@pytest.mark.req("REG-06")
def test_a_forecast_is_the_sum_of_archs_forecasts() -> None:
    values = simulate(2_000, 4)
    theirs = arch_model(values, mean="Zero", vol="GARCH", rescale=False).fix([OMEGA, ALPHA, BETA])
    ahead = theirs.forecast(horizon=48).variance.iloc[-1].to_numpy()
    variance = garch.garch(values, OMEGA, ALPHA, BETA)[-1]
    for bars in (1, 2, 24, 48):
        ours = garch.garch_forecast(variance, float(bars), OMEGA, ALPHA, BETA)
        assert ours == pytest.approx(ahead[:bars].sum(), rel=1e-9)
    assert garch.garch_forecast(variance, 1 / 7, OMEGA, ALPHA, BETA) == pytest.approx(variance / 7)


@pytest.mark.req("REG-06")
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 60))
def test_bar_by_bar_and_over_arrays_give_the_same_bits_even_after_a_restart(seed: int, cut: int) -> None:
    values, state = np.random.default_rng(seed).normal(size=60), np.zeros(garch.GARCH_STATE)
    first = [garch.garch_step(state, value, OMEGA, ALPHA, BETA) for value in values[:cut]]
    state = state.copy()
    second = [garch.garch_step(state, value, OMEGA, ALPHA, BETA) for value in values[cut:]]
    assert np.array(first + second).tobytes() == garch.garch(values, OMEGA, ALPHA, BETA).tobytes()
