"""Parameters of the greatest likelihood of GARCH(1,1) and DCC(1,1), whose kernels are in common.quant. Nothing here runs in a service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import minimize

from common.quant.dependence import dcc
from common.quant.garch import garch_log_likelihood
from common.quant.kernel import Floats

_LEAST_ROWS: Final = 50
_UNDEFINED: Final = 1e12  # a loss for parameters that have no likelihood; the search goes elsewhere
_GARCH_STARTS: Final = ((0.05, 0.90), (0.10, 0.80), (0.03, 0.96))


class FittedGarch(NamedTuple):
    """`log_likelihood` is that of a normal distribution, in nats."""

    omega: float
    alpha: float
    beta: float
    log_likelihood: float


def fit_garch(series: Sequence[Floats]) -> FittedGarch:
    """Of independent series of returns together, in units in which they are near 1. Each begins at its own mean square; what does
    not move at all is left out. Raises ValueError with fewer than 50 returns.
    """
    moving = [values for values in series if values.any()]
    if sum(values.size for values in moving) < _LEAST_ROWS:
        raise ValueError(f"Expected at least {_LEAST_ROWS} returns that move")
    pooled = np.concatenate(moving)
    usual = float(np.mean(pooled**2))
    firsts = [float(np.mean(values**2)) for values in moving]

    def loss(place: Floats) -> float:
        omega, alpha, beta = _garch_of(place, usual)
        total = sum(garch_log_likelihood(x, first, omega, alpha, beta) for x, first in zip(moving, firsts, strict=True))
        return _UNDEFINED if np.isnan(total) else -float(total) / pooled.size

    found = [_least(loss, _place_of(alpha, beta)) for alpha, beta in _GARCH_STARTS]
    place, least = min(found, key=lambda each: each[1])
    return FittedGarch(*_garch_of(place, usual), -least * pooled.size)


def fit_dcc(shocks: Floats) -> tuple[float, float]:
    """`a` and `b` of `dcc`. `shocks` is float64[T, n]. Raises ValueError with fewer than 50 rows or fewer than two columns."""
    if shocks.ndim != 2 or shocks.shape[0] < _LEAST_ROWS or shocks.shape[1] < 2:
        raise ValueError(f"Expected at least {_LEAST_ROWS} rows of two or more shocks")

    def parameters(place: Floats) -> tuple[float, float]:
        persistence, share = 0.9999 * _logistic(place[0]), _logistic(place[1])
        return persistence * share, persistence * (1.0 - share)

    def loss(place: Floats) -> float:
        likelihood = dcc_log_likelihood(shocks, *parameters(place))
        return _UNDEFINED if np.isnan(likelihood) else -likelihood / len(shocks)

    return parameters(_least(loss, np.array([3.0, -3.0]))[0])


def dcc_log_likelihood(shocks: Floats, a: float, b: float) -> float:
    """Of the correlations alone (Engle's second stage), in nats, with the sample's own correlations as the usual ones."""
    usual = np.asarray(np.corrcoef(shocks, rowvar=False), np.float64).reshape(shocks.shape[1], -1)
    ahead = np.concatenate([usual[None], dcc(shocks, usual, a, b)[:-1]])
    _, log_determinants = np.linalg.slogdet(ahead)
    distances = np.einsum("ti,ti->t", shocks, np.linalg.solve(ahead, shocks[:, :, None])[:, :, 0])
    return float(-0.5 * np.sum(log_determinants + distances - np.einsum("ti,ti->t", shocks, shocks)))


def _least(loss: Callable[[Floats], float], start: Floats) -> tuple[Floats, float]:
    """Where `loss` is least near `start`, and how little that is; without derivatives (Nelder and Mead 1965)."""
    corners = np.vstack((start, start + 0.5 * np.eye(start.size)))
    options = {"initial_simplex": corners, "xatol": 1e-5, "fatol": 1e-10, "maxiter": 2_000}
    found = minimize(loss, start, method="Nelder-Mead", options=options)
    return np.asarray(found.x), float(found.fun)


def _place_of(alpha: float, beta: float) -> Floats:
    """Log of omega over what the long run would ask for, logits of persistence and of the share of alpha in it."""
    persistence = alpha + beta
    return np.array([0.0, np.log(persistence / (1.0 - persistence)), np.log(alpha / beta)])


def _garch_of(place: Floats, usual: float) -> tuple[float, float, float]:
    persistence, share = 0.99999 * _logistic(place[1]), _logistic(place[2])
    omega = usual * (1.0 - persistence) * float(np.exp(place[0]))
    return omega, persistence * share, persistence * (1.0 - share)


def _logistic(value: float) -> float:
    return float(1.0 / (1.0 + np.exp(-value)))
