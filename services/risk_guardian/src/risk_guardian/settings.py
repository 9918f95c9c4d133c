"""Section `[risk_guardian]`: limits and ladders."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from common.model.enums import TradingState


class Session(StrEnum):
    ALWAYS = "always"
    FX_WEEK = "fx_week"  # Sunday 17:00 to Friday 17:00 in New York


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds on orders and positions. Fractions are of equity; what exceeds them is cut to fit, or denied."""

    max_order_qty: Annotated[float, msgspec.Meta(gt=0, description="units in one order")] = 10_000_000.0
    max_order_notional: Annotated[float, msgspec.Meta(gt=0, description="one order, fraction of equity")] = 1.0
    max_position: Annotated[float, msgspec.Meta(gt=0, description="one instrument, fraction of equity")] = 1.5
    max_gross_exposure: Annotated[float, msgspec.Meta(gt=0, description="all positions, fraction of equity")] = 4.0
    price_collar: Annotated[
        float, msgspec.Meta(gt=0, le=1, description="limit, stop and arrival prices this close to the guardian's own")
    ] = 0.02
    stale_after_bars: Annotated[
        float, msgspec.Meta(gt=0, description="a price older than so many of its instrument's bars is stale")
    ] = 4.0
    orders_per_minute: Annotated[int, msgspec.Meta(ge=1, description="approvals in a minute of data time")] = 120
    resize: Annotated[bool, msgspec.Meta(description="cut an order to its limit instead of denying it")] = True
    session: Annotated[Session, msgspec.Meta(description="when new risk may be taken")] = Session.ALWAYS


class Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rung: above `trigger` it acts, back under `release` it lets go."""

    trigger: Annotated[float, msgspec.Meta(gt=0, le=1, description="drawdown from the peak above which the level acts")]
    release: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="drawdown under which it lets go, below the trigger")
    ]
    exposure_factor: Annotated[float, msgspec.Meta(ge=0, le=1, description="positions are cut to this share")] = 1.0
    stop_factor: Annotated[float, msgspec.Meta(gt=0, le=1, description="stops are tightened to this share")] = 1.0
    state: Annotated[TradingState, msgspec.Meta(description="what may still be traded on this level")] = (
        TradingState.ACTIVE
    )
    lift_after_days: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=3650,
            description="after so long on this level its trading state is lifted and only its cuts stay, else a book without "
            "positions could never recover; 0: never",
        ),
    ] = 0
    manual: Annotated[bool, msgspec.Meta(description="only an operator's resume ends it")] = False

    def __post_init__(self) -> None:
        if self.release >= self.trigger:
            raise ValueError(f"Expected a release below the trigger {self.trigger:g}, got {self.release:g}")


def _fx_ladder() -> tuple[Level, ...]:
    return (
        Level(trigger=0.05, release=0.04, exposure_factor=0.75, stop_factor=0.5),
        Level(
            trigger=0.10,
            release=0.08,
            exposure_factor=0.5,
            stop_factor=0.5,
            state=TradingState.REDUCING,
            lift_after_days=30,
        ),
        Level(
            trigger=0.15, release=0.12, exposure_factor=0.25, stop_factor=0.5, state=TradingState.HALTED, manual=True
        ),
    )


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limits: Limits = msgspec.field(default_factory=Limits)
    drawdown_ladder: Annotated[
        tuple[Level, ...], msgspec.Meta(description="RSK-04; levels in rising order of their triggers")
    ] = msgspec.field(default_factory=_fx_ladder)

    def __post_init__(self) -> None:
        triggers = [level.trigger for level in self.drawdown_ladder]
        if triggers != sorted(set(triggers)):
            raise ValueError(f"Expected ladder triggers in rising order, got {triggers}")
