"""What the best of many trials is worth, given that there were many (RES-04)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from common.quant import overfitting
from research.optimize.study import Trial


class Luck(msgspec.Struct, frozen=True, kw_only=True):
    """What a best in-sample Sharpe is worth. Sharpes are annual, probabilities in [0, 1]."""

    trials: int  # every one counted as independent of the others: the strictest reading
    sharpe: float | None
    expected_of_luck: float | None  # the best Sharpe of as many worthless trials
    probabilistic_sharpe: float | None  # that the true one is above zero, had there been one trial
    deflated_sharpe: float | None  # and given how many there were


def luck(chosen: overfitting.Moments | None, trials: Iterable[Trial], days_a_year: int) -> Luck:
    """Of a series of daily returns, chosen among or by `trials`."""
    tried = [trial.moments.sharpe for trial in trials if trial.moments is not None]
    if chosen is None:
        return Luck(
            trials=len(tried), sharpe=None, expected_of_luck=None, probabilistic_sharpe=None, deflated_sharpe=None
        )
    variance = float(np.var(tried, ddof=1)) if len(tried) > 1 else 0.0
    year = days_a_year**0.5
    return Luck(
        trials=len(tried),
        sharpe=chosen.sharpe * year,
        expected_of_luck=overfitting.expected_max_sharpe(len(tried), variance) * year,
        probabilistic_sharpe=overfitting.probabilistic_sharpe(chosen),
        deflated_sharpe=overfitting.deflated_sharpe(chosen, len(tried), variance),
    )
