"""Value at risk, expected shortfall, what makes them up, and whether they came true (RSK-03).

Returns are simple returns of equal periods as float64 fractions, of a whole book unless said otherwise. `level` is the
confidence, 0.95 or 0.99, strictly between 0 and 1. VaR and ES are *losses*: 0.02 is two per cent lost, a negative number a gain
even in the bad case. What is undefined (too few returns, a return that is not finite, outside a method's domain) is None, never
zero. ES is never below VaR of the same method and level.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, erfc, exp, isfinite, log, pi, sqrt
from statistics import NormalDist
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
_STANDARD: Final = NormalDist()


class Tail(NamedTuple):
    var: float
    es: float


class Moments(NamedTuple):
    """`sigma` has ddof 1; `skewness` and `excess` kurtosis are those of the sample (biased, 0 for a normal)."""

    mean: float
    sigma: float
    skewness: float
    excess: float


class Components(NamedTuple):
    """`component` adds up to `var`; `marginal` is what VaR grows by per unit of weight."""

    var: float
    component: Array
    marginal: Array


class LikelihoodRatio(NamedTuple):
    """Of a back-test, and the probability of one as large if the model is right: small is bad."""

    statistic: float
    p_value: float


# --- VaR and ES ----------------------------------------------------------------------------------------------------


def historical(returns: Array, level: float) -> Tail | None:
    """What the past itself says. With n returns and k = n (1 - level), VaR is the ceil(k)-th worst loss (the lower empirical
    quantile, Hyndman-Fan type 1: no interpolation, always a loss that happened) and ES the mean of the worst k, the last one
    counted by its fraction (Rockafellar-Uryasev 2002). None without returns.
    """
    if not returns.size or not isfinite(float(np.add.reduce(returns))):
        return None
    worst = round(returns.size * (1.0 - level), 9)  # 500 x (1 - 0.95) is 25.000000000000021
    last = max(ceil(worst) - 1, 0)
    ordered = np.partition(returns, last)
    var = -float(ordered[last])
    if not last:
        return Tail(var, var)
    beyond = -float(np.add.reduce(np.sort(ordered[:last])))
    return Tail(var, max((beyond + (worst - last) * var) / worst, var))


def parametric(returns: Array, level: float) -> Tail | None:
    """As if returns were normal with the mean and the standard deviation (ddof 1) of the sample. None below two returns."""
    found = _mean_sigma(returns)
    return normal(*found, level) if found else None


def normal(mean: float, sigma: float, level: float) -> Tail:
    """Of a normal distribution: VaR = z sigma - mean, ES = phi(z) / (1 - level) sigma - mean."""
    z, hazard = _normal_tail(level)
    return Tail(z * sigma - mean, hazard * sigma - mean)


def cornish_fisher(returns: Array, level: float) -> Tail | None:
    """Normal quantiles bent by the sample's skewness and kurtosis. None below four returns, without variance, or outside the
    domain where the expansion is a distribution at all (`in_cornish_fisher_domain`): beyond it VaR can fall as the level rises.
    """
    found = moments(returns)
    if found is None or not in_cornish_fisher_domain(found.skewness, found.excess):
        return None
    mean, sigma, s, k = found
    z, hazard = _normal_tail(level)
    q = -z  # the expansion speaks of returns, so of the left tail
    bent = q + (q**2 - 1) * s / 6 + (q**3 - 3 * q) * k / 24 - (2 * q**3 - 5 * q) * s**2 / 36
    # The mean of the bent quantiles below q, from E[Z^m | Z < q] of a standard normal Z.
    tail = -hazard * (1 + q * s / 6 + (q**2 - 1) * k / 24 - (2 * q**2 - 1) * s**2 / 36)
    return Tail(-mean - sigma * bent, -mean - sigma * tail)


def in_cornish_fisher_domain(skewness: float, excess: float) -> bool:
    """Whether the bent quantile rises everywhere with the normal one (Maillard 2012): its derivative, a parabola, has no root."""
    a, b, c = excess / 8 - skewness**2 / 6, skewness / 3, 1 - excess / 8 + 5 * skewness**2 / 36
    return (a == 0 and b == 0) or (a > 0 and b * b <= 4 * a * c)


def student_t(returns: Array, level: float, *, dof: float, draws: int, seed: int) -> Tail | None:
    """Monte Carlo with fat tails: `draws` from Student's t with `dof` > 2 degrees of freedom, scaled to the mean and the
    standard deviation (ddof 1) of the sample, read as `historical` reads the past. Equal seeds give equal numbers.

    For a book of linear instruments this *is* the simulation of every instrument: a linear combination of a multivariate t is a
    univariate t with the book's own variance. None below two returns.
    """
    found = _mean_sigma(returns)
    if found is None:
        return None
    unit = _simulated(level, dof, draws, seed)
    return Tail(unit.var * found[1] - found[0], unit.es * found[1] - found[0])


def components(weights: Array, returns: Array, level: float) -> Components | None:
    """Parametric VaR of the book `weights @ returns` taken apart (Euler): `returns` is float64[instruments, periods], `weights`
    float64[instruments], signed fractions. A hedge has a negative component. None below two periods or where a number is not finite.
    """
    if returns.ndim != 2 or returns.shape[1] < 2:
        return None
    book = np.add.reduce(returns * weights[:, None], axis=0)
    found = _mean_sigma(book)
    if found is None:
        return None
    mean, sigma = found
    means = np.add.reduce(returns, axis=1) / returns.shape[1]
    marginal = -means
    if sigma > 0:
        covariance = np.add.reduce((returns - means[:, None]) * (book - mean), axis=1) / (returns.shape[1] - 1)
        marginal = marginal + _normal_tail(level)[0] / sigma * covariance
    return Components(normal(mean, sigma, level).var, weights * marginal, marginal)


def moments(returns: Array) -> Moments | None:
    """None below four returns, where they do not vary, or where one is not finite."""
    found = _mean_sigma(returns) if returns.size >= 4 else None
    if found is None or returns.max() == returns.min():
        return None
    centered = returns - found[0]
    squares = centered * centered
    variance = float(np.add.reduce(squares)) / returns.size
    if not variance > 0:
        return None
    third = float(np.add.reduce(squares * centered)) / returns.size
    fourth = float(np.add.reduce(squares * squares)) / returns.size
    return Moments(*found, third / variance**1.5, fourth / variance**2 - 3.0)


# --- back-tests ----------------------------------------------------------------------------------------------------


def kupiec(days: int, breaches: int, level: float) -> LikelihoodRatio | None:
    """Whether breaches are as frequent as promised (proportion of failures, Kupiec 1995). None without days."""
    if days <= 0:
        return None
    expected, observed = 1.0 - level, breaches / days
    promised = _xlogy(days - breaches, 1.0 - expected) + _xlogy(breaches, expected)
    seen = _xlogy(days - breaches, 1.0 - observed) + _xlogy(breaches, observed)
    return _ratio(2.0 * (seen - promised), 1)


def christoffersen(n00: int, n01: int, n10: int, n11: int) -> LikelihoodRatio | None:
    """Whether a breach makes one on the next day more likely (independence, Christoffersen 1998). `n01` counts quiet days before
    a breach, `n11` breaches before another. None where no day came after a breach, or after a quiet day.
    """
    quiet, loud = n00 + n01, n10 + n11
    if quiet <= 0 or loud <= 0:
        return None
    after_quiet, after_loud, any_day = n01 / quiet, n11 / loud, (n01 + n11) / (quiet + loud)
    alike = _xlogy(n00 + n10, 1.0 - any_day) + _xlogy(n01 + n11, any_day)
    apart = (
        _xlogy(n00, 1.0 - after_quiet)
        + _xlogy(n01, after_quiet)
        + _xlogy(n10, 1.0 - after_loud)
        + _xlogy(n11, after_loud)
    )
    return _ratio(2.0 * (apart - alike), 1)


def conditional_coverage(frequency: LikelihoodRatio, independence: LikelihoodRatio) -> LikelihoodRatio:
    """Both questions in one: the ratios add up, with two degrees of freedom (Christoffersen 1998)."""
    return _ratio(frequency.statistic + independence.statistic, 2)


def chi_square_sf(x: float, dof: int) -> float:
    """Probability that a chi-square variable with one or two degrees of freedom exceeds `x` >= 0."""
    if dof not in {1, 2}:
        raise ValueError(f"Expected one or two degrees of freedom, got {dof}")
    return erfc(sqrt(x / 2)) if dof == 1 else exp(-x / 2)


# --- parts ---------------------------------------------------------------------------------------------------------


def _mean_sigma(returns: Array) -> tuple[float, float] | None:
    if returns.size < 2:
        return None
    mean = float(np.add.reduce(returns)) / returns.size
    if not isfinite(mean):
        return None
    centered = returns - mean
    return mean, sqrt(float(np.add.reduce(centered * centered)) / (returns.size - 1))


@lru_cache(maxsize=64)
def _normal_tail(level: float) -> tuple[float, float]:
    """z of `level`, and the mean of a standard normal beyond it."""
    z = _STANDARD.inv_cdf(level)
    return z, exp(-z * z / 2) / sqrt(2 * pi) / (1.0 - level)


@lru_cache(maxsize=64)
def _simulated(level: float, dof: float, draws: int, seed: int) -> Tail:
    """Of a t of variance one. Every book scales the same draws, so two of them differ by their risk and not by chance."""
    drawn: NDArray[Any] = np.random.default_rng(seed).standard_t(dof, draws) * sqrt((dof - 2.0) / dof)
    found = historical(drawn, level)
    if found is None:
        raise ValueError(f"Expected draws >= 1, got {draws}")
    return found


def _xlogy(x: float, y: float) -> float:
    return x * log(y) if x else 0.0


def _ratio(statistic: float, dof: int) -> LikelihoodRatio:
    ratio = max(statistic, 0.0)  # rounding can leave a zero just below itself
    return LikelihoodRatio(ratio, chi_square_sf(ratio, dof))
