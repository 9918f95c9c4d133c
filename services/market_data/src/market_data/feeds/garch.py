"""GARCH(1,1) with Student t innovations: h' = w + a r^2 + b h, fitted by likelihood with the variance targeted.

Plain numpy on purpose: market data needs neither scipy nor a compiler. The mean is zero, w = variance (1 - a - b).
"""

from __future__ import annotations

from itertools import product
from math import exp, lgamma, log, pi
from typing import Final

import msgspec
import numpy as np

from market_data.feeds.files import Floats

RETURNS: Final = 4_000  # at most so many, the newest, are fitted to
_POINTS: Final = np.linspace(-1.0, 1.0, 5)
_ROUNDS: Final = 10
# Searched in a, in the log of the memory 1 / (1 - a - b), and in 1 / degrees of freedom.
_LOWEST: Final = np.array([0.0, log(2.0), 0.02])
_HIGHEST: Final = np.array([0.3, log(1_000.0), 0.4])


class Garch(msgspec.Struct, frozen=True):
    """`variance` is the long-run one of a period, `freedom` the degrees of freedom of the innovations (> 2)."""

    variance: float
    alpha: float
    beta: float
    freedom: float

    def __str__(self) -> str:
        return f"alpha {self.alpha:.3f}, beta {self.beta:.3f}, {self.freedom:.1f} degrees of freedom"


def fit(returns: Floats) -> Garch:
    """The likeliest on a grid that is narrowed ten times. `returns` are of equal periods and not all zero."""
    newest = returns[-RETURNS:]
    variance = float(np.mean(returns**2))
    center, width = (_LOWEST + _HIGHEST) / 2, (_HIGHEST - _LOWEST) / 2
    for _ in range(_ROUNDS):
        axes = np.clip(center[:, None] + width[:, None] * _POINTS, _LOWEST[:, None], _HIGHEST[:, None])
        center = _likeliest(newest, variance, axes)
        width = width / 2
    alpha, persistence = float(center[0]), 1.0 - exp(-float(center[1]))
    return Garch(variance, alpha, persistence - alpha, 1.0 / float(center[2]))


def variances(returns: Floats, model: Garch) -> Floats:
    """The variance expected of each period from what was before it; the long-run one for the first."""
    return _variances(returns, model.variance, np.array([model.alpha]), np.array([model.alpha + model.beta]))[:, 0]


def simulate(
    models: list[Garch], innovations: Floats, there: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> Floats:
    """Returns, periods x series, from innovations of unit variance. Where a series is not `there`, its time stands still."""
    variance = np.array([model.variance for model in models])
    alpha, beta = (np.array([getattr(model, name) for model in models]) for name in ("alpha", "beta"))
    constant, level = variance * (1.0 - alpha - beta), variance.copy()
    moves = np.where(there, innovations, 0.0)
    for t, present in enumerate(there):
        moves[t] *= np.sqrt(level)
        level = np.where(present, constant + alpha * moves[t] ** 2 + beta * level, level)
    return moves


def _likeliest(returns: Floats, variance: float, axes: Floats) -> Floats:
    pairs = np.array(list(product(axes[0], axes[1])))
    expected = _variances(returns, variance, pairs[:, 0], 1.0 - np.exp(-pairs[:, 1]))
    scaled, logs = returns[:, None] ** 2 / expected, np.log(expected).sum(axis=0)
    score = np.array([_log_likelihood(scaled, logs, 1.0 / inverse) for inverse in axes[2]])
    freedom, pair = np.unravel_index(int(score.argmax()), score.shape)
    return np.array([*pairs[pair], axes[2][freedom]])


def _log_likelihood(scaled: Floats, logs: Floats, freedom: float) -> Floats:
    constant = lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - 0.5 * log(pi * (freedom - 2))
    tails = np.log1p(scaled / (freedom - 2)).sum(axis=0)
    return np.asarray(len(scaled) * constant - 0.5 * logs - (freedom + 1) / 2 * tails)


def _variances(returns: Floats, variance: float, alpha: Floats, persistence: Floats) -> Floats:
    """Periods x parameter sets. What cannot be (a > a + b) gets the nearest that can: b = 0."""
    beta = np.maximum(persistence - alpha, 0.0)
    expected = np.empty((returns.size, alpha.size))
    level = np.full(alpha.size, variance)
    drive = variance * (1.0 - alpha - beta) + alpha * (returns**2)[:, None]
    for t in range(returns.size):
        expected[t] = level
        level = drive[t] + beta * level
    return expected
