"""What kind of market each instrument is in."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from common.messages.base import Message
from common.model.enums import Regime, VolState
from common.model.time import Timeframe


class RegimeReading(msgspec.Struct, frozen=True, kw_only=True):
    """Verdict on one closed bar, with the values that decided. A value is None while its indicator warms up.

    `candidate` is what this bar says, `regime` the stable regime after the holding time (REG-04), `since_ns` its start.
    `confidence` is in [0, 1]. `vol_ratio` is current over normal volatility.
    """

    instrument_id: str
    timeframe: Timeframe
    regime: Regime
    candidate: Regime
    since_ns: int
    confidence: float
    vol_state: VolState
    vol_ratio: float | None = None
    adx: float | None = None
    plus_di: float | None = None
    minus_di: float | None = None
    chop: float | None = None
    atr: float | None = None
    atr_percentile: float | None = None  # [0, 1]
    atr_ratio: float | None = None  # true range over ATR; a spike is > 2
    bb_width: float | None = None  # (upper - lower) / middle
    override: str = ""  # who set the regime by hand (REG-08); empty: nobody


class ModelReading(msgspec.Struct, frozen=True, kw_only=True):
    """What the fitted models say after one closed bar (REG-05, REG-06). Probabilities in [0, 1]; None while warming up or where
    no model was fitted. The first three add up to 1.
    """

    instrument_id: str
    timeframe: Timeframe
    bull: float | None = None
    bear: float | None = None
    sideways: float | None = None
    high_volatility: float | None = None
    forecast_vol: float | None = None  # of the next day's return, fraction, by GARCH
    change_24h: float | None = None  # probability that the regime changes within so many hours
    change_48h: float | None = None


class MarketReading(msgspec.Struct, frozen=True, kw_only=True):
    """The market as a whole (REG-03, REG-07). Scores in [0, 1], 1 is the worst; None while too little is known."""

    crisis: bool
    breakdown: bool  # correlations have left their own history
    stress_score: float | None = None
    mean_correlation: float | None = None  # mean of the absolute correlations of all pairs, [0, 1]
    correlation_shift: float | None = None  # rank of today's distance from the usual structure, [0, 1]
    volatility: float | None = None  # the parts of the stress score
    drawdown_speed: float | None = None
    spread: float | None = None
    liquidity: float | None = None


class RegimeStep(Message, frozen=True, kw_only=True):
    """Answer to one slice: a reading for every closed bar, in slice order, and what models and the market as a whole say where
    the slice has something new for them.
    """

    TYPE: ClassVar[str] = "regime.step.v1"

    book: str
    step: int
    readings: tuple[RegimeReading, ...] = ()
    models: tuple[ModelReading, ...] = ()
    market: MarketReading | None = None


class OverrideRegime(Message, frozen=True, kw_only=True):
    """Sets the regime by hand until `expires_ns` of data time (REG-08). An empty instrument is all of them; `regime` None lifts
    what was set.
    """

    TYPE: ClassVar[str] = "cmd.regime.override.v1"

    book: str
    author: str
    reason: str
    instrument_id: str
    regime: Regime | None
    expires_ns: int


class RegimeOverridden(Message, frozen=True, kw_only=True):
    """An override took effect, was lifted, or expired (`regime` None)."""

    TYPE: ClassVar[str] = "regime.override.v1"

    book: str
    instrument_id: str
    regime: Regime | None
    expires_ns: int
    author: str
    reason: str
