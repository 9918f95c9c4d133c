"""Cash and positions as the sum of fills: the arithmetic that portfolio, guardian and venue share.

Each of them keeps a ledger of its own, fed from the tape, so that none has to believe another.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from common.model.instrument import Instrument
from common.model.money import ZERO, Conversion


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """`signed_qty` > 0 is long. `avg_px` is the average entry price, `realized` the profit taken, in the quote currency."""

    instrument_id: str
    signed_qty: Decimal
    avg_px: Decimal
    realized: Decimal = ZERO


class Ledger(msgspec.Struct):
    """Cash by currency and positions by instrument. A flat position is kept for its realized profit."""

    cash: dict[str, Decimal] = msgspec.field(default_factory=dict)
    positions: dict[str, Position] = msgspec.field(default_factory=dict)

    def qty(self, instrument_id: str) -> Decimal:
        """Signed quantity held; zero when never traded."""
        position = self.positions.get(instrument_id)
        return position.signed_qty if position else ZERO

    def credit(self, currency: str, amount: Decimal) -> None:
        """Adds `amount` (negative takes away)."""
        self.cash[currency] = self.cash.get(currency, ZERO) + amount

    def apply_fill(self, instrument: Instrument, signed_qty: Decimal, px: Decimal, commission: Decimal) -> None:
        """Books a fill. `commission` >= 0 is paid in the quote currency."""
        self.credit(instrument.quote, -signed_qty * px - commission)
        held = self.positions.get(instrument.instrument_id) or Position(
            instrument_id=instrument.instrument_id, signed_qty=ZERO, avg_px=ZERO
        )
        self.positions[instrument.instrument_id] = _after_fill(held, signed_qty, px)

    def equity(
        self, instruments: Mapping[str, Instrument], last_px: Mapping[str, Decimal], conversion: Conversion
    ) -> Decimal | None:
        """Account-currency value of cash and positions; None when a held thing has no price."""
        total = ZERO
        for currency, amount in self.cash.items():
            if amount:
                rate = conversion.rate(currency, last_px)
                if rate is None:
                    return None
                total += amount * rate
        for instrument_id, position in self.positions.items():
            if position.signed_qty:
                px = last_px.get(instrument_id)
                rate = conversion.rate(instruments[instrument_id].quote, last_px)
                if px is None or rate is None:
                    return None
                total += position.signed_qty * px * rate
        return total

    def exposures(
        self, instruments: Mapping[str, Instrument], last_px: Mapping[str, Decimal], conversion: Conversion
    ) -> dict[str, Decimal]:
        """Signed notional of every open position in the account currency. Positions without a price are left out."""
        result = {}
        for instrument_id, position in self.positions.items():
            px = last_px.get(instrument_id)
            if position.signed_qty and px is not None:
                rate = conversion.rate(instruments[instrument_id].quote, last_px)
                if rate is not None:
                    result[instrument_id] = position.signed_qty * px * rate
        return result


def _after_fill(held: Position, signed_qty: Decimal, px: Decimal) -> Position:
    before, after = held.signed_qty, held.signed_qty + signed_qty
    if before * signed_qty >= 0:  # opens or grows
        avg_px = (abs(before) * held.avg_px + abs(signed_qty) * px) / abs(after) if after else ZERO
        return msgspec.structs.replace(held, signed_qty=after, avg_px=avg_px)
    closed = min(abs(before), abs(signed_qty)) * (1 if before > 0 else -1)
    realized = held.realized + closed * (px - held.avg_px)
    if after == 0:
        return msgspec.structs.replace(held, signed_qty=ZERO, avg_px=ZERO, realized=realized)
    avg_px = px if before * after < 0 else held.avg_px  # flipped through zero, or merely smaller
    return msgspec.structs.replace(held, signed_qty=after, avg_px=avg_px, realized=realized)
