"""OANDA v20: candles of bid and ask (developer.oanda.com/rest-live-v20/instrument-ep). `key_file` holds the token as text. Days and weeks
are cut in UTC as everywhere here, not at 17:00 in New York.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from common.model.time import Timeframe
from market_data.adapters.timestamps import rfc3339_ns, to_rfc3339
from market_data.backfill.venue import QUOTED, Answer, Ask, Limit, Row, Venue, numbers


def _request(ask: Ask) -> tuple[str, dict[str, str]]:
    return f"/v3/instruments/{ask.symbol.replace('-', '_')}/candles", {
        "granularity": VENUE.timeframes[ask.timeframe],
        "price": "BA",
        "from": to_rfc3339(ask.span.start),
        "to": to_rfc3339(ask.span.end),
        "dailyAlignment": "0",
        "alignmentTimezone": "UTC",
        "weeklyAlignment": "Monday",
    }


def _read(body: bytes, ask: Ask) -> Answer:
    candles = msgspec.json.decode(body)["candles"]
    return Answer([(rfc3339_ns(candle["time"]), _row(candle)) for candle in candles if candle["complete"]])


def _row(candle: Mapping[str, Any]) -> Row:
    return numbers(*(candle[side][field] for side in ("bid", "ask") for field in "ohlc"), candle["volume"])


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept-Datetime-Format": "RFC3339"}


VENUE: Final = Venue(
    name="oanda",
    url="https://api-fxpractice.oanda.com",
    timeframes={
        Timeframe.M1: "M1",
        Timeframe.M5: "M5",
        Timeframe.M15: "M15",
        Timeframe.M30: "M30",
        Timeframe.H1: "H1",
        Timeframe.H4: "H4",
        Timeframe.D1: "D",
        Timeframe.W1: "W",
    },
    columns=QUOTED,
    bars=5000,
    request=_request,
    read=_read,
    headers=_headers,
    limit=Limit(requests=100, window_s=1.0, burst=10),
)
