"""The major pairs out of the European Central Bank's reference rates, which are units per euro."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from market_data.feeds.files import Floats
from market_data.instruments import Symbol, parse_symbol

VENUE: Final = "ECB"
EURO: Final = "EUR"
MAJORS: Final = ("AUD-USD", "EUR-USD", "GBP-USD", "NZD-USD", "USD-CAD", "USD-CHF", "USD-JPY")
CURRENCIES: Final = ("AUD", "CAD", "CHF", "GBP", "JPY", "NZD", "USD")
_DECIMALS: Final = {"JPY": 3}  # others 5, as the market quotes them


def majors(currencies: Iterable[str]) -> tuple[Symbol, ...]:
    """The major pairs that rates of these currencies give, in alphabetical order."""
    known = {EURO, *currencies}
    pairs = (parse_symbol(name) for name in MAJORS)
    return tuple(pair for pair in pairs if pair and pair.base in known and pair.quote in known)


def cross_rate(symbol: Symbol, per_euro: Mapping[str, Floats]) -> Floats:
    """Units of the quote currency per unit of base; NaN where either rate is missing."""
    quote = per_euro[symbol.quote] if symbol.quote != EURO else 1.0
    base = per_euro[symbol.base] if symbol.base != EURO else 1.0
    return np.round(np.asarray(quote / base), _DECIMALS.get(symbol.quote, 5))
