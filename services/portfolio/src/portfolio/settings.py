"""Section `[portfolio]`: how much, of what, how often."""

from __future__ import annotations

from typing import Annotated

import msgspec

from common.model.enums import Tier
from common.model.time import Timeframe

Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


def _tiers() -> dict[Tier, float]:
    return {Tier.CORE: 0.6, Tier.GROWTH: 0.3, Tier.TACTICAL: 0.1}


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

    def __post_init__(self) -> None:
        if (total := sum(self.allocation.values())) > 1 + 1e-9:
            raise ValueError(f"Expected tier allocations that add up to at most 1, got {total:g}")
