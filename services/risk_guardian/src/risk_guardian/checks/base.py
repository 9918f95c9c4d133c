"""What a check is asked about, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from common.messages.orders import Order
from common.model.enums import DenyCode
from common.model.instrument import Instrument
from common.model.money import ZERO, Conversion
from risk_guardian.events import OFF, EventSettings
from risk_guardian.limits import Limits
from risk_guardian.state import State
from risk_guardian.windows import WindowSettings

ALL_HOURS: Final = WindowSettings()


class Breach(NamedTuple):
    code: DenyCode
    observed: Decimal
    limit: Decimal


class Cut(NamedTuple):
    """`qty` is what remains of the order, `breach` why; no rest means a refusal."""

    qty: Decimal
    breach: Breach


class RiskAfter(Protocol):
    """Measures of the book as it would be with an order filled on top of the worst side of all working orders, those approved
    in the same step included. Fractions of equity, losses positive; None while there is too little history.
    """

    def var_95(self, instrument_id: str, signed_qty: Decimal) -> float | None: ...

    def es_95(self, instrument_id: str, signed_qty: Decimal) -> float | None: ...

    def worst_stress(self, instrument_id: str, signed_qty: Decimal) -> tuple[str, float] | None:
        """Name of the scenario that costs most, and what."""
        ...

    def stress_breach(self, instrument_id: str, signed_qty: Decimal) -> tuple[str, float, float] | None:
        """Name, loss and limit where a scenario would cost more than its own limit."""
        ...

    def correlated(self, instrument_id: str) -> Sequence[str]:
        """Other instruments whose correlation with this one, either way, is over the threshold."""
        ...

    def heat(self) -> float | None:
        """Lost when every stop of the book is hit."""
        ...


class Side(NamedTuple):
    """What positions and working orders can make of one instrument, in the account currency: `low` <= `high`, `worst` the larger
    absolute value of both. `unit` is the value of one unit, `px` its last price.
    """

    instrument: Instrument
    unit: Decimal
    px: Decimal
    low: Decimal
    high: Decimal
    worst: Decimal

    def toward(self, sign: int) -> Decimal:
        """The most that can be held in the direction of `sign`; negative when it is surely held the other way."""
        return self.high if sign > 0 else -self.low


@dataclass(slots=True)
class Context:
    """What a check may look at. `ts` is the time of the decision, `held` counts working orders of the same side."""

    order: Order
    state: State
    limits: Limits
    account: str
    ts: int
    held: Decimal
    exposure_factor: float
    conversion: Conversion
    after: RiskAfter | None = None
    windows: WindowSettings = ALL_HOURS
    events: EventSettings = OFF
    _unit: Decimal | None = None
    _others: dict[str, Side] | None = None
    _gross: Decimal | None = None

    @property
    def shrinks(self) -> bool:
        """Closes or lessens a position without passing zero. An exit that waits for its parent does, by what has filled."""
        if self.order.parent_id:
            return True
        return self.held * self.order.signed_qty < 0 and self.order.qty <= abs(self.held)

    @property
    def instrument(self) -> Instrument:
        """Of an order whose instrument is known."""
        return self.state.instruments[self.order.instrument_id]

    @property
    def unit_value(self) -> Decimal | None:
        """One unit in the account currency, > 0; None without a price."""
        if self._unit is None:
            px = self.state.last_px.get(self.order.instrument_id)
            rate = self.conversion.rate(self.instrument.quote, self.state.last_px)
            self._unit = None if px is None or px <= 0 or rate is None else px * rate
        return self._unit

    @property
    def unit(self) -> Decimal:
        """As `unit_value`, 0 without a price."""
        return self.unit_value or ZERO

    @property
    def closes(self) -> Decimal:
        """How much of the order closes the position on the other side, in units."""
        return min(abs(self.held), self.order.qty) if self.held * self.order.signed_qty < 0 else ZERO

    @property
    def others(self) -> dict[str, Side]:
        """All other instruments that are held or worked."""
        if self._others is None:
            found = sides(self.state, self.conversion)
            found.pop(self.order.instrument_id, None)
            self._others = found
        return self._others

    @property
    def gross_of_others(self) -> Decimal:
        """Sum of what all other instruments can be at worst."""
        if self._gross is None:
            self._gross = sum((side.worst for side in self.others.values()), ZERO)
        return self._gross

    def of_equity(self, fraction: float) -> Decimal:
        """Limits shrink with the ladder: what was cut is not built up again."""
        return self.of_whole_equity(fraction) * exact(self.exposure_factor)

    def of_whole_equity(self, fraction: float) -> Decimal:
        """A limit that no ladder shrinks."""
        equity = self.state.equity if self.state.equity is not None else ZERO
        return max(equity, ZERO) * exact(fraction)

    def at_most(self, code: DenyCode, observed: Decimal, limit: Decimal, room: Decimal) -> Cut | None:
        """Cuts the order to `room` units when `observed` is over `limit`."""
        if observed <= limit:
            return None
        breach = Breach(code, observed, limit)
        if not self.limits.resize:
            return Cut(ZERO, breach)
        return Cut(self.instrument.round_qty(min(max(room, ZERO), self.order.qty)), breach)


Check = Callable[[Context], Breach | Cut | None]


def held(state: State, instrument_id: str, sign: int, without: str = "") -> Decimal:
    """The position if every working order of this side traded and none of the other: the worst that an order of `sign` (+1 buys,
    -1 sells) can come on top of, and the least that it can close. The order `without` does not count.
    """
    total = state.ledger.qty(instrument_id)
    for name, order in state.working.items():
        if order.instrument_id == instrument_id and order.signed_leaves_qty * sign > 0 and name != without:
            total += ZERO if waits(state, name) else order.signed_leaves_qty
    return total


def waits(state: State, client_order_id: str) -> bool:
    """An exit bound to its parent: it can never be more than what the parent has filled, so it adds to no position."""
    terms = state.flow.orders.get(client_order_id)
    return terms is not None and terms.parent_id != ""


def sides(state: State, conversion: Conversion) -> dict[str, Side]:
    """Of every instrument that is held or worked and has a price."""
    instruments, last_px = state.instruments, state.last_px
    rates: dict[str, Decimal | None] = {}
    result = {}
    for name, (low, high) in _units(state).items():
        instrument, px = instruments[name], last_px.get(name)
        quote = instrument.quote
        if quote not in rates:
            rates[quote] = conversion.rate(quote, last_px)
        rate = rates[quote]
        if px is not None and rate is not None:
            result[name] = _side(instrument, px, px * rate, low, high)
    return result


def gross_exposure(state: State, conversion: Conversion) -> Decimal:
    """Sum of absolute position values in the account currency, in each instrument as large as working orders can make it."""
    instruments, last_px, total = state.instruments, state.last_px, ZERO
    rates: dict[str, Decimal | None] = {}
    for name, (low, high) in _units(state).items():
        px, quote = last_px.get(name), instruments[name].quote
        if quote not in rates:
            rates[quote] = conversion.rate(quote, last_px)
        rate = rates[quote]
        if px is not None and rate is not None:
            total += (abs(high) if high >= -low else abs(low)) * (px * rate)
    return total


def _units(state: State) -> dict[str, tuple[Decimal, Decimal]]:
    units = {
        name: (held.signed_qty, held.signed_qty) for name, held in state.ledger.positions.items() if held.signed_qty
    }
    for name, order in state.working.items():
        if not waits(state, name):
            (low, high), qty = units.get(order.instrument_id, (ZERO, ZERO)), order.signed_leaves_qty
            units[order.instrument_id] = (low, high + qty) if qty > 0 else (low + qty, high)
    return units


def _side(instrument: Instrument, px: Decimal, unit: Decimal, low: Decimal, high: Decimal) -> Side:
    if low is high:  # nothing works: one product instead of three
        value = low * unit
        return Side(instrument, unit, px, value, value, abs(value))
    worst = abs(high) if high >= -low else abs(low)
    return Side(instrument, unit, px, low * unit, high * unit, worst * unit)


@lru_cache(maxsize=4096, typed=True)  # mostly of settings
def exact(value: float) -> Decimal:
    """The decimal that the float is written as."""
    return Decimal(repr(value))
