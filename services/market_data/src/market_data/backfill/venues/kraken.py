"""Kraken spot: OHLC (docs.kraken.com/api/docs/rest-api/get-ohlc-data). No key. Only the last 720 bars are to be had, whatever is asked."""

from __future__ import annotations

from typing import Final

import msgspec

from common.errors import DataError
from common.model.time import NS_PER_SECOND, Timeframe
from market_data.backfill.venue import TRADED, Answer, Ask, Limit, Venue, numbers

_UNKNOWN: Final = "EQuery:Unknown asset pair"  # said with HTTP 200
_NAMES: Final = {"BTC": "XBT", "DOGE": "XDG"}


def _request(ask: Ask) -> tuple[str, dict[str, str]]:
    base, _, quote = ask.symbol.partition("-")
    return "/0/public/OHLC", {
        "pair": _NAMES.get(base, base) + _NAMES.get(quote, quote),
        "interval": VENUE.timeframes[ask.timeframe],
        "since": str(ask.span.start // NS_PER_SECOND - 1),  # after which
    }


def _read(body: bytes, ask: Ask) -> Answer:
    """Under Kraken's own name of the pair: time, open, high, low, close, vwap, volume, count."""
    said = msgspec.json.decode(body)
    if said["error"]:
        refused = f"{said['error'][0]!s:.80}"
        if refused.startswith(_UNKNOWN):
            raise DataError(f"kraken: {ask.symbol}: it does not know this symbol")
        raise ValueError(refused)
    rows = next(value for key, value in said["result"].items() if key != "last")
    return Answer([(int(row[0]) * NS_PER_SECOND, numbers(*row[1:5], row[6])) for row in rows])


VENUE: Final = Venue(
    name="kraken",
    url="https://api.kraken.com",
    timeframes={
        Timeframe.M1: "1",
        Timeframe.M5: "5",
        Timeframe.M15: "15",
        Timeframe.M30: "30",
        Timeframe.H1: "60",
        Timeframe.H4: "240",
        Timeframe.D1: "1440",
    },
    columns=TRADED,
    bars=720,
    request=_request,
    read=_read,
    limit=Limit(requests=15, window_s=15.0, burst=2),
    depth=719,  # the last of the 720 is the bar that is not over
)
