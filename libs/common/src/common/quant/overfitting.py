"""How much of a good backtest is luck (RES-03, RES-04).

Returns are simple returns of equal periods as fractions; every Sharpe ratio here is *per period* (mean over standard
deviation with ddof 1, risk-free rate zero): multiply by the root of the periods in a year for the annual one, divide an
annual one before it comes in. Probabilities are in [0, 1]. Inputs are finite. What is undefined is None. Intervals are in
`common.quant.bootstrap`.

Sources: Bailey & Lopez de Prado, "The Sharpe Ratio Efficient Frontier" (2012; PSR, MinTRL) and "The Deflated Sharpe Ratio"
(2014); Bailey, Borwein, Lopez de Prado & Zhu, "The Probability of Backtest Overfitting" (2017; CSCV).
"""

from __future__ import annotations

from itertools import combinations
from math import e, sqrt
from statistics import NormalDist
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.quant.performance import FLAT, is_flat

Array: TypeAlias = NDArray[np.float64]

NORMAL: Final = NormalDist()
EULER: Final = 0.5772156649015329
MAX_BLOCKS: Final = 16  # 12,870 splits; 18 would be 48,620 and tell no more
_CHUNK: Final = 1 << 18  # numbers worked on at once: they stay in the cache


class Moments(msgspec.Struct, frozen=True):
    """What the laws of Sharpe ratios need to know of a series of returns."""

    periods: int
    sharpe: float  # per period
    skewness: float = 0.0
    kurtosis: float = 3.0  # of a normal distribution: not the excess


class Overfitting(msgspec.Struct, frozen=True, kw_only=True):
    """Of choosing the best of many configurations; one entry per split in the arrays, in the order of `combinations`."""

    pbo: float  # share of splits whose winner was no better than the median out of sample
    probability_of_loss: float  # share of splits whose winner lost out of sample
    degradation_slope: float | None  # of the winner's Sharpe out of sample on that in sample
    logits: Array  # ln(w / (1 - w)), w the winner's relative rank out of sample in (0, 1)
    in_sample: Array  # the winner's Sharpe
    out_of_sample: Array


def moments(returns: Array) -> Moments | None:
    """Sharpe with ddof 1; skewness and kurtosis are the sample's own (biased). None for fewer than 2 or constant returns (but for rounding)."""
    if returns.size < 2 or is_flat(returns):
        return None
    mean, residual = np.mean(returns), returns - np.mean(returns)
    variance = np.mean(residual**2)
    return Moments(
        periods=int(returns.size),
        sharpe=float(mean / np.std(returns, ddof=1)),
        skewness=float(np.mean(residual**3) / variance**1.5),
        kurtosis=float(np.mean(residual**4) / variance**2),
    )


def probabilistic_sharpe(observed: Moments, benchmark: float = 0.0) -> float | None:
    """Probability that the true Sharpe exceeds `benchmark`. None where the moments are impossible."""
    spread = _spread(observed)
    if spread is None or observed.periods < 2:
        return None
    return NORMAL.cdf((observed.sharpe - benchmark) * sqrt((observed.periods - 1) / spread))


def min_track_record(observed: Moments, benchmark: float = 0.0, confidence: float = 0.95) -> float | None:
    """Periods after which the observed Sharpe is above `benchmark` with `confidence`. None where it is not above at all."""
    spread = _spread(observed)
    if spread is None or observed.sharpe <= benchmark:
        return None
    return 1.0 + spread * (NORMAL.inv_cdf(confidence) / (observed.sharpe - benchmark)) ** 2


def expected_max_sharpe(trials: float, variance: float) -> float:
    """Sharpe that the best of `trials` independent worthless ones shows; `variance` is that of the trials' Sharpes.

    The extreme-value approximation, from 0 for a single trial. `trials` >= 1 need not be whole (`effective_trials`).
    """
    if trials <= 1.0:
        return 0.0
    expected: float = (1.0 - EULER) * NORMAL.inv_cdf(1.0 - 1.0 / trials) + EULER * NORMAL.inv_cdf(
        1.0 - 1.0 / (trials * e)
    )
    return max(0.0, expected) * sqrt(variance)


def effective_trials(returns: Array) -> float:
    """How many independent trials the columns are worth: r + (1 - r) N with their mean correlation r in [0, 1].

    `returns` is periods x configurations. Constant columns are no trials; at least 1.
    """
    moving = returns[:, returns.max(axis=0) > returns.min(axis=0)]
    number = int(moving.shape[1])
    if number < 2:
        return 1.0
    unit = moving - moving.mean(axis=0)
    unit /= np.sqrt(np.sum(unit**2, axis=0))
    # The sum of all correlations is the squared length of the sum of the unit vectors: no N x N matrix.
    mean = (float(np.sum(unit.sum(axis=1) ** 2)) - number) / (number * (number - 1))
    correlation = min(1.0, max(0.0, mean))
    return correlation + (1.0 - correlation) * number


def deflated_sharpe(observed: Moments, trials: float, variance: float) -> float | None:
    """Probability that the true Sharpe is above zero, given that it is the best of `trials` (effective) ones.

    `variance` is that of the per-period Sharpes of all trials (ddof 1), good and bad alike.
    """
    return probabilistic_sharpe(observed, expected_max_sharpe(trials, variance))


def backtest_overfitting(returns: Array, blocks: int = MAX_BLOCKS) -> Overfitting | None:
    """Combinatorially symmetric cross-validation of choosing the best Sharpe; `returns` is periods x configurations.

    Periods are cut into `blocks` (even, at most 16; their lengths differ by at most one). For every half of them the best
    configuration is chosen and ranked on the other half; equal ones share a rank. A configuration that does not move in a
    half has a Sharpe of 0 there. None for fewer than 2 configurations or fewer than 2 periods per block.
    """
    if blocks % 2 or not 2 <= blocks <= MAX_BLOCKS:
        raise ValueError(f"blocks: {blocks}, expected an even number from 2 to {MAX_BLOCKS}")
    periods, configurations = returns.shape
    if configurations < 2 or periods < 2 * blocks:
        return None
    sums = _BlockSums(returns, blocks)
    halves = np.zeros((len(splits := list(combinations(range(blocks), blocks // 2))), blocks), dtype=bool)
    np.put_along_axis(halves, np.array(splits), True, axis=1)
    step = max(1, _CHUNK // configurations)
    parts = [_judge(sums, halves[at : at + step]) for at in range(0, len(halves), step)]
    inside, outside, rank = (np.concatenate(column) for column in zip(*parts, strict=True))
    logits = np.log(rank / (configurations + 1.0 - rank))
    return Overfitting(
        pbo=float(np.mean(logits <= 0.0)),
        probability_of_loss=float(np.mean(outside < 0.0)),
        degradation_slope=_slope(inside, outside),
        logits=logits,
        in_sample=inside,
        out_of_sample=outside,
    )


class _BlockSums:
    """Of each block: its length and, per configuration, the sum and squared sum of what is over the configuration's mean."""

    def __init__(self, returns: Array, blocks: int) -> None:
        self.mean = returns.mean(axis=0)
        parts = np.array_split(returns - self.mean, blocks)
        self.length = np.array([len(part) for part in parts])
        self.first = np.array([part.sum(axis=0) for part in parts])
        self.second = np.array([(part**2).sum(axis=0) for part in parts])
        self.flat = FLAT * np.abs(returns).max(axis=0)

    def sharpe(self, halves: NDArray[np.bool_]) -> Array:
        """Splits x configurations. Added block by block, not by a matrix product: equal configurations stay exactly equal."""
        count = (halves @ self.length)[:, None]
        first, second = np.zeros((len(halves), self.mean.size)), np.zeros((len(halves), self.mean.size))
        for block, member in enumerate(halves.T[:, :, None]):
            first += member * self.first[block]
            second += member * self.second[block]
        deviation = np.sqrt(np.maximum(second - first**2 / count, 0.0) / (count - 1))
        moving = deviation > self.flat
        return np.asarray(np.divide(self.mean + first / count, deviation, out=np.zeros_like(first), where=moving))


def _judge(sums: _BlockSums, halves: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Per split: the winner's Sharpe in and out of sample, and its rank out of sample from 1 (worst), ties at their middle."""
    inside, outside = sums.sharpe(halves), sums.sharpe(~halves)
    winner = inside.argmax(axis=1)[:, None]
    best = np.take_along_axis(outside, winner, axis=1)
    below, equal = (outside < best).sum(axis=1), (outside == best).sum(axis=1)
    return np.take_along_axis(inside, winner, axis=1)[:, 0], best[:, 0], below + (equal + 1) / 2.0


def _slope(x: Array, y: Array) -> float | None:
    residual = x - x.mean()
    spread = float(np.sum(residual**2))
    return float(np.sum(residual * y)) / spread if x.max() > x.min() else None


def _spread(observed: Moments) -> float | None:
    """(n - 1) times the variance of an estimated Sharpe (Mertens 2002); None where no distribution has these moments."""
    spread = 1.0 - observed.skewness * observed.sharpe + (observed.kurtosis - 1.0) / 4.0 * observed.sharpe**2
    return spread if spread > 0.0 else None
