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


class RegimeStep(Message, frozen=True, kw_only=True):
    """Answer to one slice: a reading for every closed bar, in slice order."""

    TYPE: ClassVar[str] = "regime.step.v1"

    book: str
    step: int
    readings: tuple[RegimeReading, ...] = ()
