"""Section `[portfolio]`: how much, of what, how often."""

from __future__ import annotations

from typing import Annotated

import msgspec

from common.isolation import IsolationSettings
from common.model.enums import Tier
from common.model.time import Timeframe

Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


def _tiers() -> dict[Tier, float]:
    return {Tier.CORE: 0.6, Tier.GROWTH: 0.3, Tier.TACTICAL: 0.1}


class ExitLevel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A partial exit."""

    atr: Annotated[float, msgspec.Meta(gt=0, description="taken when the price is this many ATR in favor")]
    fraction: Annotated[float, msgspec.Meta(gt=0, le=1, description="of the whole share that is given up then")]


class ExitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ways out beside the plain stop (PFL-09)."""

    enabled: Annotated[
        bool, msgspec.Meta(description="whether these exits are watched; plain stops are in any case")
    ] = False
    levels: Annotated[
        tuple[ExitLevel, ...], msgspec.Meta(max_length=10, description="partial exits, nearest first")
    ] = (
        ExitLevel(atr=1.5, fraction=0.3),
        ExitLevel(atr=3.0, fraction=0.3),
        ExitLevel(atr=5.0, fraction=0.2),
    )
    breakeven_atr: Annotated[
        float, msgspec.Meta(ge=0, description="that many ATR in favor bring the stop to the entry price; 0: never")
    ] = 2.0
    tighten_atr: Annotated[
        float, msgspec.Meta(ge=0, description="distance in ATR to which the stop goes when momentum turns; 0: never")
    ] = 0.5
    momentum_bars: Annotated[
        int, msgspec.Meta(ge=1, le=500, description="momentum is the close less the close so many bars before")
    ] = 10
    time_limit_hours: Annotated[int, msgspec.Meta(ge=0, le=8760, description="longest holding time; 0: none")] = 24
    regime_change: Annotated[
        bool, msgspec.Meta(description="leave when the stable regime turns against the direction, or to CRISIS")
    ] = True

    def __post_init__(self) -> None:
        distances = [level.atr for level in self.levels]
        if distances != sorted(set(distances)):
            raise ValueError(f"Expected levels in rising order of atr, got {distances}")
        if (total := sum(level.fraction for level in self.levels)) > 1 + 1e-9:
            raise ValueError(f"Expected fractions that add up to at most 1, got {total:g}")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    allocation: Annotated[dict[Tier, Fraction], msgspec.Meta(description="share of the risk budget by tier")] = (
        msgspec.field(default_factory=_tiers)
    )
    risk_per_trade: Annotated[
        float, msgspec.Meta(gt=0, le=0.1, description="of the tier's money, lost at the stop of one trade")
    ] = 0.002
    max_total_risk: Annotated[
        float, msgspec.Meta(gt=0, le=1, description="of equity, lost when every stop is hit at once; never exceeded")
    ] = 0.06
    drift_band: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="a rebalance leaves alone what is off by less than this fraction")
    ] = 0.2
    rebalance_hours: Annotated[int, msgspec.Meta(ge=1, le=8760, description="time between rebalances")] = 168
    correlation_timeframe: Annotated[Timeframe, msgspec.Meta(description="bars whose returns are correlated")] = (
        Timeframe.D1
    )
    correlation_window: Annotated[int, msgspec.Meta(ge=5, le=500, description="returns in the rolling correlation")] = (
        30
    )
    correlation_threshold: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="mean correlation with the book beyond this is excess")
    ] = 0.7
    trade_band: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=1, description="a position this close to its target, as a fraction, is not traded for its own sake"
        ),
    ] = 0.3
    min_trade_notional: Annotated[
        float,
        msgspec.Meta(ge=0, description="smaller changes of a position are not worth their cost; exits always are"),
    ] = 500.0
    retry_minutes: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=1440,
            description="new risk denied for a reason that may pass (closed market, stale price) is proposed again after a minute, "
            "then after twice as long each time up to this; what reduces never waits; 0: with every step",
        ),
    ] = 60
    exits: ExitSettings = ExitSettings()
    isolation: IsolationSettings = IsolationSettings()

    def __post_init__(self) -> None:
        if (total := sum(self.allocation.values())) > 1 + 1e-9:
            raise ValueError(f"Expected tier allocations that add up to at most 1, got {total:g}")
