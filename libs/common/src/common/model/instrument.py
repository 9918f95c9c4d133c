"""What is traded, and the one conversion between statistics (float) and money (Decimal)."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from functools import cached_property

import msgspec

from common.model.enums import AssetClass


class Instrument(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A tradable thing at a venue or price source.

    `instrument_id` is `SYMBOL.VENUE`, `EUR-USD.ECB`. One unit of quantity is one unit of `base` (a euro, a coin, a
    share) and is priced in `quote`. `half_spread` is the cost assumption in price units where data has no quotes.
    """

    instrument_id: str
    asset_class: AssetClass
    base: str
    quote: str
    price_increment: Decimal
    qty_increment: Decimal
    half_spread: Decimal
    close_only: bool = False  # a fixing without open, high and low

    @cached_property
    def symbol(self) -> str:
        """`EUR-USD` of `EUR-USD.ECB`."""
        return self.instrument_id.rpartition(".")[0]

    def round_price(self, value: float | Decimal) -> Decimal:
        """Nearest multiple of the price increment, halves to even. `value` must be finite."""
        exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
        return exact.quantize(self.price_increment, rounding=ROUND_HALF_EVEN)

    def round_qty(self, value: float | Decimal) -> Decimal:
        """Multiple of the quantity increment, toward zero: a rounded order is never larger than asked."""
        exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
        return (exact / self.qty_increment).to_integral_value(rounding=ROUND_DOWN) * self.qty_increment
