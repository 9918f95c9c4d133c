"""The market in the terms of the book: prices as money knows them, and what converts them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from common.model.instrument import Instrument
from common.model.ledger import Ledger
from common.model.money import ONE, Conversion
from common.quant.kernel import Floats, Ints
from research.fast import scan
from research.fast.market import Market

_EXACT_UP_TO = 1e14  # of price increments: beyond, a float is not exact to a half of them


class Book:
    """`px` float64[slices, instruments] are the closes as `Instrument.round_price` rounds them; of instrument i, `quote[i]` is the
    one whose price converts its quote currency (-1: none is needed) and `inverse[i]` whether that is by division.
    """

    def __init__(self, market: Market, currency: str) -> None:
        self.rows = {one.instrument_id: row for row, one in enumerate(market.instruments)}
        self.px = np.empty_like(market.close)
        scan.money(market.close, _scales(market.instruments), self.px)
        self.conversion = Conversion(currency, market.instruments)
        self._routes: dict[str, tuple[int, bool] | None] = {}
        routes = [self._route(one.quote) for one in market.instruments]
        self.quote: Ints = np.array([-1 if one is None else one[0] for one in routes], dtype=np.int64)
        self.inverse: Ints = np.array([one is not None and one[1] for one in routes], dtype=np.int64)

    def lay_out(self, ledger: Ledger, by: Floats, of: Floats) -> None:
        """Enters cash and positions into the arrays of `scan.fresh`."""
        for instrument_id, position in ledger.positions.items():
            if position.signed_qty:
                by[scan.QTY, self.rows[instrument_id]] = float(position.signed_qty)
                of[scan.HELD] = 1.0
        for currency, amount in ledger.cash.items():
            route = self._route(currency) if amount else None
            if route is None:
                of[scan.CASH] += float(amount)
            else:
                by[scan.INVERSE if route[1] else scan.DIRECT, route[0]] += float(amount)
                of[scan.HELD] = 1.0

    def _route(self, currency: str) -> tuple[int, bool] | None:
        """The row of the instrument whose price converts the currency, and whether by division; None where none is needed."""
        if currency not in self._routes:
            self._routes[currency] = self._find(currency)
        return self._routes[currency]

    def _find(self, currency: str) -> tuple[int, bool] | None:
        if self.conversion.rate(currency, {}) == ONE:
            return None
        for name, row in self.rows.items():
            rate = self.conversion.rate(currency, {name: Decimal(2)})
            if rate is not None:
                return row, rate < 1
        return None

    def worth(self, index: int, close: Floats) -> Floats:
        """What a unit of each instrument is worth at the closes of slice `index`, in the account currency."""
        found = np.zeros(len(self.rows))
        scan.units(close[index], self.quote, self.inverse, found)
        return found


def is_covered(market: Market, currency: str) -> bool:
    """Whether prices and rates can be followed in floats to within `scan.MARGIN`."""
    scales = _scales(market.instruments)
    with np.errstate(invalid="ignore"):
        highest = np.nanmax(market.close, axis=0, initial=0.0) * scales
    conversion = Conversion(currency, market.instruments)
    everything = {one.instrument_id: ONE for one in market.instruments}
    known = all(conversion.rate(one.quote, everything) is not None for one in market.instruments)
    return bool(known and np.all(scales >= 1) and np.all(scales <= 1e12) and np.all(highest < _EXACT_UP_TO))


def _scales(instruments: Sequence[Instrument]) -> Floats:
    exponents = [one.price_increment.as_tuple().exponent for one in instruments]
    return np.array([10.0 ** -int(exponent) for exponent in exponents])
