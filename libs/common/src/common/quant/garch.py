"""GARCH(1,1), Bollerslev 1986: variance that clusters. h' = omega + alpha r^2 + beta h, with mean zero."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from common.quant.kernel import NAN, Floats, kernel
from common.quant.simplex import minimize

GARCH_STATE: Final = 1


class Fitted(NamedTuple):
    """`log_likelihood` is that of a normal distribution, in nats."""

    omega: float
    alpha: float
    beta: float
    log_likelihood: float


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


def fit(series: list[Floats]) -> Fitted:
    """Maximum likelihood over independent series of returns, in units in which they are near 1. Each begins at its own mean
    square. Raises ValueError with fewer than 50 returns, or where nothing moves.
    """
    pooled = np.concatenate(series)
    usual = float(np.mean(pooled**2))
    if pooled.size < 50 or not usual > 0.0:
        raise ValueError("Expected at least 50 returns that move")
    firsts = [float(np.mean(values**2)) for values in series]

    def loss(place: Floats) -> float:
        omega, alpha, beta = _from_free(place, usual)
        total = sum(garch_log_likelihood(x, first, omega, alpha, beta) for x, first in zip(series, firsts, strict=True))
        return 1e12 if total != total else -float(total) / pooled.size

    starts = ((0.05, 0.90), (0.10, 0.80), (0.03, 0.96))
    found = [minimize(loss, _to_free(alpha, beta)) for alpha, beta in starts]
    place, least = min(found, key=lambda each: each[1])
    return Fitted(*_from_free(place, usual), -least * pooled.size)


def _to_free(alpha: float, beta: float) -> Floats:
    """Log of omega over what the long run would ask for, logits of persistence and of the share of alpha in it."""
    persistence = alpha + beta
    return np.array([0.0, np.log(persistence / (1.0 - persistence)), np.log(alpha / beta)])


def _from_free(place: Floats, usual: float) -> tuple[float, float, float]:
    persistence = 0.99999 / (1.0 + np.exp(-place[1]))
    share = 1.0 / (1.0 + np.exp(-place[2]))
    omega = usual * (1.0 - persistence) * np.exp(place[0])
    return float(omega), float(persistence * share), float(persistence * (1.0 - share))
