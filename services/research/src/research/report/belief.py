"""How far a result can be believed: what a reader should hold against it."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from common.quant.overfitting import (
    Moments,
    deflated_sharpe,
    expected_max_sharpe,
    min_track_record,
    moments,
    probabilistic_sharpe,
)
from research.report.series import Floats

FEW_TRADES: Final = 30
SHORT_YEARS: Final = 1.0


class Belief(NamedTuple):
    """`warnings` weigh more than `notes`; sentences. Probabilities are None where undefined, `deflated` where no other
    configuration is known of.
    """

    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    above_zero: float | None
    deflated: float | None
    trials: int


def believe(
    returns: Floats, annualization: int, *, years: float, trades: int, trials: Sequence[float], held_out: bool
) -> Belief:
    """`trials` are the Sharpe ratios per period of every configuration known to have been tried on this data, this one
    included.
    """
    seen = moments(returns)
    above_zero = None if seen is None else probabilistic_sharpe(seen)
    deflated, by_trials = _deflate(seen, trials, annualization)
    return Belief(
        warnings=tuple(_too_small(years, trades)),
        notes=(*_track(seen, above_zero, years), by_trials, _sample(held_out)),
        above_zero=above_zero,
        deflated=deflated,
        trials=max(1, len(trials)),
    )


def _too_small(years: float, trades: int) -> list[str]:
    said = []
    if trades < FEW_TRADES:
        said.append(f"Only {trades} closed trades: fewer than {FEW_TRADES} say next to nothing about the next ones.")
    if years < SHORT_YEARS:
        said.append(
            f"Only {years * 12:.1f} months of data: annual figures are extrapolated, and no full year was seen."
        )
    return said


def _track(seen: Moments | None, above_zero: float | None, years: float) -> list[str]:
    if seen is None or above_zero is None:
        return ["The equity hardly moves: a Sharpe ratio cannot be judged."]
    said = (
        f"Probability that the true Sharpe ratio is above zero: {above_zero:.0%}, counting the length, skew and tails."
    )
    needed = min_track_record(seen)
    if needed is not None and needed > seen.periods:
        said += f" For 95% it would take {needed / seen.periods * years:,.1f} years of such returns; there are {years:,.1f}."
    return [said]


def _deflate(seen: Moments | None, trials: Sequence[float], annualization: int) -> tuple[float | None, str]:
    if len(trials) < 2 or seen is None:
        text = "No other configuration is kept over this data. If more were tried, the Sharpe ratio is worth less than it says."
        return None, text
    variance = float(np.var(trials, ddof=1))
    luck = expected_max_sharpe(len(trials), variance) * sqrt(annualization)
    deflated = deflated_sharpe(seen, len(trials), variance)
    shown = "undefined" if deflated is None else f"{deflated:.0%}"
    return deflated, (
        f"{len(trials)} configurations are known to have been tried on this data: the best of as many worthless ones would "
        f"show a Sharpe ratio of {luck:.2f}. Deflated by that, the probability of a true Sharpe ratio above zero is {shown}."
    )


def _sample(held_out: bool) -> str:
    if held_out:
        return "The figures after the marked date were held out: judge by them, not by those before it."
    return "Nothing was held out: unless every parameter was fixed before the first bar, all of this is in sample."
