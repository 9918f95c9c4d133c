"""Figures with what they rest on: the sample size, and an interval wherever there is one. What is undefined is None."""

from __future__ import annotations

from math import atanh, sqrt, tanh
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVEL: Final = 0.95
_Z: Final = NormalDist().inv_cdf(0.5 + LEVEL / 2)
FEW: Final = 4  # fewer values than this have no interval


class Estimate(NamedTuple):
    """`value` rests on `n` observations; the interval is two-sided at 95 %."""

    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None

    def stands(self, tests: int) -> bool:
        """Whether it differs from zero at 5 % over all of so many tests (Bonferroni), its interval taken as a normal one."""
        if self.value is None or self.low is None or self.high is None or self.high <= self.low:
            return False
        deviation = (self.high - self.low) / 2 / _Z
        return abs(self.value) / deviation > NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / tests)


def mean(values: Floats) -> Estimate:
    """Mean of values in the order of time, NaN left out. The interval is Student's, with the variance of the mean after Newey & West
    (1987; lags by 4 (n / 100)^(2/9)), and never less than that of independent values: sizes of moves come in clusters.
    """
    values = values[np.isfinite(values)]
    n = values.size
    if not n:
        return Estimate(0)
    value = float(values.mean())
    if n < FEW:
        return Estimate(n, value)
    half = student(n - 1) * sqrt(_variance_of_mean(values))
    return Estimate(n, value, value - half, value + half)


def share(hits: int, n: int) -> Estimate:
    """A share of `n` with Wilson's interval (1927)."""
    if not n:
        return Estimate(0)
    middle = (hits + _Z**2 / 2) / (n + _Z**2)
    half = _Z / (n + _Z**2) * sqrt(hits * (n - hits) / n + _Z**2 / 4)
    return Estimate(n, hits / n, max(middle - half, 0.0), min(middle + half, 1.0))


def rank_correlation(x: Floats, y: Floats) -> Estimate:
    """Spearman's, ties by their mean rank, as `correlation`; the interval with the variance of Fieller, Hartley & Pearson (1957). A few
    wild days weigh no more in it than others.
    """
    known = np.isfinite(x) & np.isfinite(y)
    return correlation(_ranks(x[known]), _ranks(y[known]), variance=1.06)


def correlation(x: Floats, y: Floats, *, variance: float = 1.0) -> Estimate:
    """Pearson's over the pairs of which both are known, with Fisher's interval (1921), its variance `variance` / (n - 3). None where
    one of them is constant.
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    n = x.size
    if n < FEW or not np.ptp(x) or not np.ptp(y):
        return Estimate(n)
    value = float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))
    if abs(value) == 1.0:
        return Estimate(n, value)
    half = _Z * sqrt(variance / (n - 3))
    return Estimate(n, value, tanh(atanh(value) - half), tanh(atanh(value) + half))


def student(freedom: int) -> float:
    """The 97.5 % point of Student's distribution by its expansion around the normal (Abramowitz & Stegun 26.7.5), for 3 degrees of
    freedom or more within 0.15 %.
    """
    z, v = _Z, float(freedom)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / v ** (power + 1) for power, term in enumerate(terms))


class Shrunk(NamedTuple):
    """Means of groups drawn to the mean of all: `weight` 1 keeps a group's own mean, 0 leaves that of all."""

    center: float
    spread: float  # standard deviation of the true means between groups, by the sample
    means: Floats
    weights: Floats


def shrink(means: Floats, counts: NDArray[np.int64], variance: float, center: float) -> Shrunk:
    """Empirical Bayes (Efron & Morris 1973 with unequal counts; the spread between groups by moments): `variance` is that of one
    observation within a group. NaN where a group is empty.
    """
    filled = counts > 0
    noise = variance / counts[filled]
    away = means[filled] - center
    between = max(float(np.sum(counts[filled] * (away**2 - noise)) / max(int(counts.sum()), 1)), 0.0)
    weights, shrunk = np.full(means.size, np.nan), np.full(means.size, np.nan)
    total = between + noise
    weights[filled] = np.divide(between, total, out=np.zeros_like(total), where=total > 0.0)
    shrunk[filled] = center + weights[filled] * away
    return Shrunk(center, sqrt(between), shrunk, weights)


def _ranks(values: Floats) -> Floats:
    """From 1, equal values with the mean of their places."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray(((last - counts + 1 + last) / 2)[place])


def _variance_of_mean(values: Floats) -> float:
    n = values.size
    away = values - values.mean()
    plain = float(away @ away) / (n - 1)
    lags = min(int(4 * (n / 100) ** (2 / 9)), n - 1)
    long_run = plain
    for lag in range(1, lags + 1):
        long_run += 2.0 * (1.0 - lag / (lags + 1)) * float(away[lag:] @ away[:-lag]) / n
    return max(long_run, plain) / n
