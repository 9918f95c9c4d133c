"""Coinbase Exchange: candles (docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproductcandles). No key. A period without a
trade has no candle.
"""

from __future__ import annotations

from typing import Final

import msgspec

from common.model.time import NS_PER_SECOND, Timeframe
from market_data.adapters.timestamps import to_rfc3339
from market_data.backfill.venue import TRADED, Answer, Ask, Limit, Venue, numbers


def _request(ask: Ask) -> tuple[str, dict[str, str]]:
    return f"/products/{ask.symbol}/candles", {
        "granularity": VENUE.timeframes[ask.timeframe],
        "start": to_rfc3339(ask.span.start),
        "end": to_rfc3339(ask.span.end - ask.timeframe.ns),  # both ends belong to it
    }


def _read(body: bytes, ask: Ask) -> Answer:
    """Newest first: time, low, high, open, close, volume."""
    rows = [
        (int(ts) * NS_PER_SECOND, numbers(opened, high, low, close, volume))
        for ts, low, high, opened, close, volume in msgspec.json.decode(body)
    ]
    return Answer(rows)


VENUE: Final = Venue(
    name="coinbase",
    url="https://api.exchange.coinbase.com",
    timeframes={
        Timeframe.M1: "60",
        Timeframe.M5: "300",
        Timeframe.M15: "900",
        Timeframe.H1: "3600",
        Timeframe.D1: "86400",
    },
    columns=TRADED,
    bars=300,
    request=_request,
    read=_read,
    limit=Limit(requests=10, window_s=1.0, burst=5),
)
