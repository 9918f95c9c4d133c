"""The `[regime]` section of a profile."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from common.model.time import Timeframe


class MarketSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The market as a whole; its volatility is measured as that of an instrument is (`vol_current`, `vol_normal`)."""

    decay: Annotated[
        float, Meta(gt=0, lt=1, description="Weight of the past in correlations, per base bar (0.94: about 33 bars)")
    ] = 0.94
    warmup: Annotated[
        int, Meta(ge=3, le=100_000, description="Returns before the correlation of a pair is believed")
    ] = 30
    crisis_correlation: Annotated[
        float, Meta(gt=0, lt=1, description="A mean absolute correlation of all pairs above this is half of a crisis")
    ] = 0.9
    crisis_volatility: Annotated[
        float, Meta(gt=1, le=20, description="Mean of current over normal volatility above this is the other half")
    ] = 2.0
    release_correlation: Annotated[float, Meta(gt=0, lt=1, description="Below this correlation a crisis is over")] = 0.8
    release_volatility: Annotated[float, Meta(gt=0, le=20, description="Below this volatility a crisis is over")] = 1.1
    usual_decay: Annotated[
        float, Meta(gt=0, lt=1, description="Weight of the past in the usual correlations, per base bar")
    ] = 0.995
    rank_window: Annotated[
        int, Meta(ge=20, le=20_000, description="Base bars among which the distance from usual correlations is ranked")
    ] = 500
    breakdown_rank: Annotated[
        float, Meta(gt=0, le=1, description="A distance of this rank or more is a breakdown, if it is also far")
    ] = 0.99
    breakdown_factor: Annotated[float, Meta(ge=1, le=100, description="Far is so many times the usual distance")] = 2.0

    def __post_init__(self) -> None:
        """Raises ValueError where two marks contradict each other."""
        for low, high in (("release_correlation", "crisis_correlation"), ("release_volatility", "crisis_volatility")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"Expected {low} <= {high}, got {getattr(self, low)} and {getattr(self, high)}")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    timeframes: Annotated[tuple[Timeframe, ...], Meta(description="Timeframes that get a reading")] = tuple(Timeframe)
    hold_minutes: Annotated[
        int, Meta(ge=0, le=10_080, description="Data time a change must hold before it is the stable regime")
    ] = 15

    models: Annotated[
        str,
        Meta(
            description="File of fitted models (`ballast regime fit`), seen from your file; `builtin`: those that ship; empty: none"
        ),
    ] = "builtin"

    adx_period: Annotated[int, Meta(ge=2, le=200, description="Bars of ADX and DI")] = 14
    adx_trend: Annotated[float, Meta(ge=0, le=100, description="ADX above this is a trend")] = 25.0
    adx_range: Annotated[float, Meta(gt=0, le=100, description="ADX below this is a range")] = 20.0

    chop_period: Annotated[int, Meta(ge=2, le=200, description="Bars of the Choppiness Index")] = 14
    chop_choppy: Annotated[float, Meta(gt=0, lt=100, description="Choppiness above this is choppy")] = 61.8
    chop_trend: Annotated[float, Meta(ge=0, le=100, description="Choppiness below this supports a weak trend")] = 38.2

    atr_period: Annotated[int, Meta(ge=2, le=200, description="Bars of the average true range")] = 14
    atr_window: Annotated[int, Meta(ge=2, le=5_000, description="Bars among which ATR is ranked")] = 100
    atr_high: Annotated[
        float, Meta(ge=0, le=1, description="ATR percentile above this, with raised volatility, is volatile")
    ] = 0.9
    atr_spike: Annotated[float, Meta(gt=1, le=20, description="A true range of more than so many ATR is a spike")] = 2.0

    bb_period: Annotated[int, Meta(ge=2, le=500, description="Bars of the Bollinger bands")] = 20
    bb_deviations: Annotated[float, Meta(gt=0, le=10, description="Standard deviations of the Bollinger bands")] = 2.0
    squeeze_atr: Annotated[
        float, Meta(ge=0, le=20, description="Bollinger bands narrower than so many ATR are a range")
    ] = 3.0

    vol_current: Annotated[int, Meta(ge=2, le=500, description="Bars of current volatility")] = 5
    vol_normal: Annotated[int, Meta(ge=10, le=100_000, description="Bars of normal volatility")] = 480
    vol_warmup: Annotated[int, Meta(ge=2, le=100_000, description="Bars before the volatility ratio is believed")] = 60
    vol_elevated: Annotated[float, Meta(gt=1, le=20, description="Current over normal from here on is ELEVATED")] = 1.5
    vol_stress: Annotated[float, Meta(gt=1, le=20, description="Current over normal above this is STRESS")] = 2.5

    market: MarketSettings = MarketSettings()

    def __post_init__(self) -> None:
        """Raises ValueError where two thresholds contradict each other."""
        for low, high in (("adx_range", "adx_trend"), ("chop_trend", "chop_choppy"), ("vol_elevated", "vol_stress")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"Expected {low} < {high}, got {getattr(self, low)} and {getattr(self, high)}")
