"""GARCH(1,1), Bollerslev 1986: variance that clusters. h' = omega + alpha r^2 + beta h, with mean zero."""

from __future__ import annotations

from typing import Final

import numpy as np

from common.quant.kernel import NAN, Floats, kernel

GARCH_STATE: Final = 1


@kernel
def garch_step(state: Floats, value: float, omega: float, alpha: float, beta: float) -> float:
    """Variance of the next return after the return `value`. `state` is float64[1]: that of this one, 0 when fresh, which stands
    for the variance in the long run. Needs alpha + beta < 1.
    """
    before = state[0] if state[0] > 0.0 else omega / (1.0 - alpha - beta)
    state[0] = omega + alpha * value * value + beta * before
    return float(state[0])


@kernel
def garch(values: Floats, omega: float, alpha: float, beta: float) -> Floats:
    """Variance of the next return after each of a whole series."""
    state, out = np.zeros(GARCH_STATE), np.empty(values.size)
    for i in range(values.size):
        out[i] = garch_step(state, values[i], omega, alpha, beta)
    return out


@kernel
def garch_forecast(variance: float, bars: float, omega: float, alpha: float, beta: float) -> float:
    """Variance of the sum of the next `bars` returns, where that of the next one is `variance`. Below one bar it is a share of
    that; `bars` need not be a whole number.
    """
    if bars <= 1.0:
        return variance * bars
    persistence = alpha + beta
    usual = omega / (1.0 - persistence)
    return float(bars * usual + (variance - usual) * (1.0 - persistence**bars) / (1.0 - persistence))


@kernel
def garch_log_likelihood(values: Floats, first: float, omega: float, alpha: float, beta: float) -> float:
    """Of a series whose first return has variance `first`; NaN where a variance is not above 0."""
    variance, total = first, 0.0
    for i in range(values.size):
        if not variance > 0.0:
            return NAN
        total -= 0.5 * (np.log(2.0 * np.pi) + np.log(variance) + values[i] * values[i] / variance)
        variance = omega + alpha * values[i] * values[i] + beta * variance
    return total
