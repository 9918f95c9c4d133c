"""Markets: bars, what kind of market it is, which feeds the prices come from, what is scheduled."""

from __future__ import annotations

from typing import Final

from common import messages as m
from common.messages.base import Envelope, Message
from recorder.rows import Rule, Write, values, whole

READING: Final = (
    *("instrument_id", "timeframe", "regime", "candidate", "since_ns", "confidence", "vol_state", "vol_ratio"),
    *("adx", "plus_di", "minus_di", "chop", "atr", "atr_percentile", "atr_ratio", "bb_width", "override"),
)
MODEL: Final = (
    *("instrument_id", "timeframe", "bull", "bear", "sideways", "high_volatility", "forecast_vol"),
    *("change_24h", "change_48h"),
)
STRESS: Final = (
    *("crisis", "breakdown", "stress_score", "mean_correlation", "correlation_shift", "volatility"),
    *("drawdown_speed", "spread", "liquidity"),
)
BAR: Final = ("instrument_id", "timeframe", "open", "high", "low", "close", "volume", "base")
QUARANTINED: Final = ("instrument_id", "ts_row", "reason", "detail")
FEED: Final = ("book", "instrument_id", "feed", "active", "score", "reason")
EVENT: Final = ("currency", "impact", "name")
OVERRIDE: Final = ("book", "instrument_id", "regime", "expires_ns", "author", "reason")


def _bars(seq: int, envelope: Envelope, message: m.MarketSlice) -> list[Write]:
    return [
        Write("market_bars", (seq, item, message.ts_event, *values(bar, BAR))) for item, bar in enumerate(message.bars)
    ]


def _regimes(seq: int, envelope: Envelope, message: m.RegimeStep) -> list[Write]:
    at = (message.ts_event, message.step)
    readings = [
        Write("market_regimes", (seq, item, *at, *values(one, READING))) for item, one in enumerate(message.readings)
    ]
    models = [Write("regime_models", (seq, item, *at, *values(one, MODEL))) for item, one in enumerate(message.models)]
    market = [Write("market_stress", (seq, *at, *values(message.market, STRESS)))] if message.market else []
    return [*readings, *models, *market]


def _quarantined(seq: int, envelope: Envelope, message: m.RowsQuarantined) -> list[Write]:
    return [
        Write("quarantined_rows", (seq, item, message.ts_event, *values(row, QUARANTINED)))
        for item, row in enumerate(message.rows)
    ]


def _events(seq: int, envelope: Envelope, message: m.EventsScheduled) -> list[Write]:
    until = max((event.ts_event for event in message.events), default=message.ts_event)
    return [
        Write("economic_events", (seq, item, message.ts_event, event.ts_event, until, *values(event, EVENT)))
        for item, event in enumerate(message.events)
    ]


RULES: Final[dict[type[Message], tuple[Rule, ...]]] = {
    m.MarketSlice: (_bars,),
    m.RowsQuarantined: (_quarantined,),
    m.RegimeStep: (_regimes,),
    m.RegimeOverridden: (whole("regime_overrides", OVERRIDE),),
    m.FeedChanged: (whole("feed_changes", FEED),),
    m.EventsScheduled: (_events,),
}
