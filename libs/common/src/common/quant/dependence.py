"""How returns hang together: EWMA and DCC correlations, share of common factors, crashes at the same time."""

from __future__ import annotations

from math import ceil
from typing import Final

import numpy as np

from common.quant.kernel import NAN, Floats, kernel

PAIR: Final = 4  # words per pair: observations, covariance, variance of the one and of the other
_LEAST_PRODUCT: Final = 1e-280  # of two variances: below, bits are lost until anything is a correlation of one


@kernel
def pair_step(state: Floats, x: float, y: float, decay: float, warmup: int) -> float:
    """Exponentially weighted correlation of two returns of mean zero, in [-1, 1] (RiskMetrics 1996).

    `state` is float64[4]. All three moments have the same weights, a plain mean while younger than `decay` allows, so that the
    matrix of many pairs that are always seen together is positive semidefinite. NaN before `warmup` observations and where one
    of the two has not moved, or not for thousands of observations.
    """
    state[0] += 1.0
    weight = max(1.0 / state[0], 1.0 - decay)
    state[1] += (x * y - state[1]) * weight
    state[2] += (x * x - state[2]) * weight
    state[3] += (y * y - state[3]) * weight
    if state[0] < warmup or not state[2] * state[3] > _LEAST_PRODUCT:
        return NAN
    return float(min(max(state[1] / np.sqrt(state[2] * state[3]), -1.0), 1.0))


@kernel
def ewma_correlation(x: Floats, y: Floats, decay: float, warmup: int) -> Floats:
    """`pair_step` over whole series."""
    state, out = np.zeros(PAIR), np.empty(x.size)
    for i in range(x.size):
        out[i] = pair_step(state, x[i], y[i], decay, warmup)
    return out


@kernel
def dcc_step(q: Floats, shocks: Floats, usual: Floats, a: float, b: float, out: Floats) -> None:
    """Correlations of the next returns by scalar DCC(1,1) (Engle 2002): Q' = (1 - a - b) S + a e e' + b Q.

    `q` is float64[n, n], all zeros when fresh, which stands for `usual` (S, the correlations of the shocks in the long run).
    `shocks` are returns over their own GARCH deviations. Needs a, b >= 0 and a + b < 1. `out` has ones on its diagonal.
    """
    count = shocks.size
    fresh = q[0, 0] == 0.0
    for i in range(count):
        for j in range(count):
            before = usual[i, j] if fresh else q[i, j]
            q[i, j] = (1.0 - a - b) * usual[i, j] + a * shocks[i] * shocks[j] + b * before
    for i in range(count):
        for j in range(count):
            out[i, j] = 1.0 if i == j else q[i, j] / np.sqrt(q[i, i] * q[j, j])


@kernel
def dcc(shocks: Floats, usual: Floats, a: float, b: float) -> Floats:
    """`dcc_step` over a whole series: float64[T, n, n] of `shocks`, float64[T, n]."""
    count = shocks.shape[1]
    q, out = np.zeros((count, count)), np.empty((shocks.shape[0], count, count))
    for t in range(shocks.shape[0]):
        dcc_step(q, shocks[t], usual, a, b, out[t])
    return out


def factor_shares(matrix: Floats) -> Floats:
    """Share of the variance that each principal component explains, falling, of a covariance or correlation matrix; they add up
    to 1. The first near 1: everything moves as one.
    """
    values = np.clip(np.linalg.eigvalsh(matrix)[::-1], 0.0, None)
    return np.asarray(values / values.sum())


def lower_tail_dependence(x: Floats, y: Floats, level: float) -> float:
    """Share of the days on which `x` is among its worst `level` on which `y` is among its own: `level` itself for independent
    returns, 1 for those that crash together. The worst are the lowest ceil(level * T) by rank; equal values by their order. NaN
    without data.
    """
    count = ceil(round(level * x.size, 9))  # 0.07 x 100 is 7.000000000000001
    if count == 0:
        return NAN
    worst_of_x = np.argsort(x, kind="stable")[:count]
    worst_of_y = np.argsort(y, kind="stable")[:count]
    return float(np.isin(worst_of_x, worst_of_y).sum() / count)
