"""Block bootstrap: intervals of what is measured on returns, and of paired differences between two books (RES-03, RES-04).

Returns are simple returns of equal periods as fractions, finite. What is undefined is None. The same generator in the same
state gives the same interval.

Sources: Politis & Romano (1992 circular, 1994 stationary bootstrap); Politis & White (2004) as corrected by Patton, Politis &
White (2009) for the length of blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from math import ceil, log10, sqrt
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.quant.performance import FLAT

Array: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Statistic: TypeAlias = Callable[[Array], Array]  # of the last axis; NaN where undefined

_CHUNK: Final = 1 << 18  # numbers resampled at once: they stay in the cache


class Scheme(StrEnum):
    STATIONARY = "stationary"  # blocks of geometric length with the given mean
    CIRCULAR = "circular"  # blocks of the given length


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A statistic and what resampling says of it: percentiles, and the chance of at least its size were the truth zero."""

    estimate: float
    low: float
    high: float
    p_value: float  # two-sided, in (0, 1]
    level: float
    block: float  # periods
    replications: int  # those in which the statistic was defined


def means(samples: Array) -> Array:
    """Mean of the last axis."""
    return np.asarray(samples.mean(axis=-1))


def sharpes(samples: Array) -> Array:
    """Per-period Sharpe of the last axis; NaN where it is constant, but for rounding."""
    deviation = samples.std(axis=-1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = samples.mean(axis=-1) / deviation
    return np.where(deviation > FLAT * np.abs(samples).max(axis=-1), ratio, np.nan)


def block_length(returns: Array, scheme: Scheme = Scheme.STATIONARY) -> float:
    """Politis-White length (mean length for `STATIONARY`) in periods, from 1 to min(3 sqrt(n), n / 3); 1 where it is undefined.

    The lag where correlation ends is counted as in Patton's own program: one more than in the paper. For samples of 10
    periods or fewer, and constant ones, the length is 1: independent draws.
    """
    n = returns.size
    if n <= 10 or returns.max() == returns.min():
        return 1.0
    most, run = ceil(sqrt(n)) + max(5, ceil(log10(n))), max(5, ceil(log10(n)))
    residual = returns - returns.mean()
    lags = min(most, n - 1)
    covariance = np.array([float(np.sum(residual[lag:] * residual[: n - lag])) / n for lag in range(lags + 1)])
    small = np.abs(covariance[1:] / covariance[0]) < 2.0 * sqrt(log10(n) / n)
    quiet = [lag for lag in range(lags - run + 1) if small[lag : lag + run].all()]
    last = quiet[0] + 1 if quiet else int(np.flatnonzero(~small)[-1]) + 1
    width = min(2 * last, lags)
    lag = np.arange(1, width + 1)
    weight = np.minimum(1.0, 2.0 * (1.0 - lag / width))
    long_run = covariance[0] + 2.0 * float(np.sum(weight * covariance[1 : width + 1]))
    slope = 2.0 * float(np.sum(weight * lag * covariance[1 : width + 1]))
    factor = 2.0 if scheme is Scheme.STATIONARY else 4.0 / 3.0
    length = (2.0 * slope**2 / (factor * long_run**2) * n) ** (1.0 / 3.0) if long_run > 0.0 else 1.0
    return float(min(max(length, 1.0), ceil(min(3.0 * sqrt(n), n / 3.0))))


def resample(
    n: int, block: float, replications: int, rng: np.random.Generator, scheme: Scheme = Scheme.STATIONARY
) -> Ints:
    """Rows of `n` positions in 0..n-1, each a bootstrap sample of whole blocks that wrap around the end."""
    if scheme is Scheme.CIRCULAR:
        length = min(n, max(1, round(block)))
        starts = rng.integers(n, size=(replications, -(-n // length), 1))
        return np.asarray(((starts + np.arange(length)) % n).reshape(replications, -1)[:, :n])
    opens = rng.random((replications, n)) < 1.0 / max(1.0, block)
    opens[:, 0] = True
    time = np.arange(n)
    opened = np.maximum.accumulate(np.where(opens, time, 0), axis=1)
    starts = np.take_along_axis(rng.integers(n, size=(replications, n)), opened, axis=1)
    return np.asarray((starts + time - opened) % n)


def bootstrap_interval(
    returns: Array,
    statistic: Statistic,
    rng: np.random.Generator,
    *,
    minus: Array | None = None,
    level: float = 0.95,
    replications: int = 2000,
    block: float | None = None,
    scheme: Scheme = Scheme.STATIONARY,
) -> Interval | None:
    """`statistic` of `returns` (less that of `minus` over the same periods: a *paired* difference) with its interval.

    Both are resampled with the same positions, so what they share cancels. Percentile interval; `block` is Politis-White's
    of the returns (of their differences) by default. None where the statistic is undefined or there are fewer than 2 periods.
    """
    if minus is not None and minus.shape != returns.shape:
        raise ValueError(f"minus: {minus.size} periods, expected the {returns.size} of returns")
    if returns.size < 2:
        return None

    def value(at: Ints) -> Array:
        return statistic(returns[at]) if minus is None else statistic(returns[at]) - statistic(minus[at])

    estimate = float(value(np.arange(returns.size)[None, :])[0])
    length = block or block_length(returns if minus is None else returns - minus, scheme)
    drawn = [value(resample(returns.size, length, count, rng, scheme)) for count in _counts(replications, returns.size)]
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    if not np.isfinite(estimate) or not values.size:
        return None
    tail = (1.0 - level) / 2.0
    beyond = int(np.count_nonzero(np.abs(values - estimate) >= abs(estimate)))
    return Interval(
        estimate=estimate,
        low=float(np.quantile(values, tail)),
        high=float(np.quantile(values, 1.0 - tail)),
        p_value=(1 + beyond) / (1 + values.size),
        level=level,
        block=length,
        replications=int(values.size),
    )


def _counts(replications: int, periods: int) -> Iterator[int]:
    step = max(1, _CHUNK // periods)
    for done in range(0, replications, step):
        yield min(step, replications - done)
