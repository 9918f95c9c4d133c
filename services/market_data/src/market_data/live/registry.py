"""Which adapter answers to which name. Imported when asked for: some are heavy, or not installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final, cast

from common.errors import ConfigError
from market_data.live.connection import Clock, Connection
from market_data.live.settings import FeedSettings

ADAPTERS: Final[Mapping[str, str]] = {
    "recorded": "market_data.live.recorded",
    "coinbase": "market_data.adapters.ccxt_pro",
    "kraken": "market_data.adapters.ccxt_pro",
    "binance": "market_data.adapters.ccxt_pro",
    "alpaca": "market_data.adapters.alpaca",
    "oanda": "market_data.adapters.oanda",
}


def connect(feed: FeedSettings, clock: Clock, seed: int, *, fast: bool) -> Connection:
    """The feed's connection, not yet connected. Raises ConfigError for what it lacks, and for a real one on a `fast` clock."""
    if fast and feed.adapter != "recorded":
        raise ConfigError(f"market_data.live.clock_speed: the feed {feed.name!r} is a real one; expected 1")
    return cast(Connection, import_module(ADAPTERS[feed.adapter]).connect(feed, clock, seed))
