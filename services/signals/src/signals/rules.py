"""Tables of the shipped strategies: in which volatility they trade (SIG-03), with which periods (SIG-04)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias, TypeVar

from common.model.enums import VolState
from common.quant.kernel import Floats
from signals.api import Context, Opinion, Params, Regime, by_sign

ByState: TypeAlias = Mapping[VolState, Params]
OneOrAll = TypeVar("OneOrAll", float, Floats)  # of one bar, or of all bars

NORMAL, ELEVATED, STRESS = VolState.NORMAL, VolState.ELEVATED, VolState.STRESS

# Ten strategies trade in NORMAL; the six most robust, without the short-lived patterns, in ELEVATED; in STRESS the three
# most defensive ones, whose plain averages are the smoothest.
ALWAYS: Final = (NORMAL, ELEVATED, STRESS)
NOT_IN_STRESS: Final = (NORMAL, ELEVATED)
ONLY_NORMAL: Final = (NORMAL,)

MEDIUM: Final[ByState] = {
    NORMAL: {"fast": 20, "slow": 50},
    ELEVATED: {"fast": 10, "slow": 25},
    STRESS: {"fast": 50, "slow": 100},
}
SLOW: Final[ByState] = {
    NORMAL: {"fast": 50, "slow": 200},
    ELEVATED: {"fast": 25, "slow": 100},
    STRESS: {"fast": 100, "slow": 300},
}

# Averages of equal prices differ by up to 1e-13 of the price, long ones after a crash by more; no tick is that small.
ROUNDING: Final = 1e-12
# The nearest stop as a fraction of the price: what is held for a given risk grows without bounds as a stop comes nearer.
NEAREST_STOP: Final = 0.0005

# How far to believe a trend follower in a stable regime; its own direction's trend counts 1.
_CONFIDENCE: Final[Mapping[Regime, float]] = {
    Regime.TRENDING_UP: 0.3,
    Regime.TRENDING_DOWN: 0.3,
    Regime.RANGING: 0.4,
    Regime.CHOPPY: 0.3,
    Regime.VOLATILE: 0.5,
    Regime.CRISIS: 0.2,
    Regime.UNCERTAIN: 0.5,
}


def trades_in(states: tuple[VolState, ...], periods: ByState) -> ByState:
    """The rows of a table of periods for these states."""
    return {state: periods[state] for state in states}


def require_positive(params: Params, *names: str) -> None:
    """Raises ValueError for one that is not a number above zero."""
    for name in names:
        if not params[name] > 0.0:
            raise ValueError(f"{name} = {params[name]!r}: expected a number above 0")


def significant(difference: OneOrAll, price: OneOrAll) -> OneOrAll:
    """A difference of prices or averages at this level of prices; 0 where it is no more than rounding. NaN stays NaN."""
    return difference * (abs(difference) > ROUNDING * price)


def stop_at(distance: float, price: float) -> float:
    """The stop at a distance in price units as a fraction of the price, from `NEAREST_STOP` to a half."""
    return max(NEAREST_STOP, min(distance / price, 0.5))


def trend_opinion(ctx: Context, value: float, *, full: float, reason: str) -> Opinion:
    """`by_sign`, with the confidence that the stable regime gives a trend follower."""
    regime = ctx.regime.regime if ctx.regime else Regime.UNCERTAIN
    with_trend = (regime is Regime.TRENDING_UP and value > 0) or (regime is Regime.TRENDING_DOWN and value < 0)
    return by_sign(value, full=full, reason=reason, confidence=1.0 if with_trend else _CONFIDENCE[regime])
