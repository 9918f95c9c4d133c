"""Venues whose past can be asked for, one file each."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from common.errors import ConfigError
from market_data.backfill.venue import Venue

NAMES: Final = ("alpaca", "binance", "coinbase", "kraken", "oanda")


def venue(name: str) -> Venue:
    """Raises ConfigError for one that nobody taught us."""
    if name not in NAMES:
        raise ConfigError(f"venue {name!r}: expected one of {', '.join(NAMES)}")
    found: Venue = import_module(f"market_data.backfill.venues.{name}").VENUE
    return found
