"""Which configurations did best, and how much of that is the luck of having tried many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from common.quant import bootstrap, overfitting
from common.quant.kernel import Floats
from research.sweep.measures import Measured

_MANY: Final = 2_000  # configurations beyond which 252 splits have to do instead of 12,870
MIN_TRADES: Final = 30
SEED: Final = 1  # of the bootstrap: the same sweep says the same


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """`deflated_sharpe` is the probability that the true Sharpe is above zero, given how many were tried. `sharpe_low` and
    `sharpe_high` are the 95 % block-bootstrap interval of the annual Sharpe. None is undefined or, for the interval, not
    asked for. `few_trades`: fewer in sample than were asked for; it is ranked behind those that have them.
    """

    rank: int
    measured: Measured
    few_trades: bool
    deflated_sharpe: float | None
    sharpe_low: float | None = None
    sharpe_high: float | None = None


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """Best first. `pbo` is the probability of backtest overfitting (CSCV over the curves), `effective_trials` how many
    independent trials the configurations are worth.
    """

    ranked: tuple[Ranked, ...]
    trials: int
    effective_trials: float
    pbo: float | None
    probability_of_loss: float | None


def rank(measured: Sequence[Measured], curves: Floats, years: float, top: int, min_trades: int = MIN_TRADES) -> Ranking:
    """By Sharpe in sample, undefined last, equal ones by name; those with fewer than `min_trades` in sample behind all others. `curves` is float64[samples, configurations], the equity in sample
    at evenly spaced instants over `years`; intervals are computed for the first `top`.
    """
    returns = curves[1:] / curves[:-1] - 1.0
    moments = [overfitting.moments(returns[:, c]) for c in range(returns.shape[1])]
    moving = [each.sharpe for each in moments if each is not None]
    variance = float(np.var(moving, ddof=1)) if len(moving) > 1 else 0.0
    trials = overfitting.effective_trials(returns) if returns.size else 1.0
    order = sorted(range(len(measured)), key=lambda c: _key(measured[c], min_trades))
    rng, per_year = np.random.default_rng(SEED), returns.shape[0] / years if years > 0 else 0.0
    ranked = []
    for place, c in enumerate(order, start=1):
        found = moments[c]
        interval = None
        if place <= top:
            interval = bootstrap.bootstrap_interval(returns[:, c], bootstrap.sharpes, rng)
        ranked.append(
            Ranked(
                rank=place,
                measured=measured[c],
                few_trades=measured[c].in_sample.trades < min_trades,
                deflated_sharpe=overfitting.deflated_sharpe(found, trials, variance) if found else None,
                sharpe_low=interval.low * per_year**0.5 if interval else None,
                sharpe_high=interval.high * per_year**0.5 if interval else None,
            )
        )
    luck = overfitting.backtest_overfitting(returns, 16 if len(measured) <= _MANY else 10) if returns.size else None
    return Ranking(
        ranked=tuple(ranked),
        trials=len(measured),
        effective_trials=trials,
        pbo=luck.pbo if luck else None,
        probability_of_loss=luck.probability_of_loss if luck else None,
    )


def _key(one: Measured, min_trades: int) -> tuple[bool, float, str]:
    sharpe = one.in_sample.sharpe
    return one.in_sample.trades < min_trades, float("inf") if sharpe is None else -sharpe, one.name
