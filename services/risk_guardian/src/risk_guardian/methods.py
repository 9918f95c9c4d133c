"""How risk is measured: section `[risk_guardian.measures]`, and the VaR and ES of a book by each method."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.quant import tail_risk
from common.quant.tail_risk import Tail


class Method(StrEnum):
    HISTORICAL = "historical"
    PARAMETRIC = "parametric"
    CORNISH_FISHER = "cornish_fisher"
    STUDENT_T = "student_t"
    WORST = "worst"  # the larger of historical and parametric


METHODS: Final = tuple(method for method in Method if method is not Method.WORST)
_Z: Final = 1.6448536269514722  # of the 95 % level


class MeasureSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How risk is measured. Windows are in daily returns."""

    window: Annotated[int, msgspec.Meta(ge=100, le=2000, description="returns that VaR and ES look back on")] = 500
    min_observations: Annotated[
        int, msgspec.Meta(ge=20, le=500, description="returns without which VaR and volatility are undefined")
    ] = 30
    method: Annotated[Method, msgspec.Meta(description="of the VaR that ladders and pre-trade checks use")] = (
        Method.WORST
    )
    short_window: Annotated[int, msgspec.Meta(ge=5, le=90, description="returns of the current volatility")] = 20
    normal_window: Annotated[
        int, msgspec.Meta(ge=30, le=1900, description="returns before those: the normal volatility")
    ] = 250
    correlation_window: Annotated[int, msgspec.Meta(ge=10, le=90, description="returns of correlations")] = 30
    correlated_above: Annotated[
        float, msgspec.Meta(gt=0, lt=1, description="absolute correlation from which two instruments count as one")
    ] = 0.7
    student_dof: Annotated[float, msgspec.Meta(gt=2, le=100, description="degrees of freedom of the Monte Carlo")] = 4.0
    draws: Annotated[int, msgspec.Meta(ge=1000, le=1_000_000, description="draws of the Monte Carlo")] = 20_000
    seed: Annotated[int, msgspec.Meta(ge=0, description="of the Monte Carlo")] = 1
    participation: Annotated[
        float, msgspec.Meta(gt=0, le=1, description="share of the daily volume a position can be sold at")
    ] = 0.1
    volume_days: Annotated[int, msgspec.Meta(ge=2, le=250, description="days of the average daily volume")] = 20

    def __post_init__(self) -> None:
        needed = max(self.short_window + self.normal_window, self.correlation_window, self.min_observations)
        if self.window < needed:
            raise ValueError(
                f"Expected a window >= {needed}, the sum of short_window and normal_window, got {self.window}"
            )


def tail_of(returns: NDArray[np.float64], level: float, method: Method, settings: MeasureSettings) -> Tail | None:
    """Of a book's daily returns; None with too few of them, or where the method says so."""
    if returns.size < settings.min_observations:
        return None
    match method:
        case Method.HISTORICAL:
            return tail_risk.historical(returns, level)
        case Method.PARAMETRIC:
            return tail_risk.parametric(returns, level)
        case Method.CORNISH_FISHER:
            return tail_risk.cornish_fisher(returns, level)
        case Method.STUDENT_T:
            return tail_risk.student_t(
                returns, level, dof=settings.student_dof, draws=settings.draws, seed=settings.seed
            )
        case Method.WORST:
            past, normal = tail_risk.historical(returns, level), tail_risk.parametric(returns, level)
            return Tail(max(past.var, normal.var), max(past.es, normal.es)) if past and normal else None


def slope_of(returns: NDArray[np.float64], method: Method) -> NDArray[np.float64]:
    """By how much VaR at 95 % changes at most with each weight; `returns` is float64[instruments, days], two days at least. A
    quantile moves by no more than the largest of the changes, a deviation by no more than the deviation of the changes.
    """
    days = returns.shape[1]
    largest = np.max(np.abs(returns), axis=1)
    mean = np.add.reduce(returns, axis=1) / days
    centered = returns - mean[:, None]
    normal = _Z * np.sqrt(np.add.reduce(centered * centered, axis=1) / max(days - 1, 1)) + np.abs(mean)
    found: NDArray[np.float64] = {Method.HISTORICAL: largest, Method.PARAMETRIC: normal}.get(
        method, np.maximum(largest, normal)
    )
    return found
