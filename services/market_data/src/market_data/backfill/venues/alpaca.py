"""Alpaca: bars of US equities, of all exchanges (docs.alpaca.markets/reference/stockbarsingle). `key_file` holds {"key": …, "secret": …}.
Prices are as traded: splits and dividends come from a table of corporate actions. A free key sees all exchanges from a quarter of an
hour back.
"""

from __future__ import annotations

from typing import Final

import msgspec

from common.errors import ConfigError
from common.model.time import NS_PER_HOUR, NS_PER_SECOND, Timeframe
from market_data.adapters.timestamps import rfc3339_ns, to_rfc3339
from market_data.backfill.venue import SIXTEEN_MINUTES, TRADED, Answer, Ask, Limit, Venue, numbers


def _request(ask: Ask) -> tuple[str, dict[str, str]]:
    query = {
        "timeframe": VENUE.timeframes[ask.timeframe],
        "start": to_rfc3339(ask.span.start),
        "end": to_rfc3339(ask.span.end - NS_PER_SECOND),  # it belongs to it; days begin at midnight in New York
        "limit": str(VENUE.bars),
        "adjustment": "raw",
        "feed": "sip",
    }
    return f"/v2/stocks/{ask.symbol}/bars", query | ({"page_token": ask.page} if ask.page else {})


def _read(body: bytes, ask: Ask) -> Answer:
    said = msgspec.json.decode(body)
    rows = [
        (rfc3339_ns(bar["t"]), numbers(bar["o"], bar["h"], bar["l"], bar["c"], bar["v"])) for bar in said["bars"] or ()
    ]
    return Answer(rows, said.get("next_page_token") or "")


def _headers(key: str) -> dict[str, str]:
    try:
        halves = msgspec.json.decode(key.encode(), type=dict[str, str])
        return {"APCA-API-KEY-ID": halves["key"], "APCA-API-SECRET-KEY": halves["secret"]}
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError):
        raise ConfigError('the key file: expected {"key": "…", "secret": "…"}') from None


VENUE: Final = Venue(
    name="alpaca",
    url="https://data.alpaca.markets",
    timeframes={
        Timeframe.M1: "1Min",
        Timeframe.M5: "5Min",
        Timeframe.M15: "15Min",
        Timeframe.M30: "30Min",
        Timeframe.H1: "1Hour",
        Timeframe.H4: "4Hour",
        Timeframe.D1: "1Day",
        Timeframe.W1: "1Week",
    },
    columns=TRADED,
    bars=10_000,
    request=_request,
    read=_read,
    headers=_headers,
    limit=Limit(requests=200, window_s=60.0, burst=10),
    settle_ns=SIXTEEN_MINUTES,
    day_lag_ns=5 * NS_PER_HOUR,
)
