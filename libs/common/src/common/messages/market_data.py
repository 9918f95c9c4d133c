"""What happens in the markets, one message a step."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from common.messages.base import Message
from common.model.time import Timeframe


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """Prices of one period; the slice's `ts_event` is its close. Where the source is two-sided, prices are mids and
    `spread_open`, `spread_close` are ask minus bid; None where the source has no quotes.
    """

    instrument_id: str
    timeframe: Timeframe
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    spread_open: float | None = None
    spread_close: float | None = None
    base: bool = True  # of the instrument's finest timeframe: the one that prices and fills use


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """Best bid and ask as of the slice."""

    instrument_id: str
    bid: float
    ask: float
    bid_size: float = 0.0
    ask_size: float = 0.0


class MarketSlice(Message, frozen=True, kw_only=True):
    """Everything that closed at `ts_event`: bars of all timeframes in instrument order, finest first, and quotes.

    `step` counts slices from 1 without a hole.
    """

    TYPE: ClassVar[str] = "md.slice.v1"

    book: str
    step: int
    bars: tuple[Bar, ...] = ()
    quotes: tuple[Quote, ...] = ()
    late: bool = False


class QuarantineReason(StrEnum):
    UNPARSEABLE = "UNPARSEABLE"
    MISSING_PRICE = "MISSING_PRICE"
    NOT_POSITIVE = "NOT_POSITIVE"
    OHLC_INCONSISTENT = "OHLC_INCONSISTENT"
    CROSSED = "CROSSED"
    DUPLICATE = "DUPLICATE"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    OUTLIER = "OUTLIER"


class QuarantinedRow(msgspec.Struct, frozen=True, kw_only=True):
    instrument_id: str
    ts_row: int
    reason: QuarantineReason
    detail: str


class RowsQuarantined(Message, frozen=True, kw_only=True):
    """Rows refused before anything downstream saw them (MKT-03)."""

    TYPE: ClassVar[str] = "md.quarantined.v1"

    book: str
    rows: tuple[QuarantinedRow, ...]


class MarketDataEnded(Message, frozen=True, kw_only=True):
    """The recorded data is over. `gaps` counts missing periods inside the data, `quarantined` refused rows."""

    TYPE: ClassVar[str] = "md.ended.v1"

    book: str
    steps: int
    bars: int
    quarantined: int
    gaps: int


class FeedChanged(Message, frozen=True, kw_only=True):
    """The feed that an instrument's prices come from, or how well one does (MKT-02). `score` in [0, 1], 1 is flawless."""

    TYPE: ClassVar[str] = "md.feed.v1"

    book: str
    instrument_id: str
    feed: str
    active: bool
    score: float
    reason: str


class Impact(StrEnum):
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class EconomicEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something scheduled that moves prices in `currency`: a rate decision, the payrolls."""

    ts_event: int
    currency: str
    impact: Impact
    name: str


class EventsScheduled(Message, frozen=True, kw_only=True):
    """The economic calendar ahead, in order of time; what was said before of this span is replaced (MKT-07)."""

    TYPE: ClassVar[str] = "md.events.v1"

    book: str
    events: tuple[EconomicEvent, ...]
