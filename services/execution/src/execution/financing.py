"""What it costs to hold a position at the paper venue: swap, borrowing fee, funding (EXE-04).

Currency pairs: the difference of the short rates (none where they are not given) and the broker's markup, at 17:00 in New York, three
days on a Wednesday; half a per cent a year is the most that IG US says it adds to the market's tom-next rate. Perpetuals: 0.01 per
cent every 8 hours, the interest component of the large venues. Shares and coins: a fee on what is sold short.

It accrues at the roll, on what is held then, and is booked at the first price from 00:00 UTC on. Between the two nothing is to be
done, so that a run that skips quiet slices books the same amounts at the same instants: the first slice of a UTC day is in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, NamedTuple

import msgspec

from common.messages.market_data import MarketSlice
from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.ledger import Ledger
from common.model.money import ZERO
from common.model.time import NEW_YORK, NS_PER_DAY, NS_PER_HOUR, DayClose, Timeframe, period_close, to_datetime

Meta = msgspec.Meta
FUNDING_NS: Final = 8 * NS_PER_HOUR  # perpetuals: 00:00, 08:00 and 16:00 UTC
YEAR_DAYS: Final = 365
# Days of interest by weekday in New York: delivery is two business days later, so that Wednesday's roll spans the weekend.
ROLL_DAYS: Final = (1, 1, 3, 1, 1, 0, 0)
_MILLIONTH: Final = Decimal("0.000001")
_PERPETUAL: Final = "PERP"


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of `[[execution.financing.rates.EUR]]`."""

    since: Annotated[date, Meta(description="in New York; it holds until the next row")]
    rate: Annotated[float, Meta(ge=-1, le=10, description="a year; 0.05 is five per cent")]


class FinancingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section `[execution.financing]`, of the paper venue."""

    enabled: Annotated[bool, Meta(description="book interest, swap and funding of positions held overnight")] = True
    rates: Annotated[
        dict[str, tuple[Rate, ...]],
        Meta(description="short rates by currency; a pair of which one is missing has no difference of interest"),
    ] = msgspec.field(default_factory=dict)
    markup: Annotated[
        float, Meta(ge=0, le=1, description="what the broker takes of a currency pair, a year, long or short")
    ] = 0.005
    borrow_rate: Annotated[float, Meta(ge=0, le=10, description="a year, on shares and coins sold short")] = 0.003
    funding_rate: Annotated[
        float, Meta(ge=-0.1, le=0.1, description="of perpetuals, every 8 hours; above 0 long positions pay")
    ] = 0.0001


class Due(msgspec.Struct, kw_only=True):
    """Accrued and not booked: `units` (> 0 to be received) are of the base; a price from `ripe_ns` on makes them money."""

    ripe_ns: int
    units: Decimal = ZERO
    rolls: int = 0
    rolled_ns: int = 0


class Accrual(msgspec.Struct, kw_only=True):
    """`next_ns` is the next roll (0: no slice has come yet), `due` what has accrued by instrument."""

    next_ns: int = 0
    due: dict[str, Due] = msgspec.field(default_factory=dict)


class Charge(NamedTuple):
    instrument: Instrument
    due: Due
    px: Decimal
    amount: Decimal


class Financing:
    """The rule; what it remembers is in the accrual that is handed to it."""

    def __init__(self, settings: FinancingSettings) -> None:
        self._settings = settings
        self._rates = {
            currency: sorted((row.since.toordinal(), _exact(row.rate)) for row in rows)
            for currency, rows in settings.rates.items()
        }
        self._markup, self._borrow = _exact(settings.markup), _exact(settings.borrow_rate)
        self._funding = _exact(settings.funding_rate)

    def accrue(self, accrual: Accrual, ts: int, ledger: Ledger, instruments: Mapping[str, Instrument]) -> None:
        """Takes in the rolls up to `ts`. The ledger is that of before the slice at `ts` trades, which is the one of every roll
        since the slice before.
        """
        if ts < accrual.next_ns:
            return
        held = [(instruments[name], held.signed_qty) for name, held in ledger.positions.items() if held.signed_qty]
        funded = any(_is_perpetual(instrument) for instrument in instruments.values())
        if not held or not accrual.next_ns:
            accrual.next_ns = _next_roll(ts + 1, funded=funded)
        while accrual.next_ns <= ts:
            for instrument, signed_qty in held:
                self._add(accrual, instrument, signed_qty)
            accrual.next_ns = _next_roll(accrual.next_ns + 1, funded=funded)

    def _add(self, accrual: Accrual, instrument: Instrument, signed_qty: Decimal) -> None:
        roll = accrual.next_ns
        if units := self.units(instrument, signed_qty, roll):
            midnight = -(-roll // NS_PER_DAY) * NS_PER_DAY
            due = accrual.due.setdefault(instrument.instrument_id, Due(ripe_ns=midnight))
            due.units, due.rolls, due.rolled_ns = due.units + units, due.rolls + 1, roll

    def units(self, instrument: Instrument, signed_qty: Decimal, roll: int) -> Decimal:
        """What holding `signed_qty` through the roll earns (> 0) or costs, in units of the base."""
        if _is_perpetual(instrument):
            return ZERO if roll % FUNDING_NS else -signed_qty * self._funding
        if not roll % FUNDING_NS:
            return ZERO
        local = to_datetime(roll).astimezone(NEW_YORK)
        days = ROLL_DAYS[local.weekday()]
        if instrument.asset_class is not AssetClass.FX:
            return min(signed_qty, ZERO) * self._borrow * days / YEAR_DAYS
        carry = signed_qty * self._difference(instrument, local.toordinal())
        return (carry - abs(signed_qty) * self._markup) * days / YEAR_DAYS

    def _difference(self, instrument: Instrument, day: int) -> Decimal:
        base, quote = self._rate(instrument.base, day), self._rate(instrument.quote, day)
        return ZERO if base is None or quote is None else base - quote

    def _rate(self, currency: str, day: int) -> Decimal | None:
        found = None
        for since, rate in self._rates.get(currency, ()):
            if since > day:
                break
            found = rate
        return found


def is_ripe(accrual: Accrual, ts: int) -> bool:
    """Whether the next slice with a price may book something."""
    return any(ts >= due.ripe_ns for due in accrual.due.values())


def settle(accrual: Accrual, message: MarketSlice, instruments: Mapping[str, Instrument]) -> Iterator[Charge]:
    """What is due of instruments that have a price in the slice. Amounts are in the quote currency, rounded to a millionth."""
    ripe = [name for name, due in accrual.due.items() if message.ts_event >= due.ripe_ns]
    if not ripe:
        return
    prices = {bar.instrument_id: bar.close for bar in message.bars if bar.base}
    prices |= {quote.instrument_id: (quote.bid + quote.ask) / 2 for quote in message.quotes}
    for name in ripe:
        if name not in prices:
            continue
        instrument, due = instruments[name], accrual.due.pop(name)
        px = instrument.round_price(prices[name])
        yield Charge(instrument, due, px, (due.units * px).quantize(_MILLIONTH))


def _is_perpetual(instrument: Instrument) -> bool:
    return instrument.symbol.endswith(_PERPETUAL)


def _next_roll(ts: int, *, funded: bool) -> int:
    """The first one at or after `ts`: 17:00 in New York, which is never a funding hour; and those, where they matter."""
    day = period_close(ts, Timeframe.D1, DayClose.NEW_YORK_17)
    return min(day, -(-ts // FUNDING_NS) * FUNDING_NS) if funded else day


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))
