"""What the past of a venue is asked by: how a request is spelled and how its answer is read. Pure; the link sends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from common.model.time import NS_PER_MINUTE, NS_PER_SECOND, Timeframe
from market_data.backfill.spans import Span

TRADED: Final = ("open", "high", "low", "close", "volume")
QUOTED: Final = (
    *(f"{side}_{name}" for side in ("bid", "ask") for name in ("open", "high", "low", "close")),
    "volume",
)

Row = tuple[float, ...]  # when the bar opens in ns UTC, then the columns of the venue


class Ask(msgspec.Struct, frozen=True):
    """Bars of `symbol` (as we spell it) that open within `span`. `page` is what the answer before said to go on with."""

    symbol: str
    timeframe: Timeframe
    span: Span
    page: str = ""


class Answer(msgspec.Struct, frozen=True):
    """Rows in any order, also such as were not asked for. `page`: there is more, ask with it."""

    rows: list[tuple[int, Row]]
    page: str = ""


class Limit(msgspec.Struct, frozen=True):
    """At most `requests` in any `window_s` seconds, `burst` of them at once."""

    requests: int = 1_200
    window_s: float = 60.0
    burst: int = 20


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """`settle_ns` after its close a bar is final, and to be had; days and weeks begin up to `day_lag_ns` later than in UTC. `depth`: only
    so many of the latest bars are to be had; None: all.
    """

    name: str
    url: str
    timeframes: Mapping[Timeframe, str]
    columns: tuple[str, ...]
    bars: int  # an answer holds at most
    request: Callable[[Ask], tuple[str, dict[str, str]]]  # path and query
    read: Callable[
        [bytes, Ask], Answer
    ]  # raises what parsers raise where the answer is no such thing, DataError for a refusal
    headers: Callable[[str], dict[str, str]] | None = None  # from the content of the key file
    limit: Limit = Limit()
    settle_ns: int = 10 * NS_PER_SECOND
    day_lag_ns: int = 0
    depth: int | None = None


SIXTEEN_MINUTES: Final = 16 * NS_PER_MINUTE


def numbers(*cells: Any) -> Row:
    """As floats. Raises ValueError or TypeError for what is no number."""
    return tuple(float(cell) for cell in cells)
