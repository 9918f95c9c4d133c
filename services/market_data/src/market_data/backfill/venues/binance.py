"""Binance spot: klines (developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints). No key."""

from __future__ import annotations

from typing import Final

import msgspec

from common.model.time import Timeframe
from market_data.backfill.venue import TRADED, Answer, Ask, Venue, numbers

_NS_PER_MS: Final = 1_000_000


def _request(ask: Ask) -> tuple[str, dict[str, str]]:
    return "/api/v3/klines", {
        "symbol": ask.symbol.replace("-", ""),
        "interval": VENUE.timeframes[ask.timeframe],
        "startTime": str(ask.span.start // _NS_PER_MS),
        "endTime": str(ask.span.end // _NS_PER_MS - 1),
        "limit": str(VENUE.bars),
    }


def _read(body: bytes, ask: Ask) -> Answer:
    return Answer([(int(row[0]) * _NS_PER_MS, numbers(*row[1:6])) for row in msgspec.json.decode(body)])


VENUE: Final = Venue(
    name="binance",
    url="https://api.binance.com",
    timeframes={timeframe: timeframe.value for timeframe in Timeframe},
    columns=TRADED,
    bars=1000,
    request=_request,
    read=_read,
)
