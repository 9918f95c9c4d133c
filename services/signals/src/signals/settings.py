"""The `[signals]` section of a profile."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from common.isolation import IsolationSettings
from common.model.enums import VolState
from common.model.time import Timeframe


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How strategies behave in one state of volatility (SIG-03, SIG-04)."""

    size_factor: Annotated[float, Meta(gt=0, le=1, description="Position size as a fraction of the normal one")]
    confirmations: Annotated[
        int, Meta(ge=1, le=50, description="Bars in a row that must agree before a new direction is taken")
    ]
    stop_fraction: Annotated[
        float,
        Meta(gt=0, lt=1, description="Distance of the stop as a fraction of the price, where a strategy names none"),
    ]
    hold_factor: Annotated[
        float, Meta(gt=0, le=10, description="Longest holding time as a multiple of the strategy's own")
    ]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    timeframes: Annotated[tuple[Timeframe, ...], Meta(description="Timeframes that strategies run on")] = (
        Timeframe.D1,
        Timeframe.W1,
    )
    strategy_folder: Annotated[
        str, Meta(description="Folder with your own strategies, one file each, seen from your file; empty: none")
    ] = ""
    strategies: Annotated[
        tuple[str, ...], Meta(description="Ids of the strategies that run; empty: all that are not optional")
    ] = ()

    params: Annotated[
        dict[str, dict[VolState, dict[str, float]]],
        Meta(description="Other parameters for a strategy, by its id and the state of volatility"),
    ] = msgspec.field(default_factory=dict)

    normal: Condition = Condition(size_factor=1.0, confirmations=1, stop_fraction=0.02, hold_factor=1.0)
    elevated: Condition = Condition(size_factor=0.75, confirmations=2, stop_fraction=0.015, hold_factor=0.5)
    stress: Condition = Condition(size_factor=0.4, confirmations=3, stop_fraction=0.03, hold_factor=2.0)
    worse_after: Annotated[
        int, Meta(ge=1, le=500, description="Bars in a row of higher volatility before strategies adapt to it")
    ] = 2
    calmer_after: Annotated[
        int, Meta(ge=1, le=500, description="Bars in a row of lower volatility before strategies adapt to it")
    ] = 10
    isolation: IsolationSettings = IsolationSettings()

    def condition(self, state: VolState) -> Condition:
        """The section of this state of volatility."""
        return {VolState.NORMAL: self.normal, VolState.ELEVATED: self.elevated, VolState.STRESS: self.stress}[state]
