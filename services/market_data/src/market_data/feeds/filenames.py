"""What a file name says about its content: `binance_BTCUSDT_1m_20230301-20230314.parquet`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from common.model.time import Timeframe
from market_data.instruments import Symbol, parse_symbol, perpetual

SUFFIXES: Final = (".parquet", ".csv.gz", ".csv")

TIMEFRAMES: Final = {
    **{timeframe.value: timeframe for timeframe in Timeframe},  # 1m, 5m, …
    **{timeframe.name: timeframe for timeframe in Timeframe},  # M1, M5, …
    "minute": Timeframe.M1,
    "hour": Timeframe.H1,
    "hourly": Timeframe.H1,
    "daily": Timeframe.D1,
    "weekly": Timeframe.W1,
}
_DATES: Final = re.compile(r"(to)?\d{4,8}(-\d{2,8})?")
# Words about the content, which the columns tell better, or about nothing that matters here.
_CONTENT: Final = frozenset(
    "raw bid ask mid bidask quote quotes trade trades trade+quote bars ticks ohlc ohlcv "  # noqa: SIM905 - words
    "close adjclose adjusted rates reference".split()
)
_VENUE: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.IGNORECASE)


class FileName(msgspec.Struct):
    """What could be read; None where the name doesn't say. A venue in front of the symbol tells markets apart:
    `venue_first` files of one symbol stay separate instruments.
    """

    symbol: Symbol | None = None
    venue: str | None = None
    venue_first: bool = False
    timeframe: Timeframe | None = None
    is_perpetual: bool = False


def stem(name: str) -> str | None:
    """The name without the suffix of a data file; None for other files."""
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), None)


def parse(file_stem: str) -> FileName:
    """Reads the words between underscores from left to right; each is taken by the first reader that knows it."""
    found = FileName()
    words = file_stem.split("_")
    while words:
        for reader in _READERS:
            if taken := reader(words, found):
                del words[:taken]
                break
        else:
            del words[0]
    if found.symbol and found.is_perpetual:
        found.symbol = perpetual(found.symbol)
    return found


# Readers: how many words they took from the front, 0 for none.
def _content(words: list[str], found: FileName) -> int:
    return int(words[0].lower() in _CONTENT or _DATES.fullmatch(words[0]) is not None)


def _timeframe(words: list[str], found: FileName) -> int:
    if found.timeframe or words[0] not in TIMEFRAMES:
        return 0
    found.timeframe = TIMEFRAMES[words[0]]
    return 1


def _contract(words: list[str], found: FileName) -> int:
    found.is_perpetual |= words[0] == "perp"
    return int(words[0] == "perp")


def _pair(words: list[str], found: FileName) -> int:
    symbol = parse_symbol("-".join(words[:2])) if not found.symbol and len(words) > 1 else None
    found.symbol = found.symbol or symbol
    return 2 if symbol else 0


def _symbol(words: list[str], found: FileName) -> int:
    symbol = None if found.symbol or words[0] in KNOWN_VENUES else parse_symbol(words[0])
    found.symbol = found.symbol or symbol
    return 1 if symbol else 0


def _venue(words: list[str], found: FileName) -> int:
    if found.venue or not _VENUE.fullmatch(words[0]):
        return 0
    found.venue, found.venue_first = words[0].upper(), found.symbol is None
    return 1


KNOWN_VENUES: Final = frozenset({"ECB", "FXCM", "OANDA"})  # in capitals they would pass for tickers
_READERS: Final[tuple[Callable[[list[str], FileName], int], ...]] = (
    _content,
    _timeframe,
    _contract,
    _pair,
    _symbol,
    _venue,
)
