"""Pre-trade controls (RSK-02): one pure function each, asked in the order of `CHECKS`.

A check gives None to let pass, a `Breach` to refuse, or a `Cut` to the largest quantity it allows. Orders that only shrink
a position skip what protects against new risk: getting out must always be possible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from common.messages.orders import Order
from common.model.enums import DenyCode, OrderType, TradingState
from common.model.money import ZERO, Conversion
from common.model.time import NEW_YORK, NS_PER_MINUTE, to_datetime
from risk_guardian.settings import Limits, Session
from risk_guardian.state import State


class Breach(NamedTuple):
    code: DenyCode
    observed: Decimal
    limit: Decimal


class Cut(NamedTuple):
    """`qty` is what remains of the order, `breach` why; no rest means a refusal."""

    qty: Decimal
    breach: Breach


class Context(NamedTuple):
    """What a check may look at. `held` counts working orders of the same side; `unit_value` is one unit in the account
    currency, None or > 0.
    """

    order: Order
    state: State
    limits: Limits
    account: str
    held: Decimal
    exposure_factor: float
    conversion: Conversion

    @property
    def shrinks(self) -> bool:
        """Closes or lessens a position without passing zero."""
        return self.held * self.order.signed_qty < 0 and self.order.qty <= abs(self.held)

    @property
    def unit_value(self) -> Decimal | None:
        instrument = self.state.instruments[self.order.instrument_id]
        px = self.state.last_px.get(self.order.instrument_id)
        rate = self.conversion.rate(instrument.quote, self.state.last_px)
        return None if px is None or px <= 0 or rate is None else px * rate


Check = Callable[[Context], Breach | Cut | None]
COUNTABLE: Final = 10**15  # beyond it a remainder has more digits than decimals keep
NEEDED_PRICES: Final[dict[OrderType, tuple[str, ...]]] = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("limit_px",),
    OrderType.STOP: ("stop_px",),
    OrderType.STOP_LIMIT: ("limit_px", "stop_px"),
}


def halted(c: Context) -> Breach | None:
    return Breach(DenyCode.TRADING_HALTED, ZERO, ZERO) if c.state.trading is TradingState.HALTED else None


def known_instrument(c: Context) -> Breach | None:
    known = c.order.instrument_id in c.state.instruments
    return None if known else Breach(DenyCode.UNKNOWN_INSTRUMENT, ZERO, ZERO)


def known_account(c: Context) -> Breach | None:
    return None if c.order.account == c.account else Breach(DenyCode.UNKNOWN_ACCOUNT, ZERO, ZERO)


def duplicate_id(c: Context) -> Breach | None:
    return Breach(DenyCode.DUPLICATE_ID, ZERO, ZERO) if c.order.client_order_id in c.state.seen else None


def valid_qty(c: Context) -> Breach | None:
    increment = c.state.instruments[c.order.instrument_id].qty_increment
    valid = c.order.qty.is_finite() and 0 < c.order.qty < COUNTABLE and c.order.qty % increment == 0
    return None if valid else Breach(DenyCode.QTY_INVALID, c.order.qty, increment)


def stated_prices(c: Context) -> Breach | None:
    """The prices that the order's type needs are there, and all are numbers; of every order, since a venue must live by it."""
    order = c.order
    needed = {"limit_px": order.limit_px, "stop_px": order.stop_px}
    if any(needed[name] is None for name in NEEDED_PRICES[order.order_type]):
        return Breach(DenyCode.NO_PRICE, ZERO, ZERO)
    bad = [px for px in (order.ref_px, *needed.values()) if px is not None and not px.is_finite()]
    return Breach(DenyCode.PRICE_COLLAR, bad[0], ZERO) if bad else None


def reducing(c: Context) -> Breach | None:
    if c.state.trading is not TradingState.REDUCING or c.shrinks:
        return None
    return Breach(DenyCode.WOULD_INCREASE, c.order.signed_qty, -c.held)


def order_rate(c: Context) -> Breach | None:
    recent = sum(ts > c.state.ts - NS_PER_MINUTE for ts in c.state.approvals)
    if c.shrinks or recent < c.limits.orders_per_minute:
        return None
    return Breach(DenyCode.ORDER_RATE, Decimal(recent + 1), Decimal(c.limits.orders_per_minute))


def market_open(c: Context) -> Breach | None:
    if c.shrinks or c.limits.session is Session.ALWAYS or fx_week_open(c.state.ts):
        return None
    return Breach(DenyCode.MARKET_CLOSED, ZERO, ZERO)


def priced(c: Context) -> Breach | None:
    return None if c.shrinks or c.unit_value is not None else Breach(DenyCode.NO_PRICE, ZERO, ZERO)


def fresh_price(c: Context) -> Breach | None:
    if c.shrinks:
        return None
    age = c.state.ts - c.state.last_px_ns[c.order.instrument_id]
    allowed = c.limits.stale_after_bars * c.state.base_timeframe[c.order.instrument_id].ns
    if age <= allowed:
        return None
    return Breach(DenyCode.STALE_PRICE, Decimal(age) / 10**9, Decimal(int(allowed)) / 10**9)


def price_collar(c: Context) -> Breach | None:
    """Arrival, limit and stop price against the guardian's own last price. A missing price was refused before."""
    last = c.state.last_px.get(c.order.instrument_id)
    if c.shrinks or last is None:
        return None
    limit = _exact(c.limits.price_collar)
    for px in (c.order.ref_px, c.order.limit_px, c.order.stop_px):
        if px is not None and abs(px - last) > limit * last:
            return Breach(DenyCode.PRICE_COLLAR, px, last)
    return None


def equity_known(c: Context) -> Breach | None:
    equity = c.state.equity
    return (
        None if c.shrinks or (equity is not None and equity > 0) else Breach(DenyCode.NO_EQUITY, equity or ZERO, ZERO)
    )


def max_qty(c: Context) -> Cut | None:
    return None if c.shrinks else _at_most(c, c.order.qty, _exact(c.limits.max_order_qty), DenyCode.MAX_QTY, ZERO)


def max_notional(c: Context) -> Cut | None:
    limit = _of_equity(c, c.limits.max_order_notional)
    return None if c.shrinks else _at_most(c, _value(c, c.order.qty), limit, DenyCode.MAX_NOTIONAL, ZERO)


def max_position(c: Context) -> Cut | None:
    """Of the position that would result; the part that closes the other side is free."""
    if c.shrinks:
        return None
    closes = _closing_part(c)
    after = _value(c, abs(c.held + c.order.signed_qty))
    already = _value(c, abs(c.held)) if not closes else ZERO
    limit = _of_equity(c, c.limits.max_position)
    return _at_most(c, after, limit, DenyCode.MAX_POSITION, already, closes)


def max_gross_exposure(c: Context) -> Cut | None:
    """Of all positions, each at the larger of what its working buys or its working sells make of it."""
    if c.shrinks:
        return None
    others = gross_exposure(c.state, c.conversion, leave_out=c.order.instrument_id)
    closes = _closing_part(c)
    after = others + _value(c, abs(c.held + c.order.signed_qty))
    already = others + (_value(c, abs(c.held)) if not closes else ZERO)
    limit = _of_equity(c, c.limits.max_gross_exposure)
    return _at_most(c, after, limit, DenyCode.MAX_GROSS_EXPOSURE, already, closes)


CHECKS: Final[Sequence[Check]] = (
    halted,
    known_instrument,
    known_account,
    duplicate_id,
    valid_qty,
    stated_prices,
    reducing,
    order_rate,
    market_open,
    priced,
    fresh_price,
    price_collar,
    equity_known,
    max_qty,
    max_notional,
    max_position,
    max_gross_exposure,
)


def gross_exposure(state: State, conversion: Conversion, leave_out: str = "") -> Decimal:
    """Sum of absolute position values in the account currency, in each instrument as large as working orders can make it."""
    names = dict.fromkeys((*state.ledger.positions, *(order.instrument_id for order in state.working.values())))
    total = ZERO
    for instrument_id in names:
        px = state.last_px.get(instrument_id)
        if instrument_id != leave_out and px is not None:
            qty = max(abs(state.held(instrument_id, 1)), abs(state.held(instrument_id, -1)))
            rate = conversion.rate(state.instruments[instrument_id].quote, state.last_px)
            total += qty * px * (rate if rate is not None else ZERO)
    return total


def fx_week_open(ts_ns: int) -> bool:
    """Sunday 17:00 to Friday 17:00 in New York, both ends included: the last close of the week can still be traded on."""
    local = to_datetime(ts_ns).astimezone(NEW_YORK)
    sunday = (local - timedelta(days=(local.weekday() + 1) % 7)).replace(hour=17, minute=0, second=0, microsecond=0)
    if local < sunday:
        sunday -= timedelta(days=7)
    return local <= sunday + timedelta(days=5)


def _at_most(
    c: Context, observed: Decimal, limit: Decimal, code: DenyCode, already: Decimal, closes: Decimal = ZERO
) -> Cut | None:
    """Cuts the order so that `observed` comes down to `limit`; `already` of it is not the order's doing."""
    if observed <= limit:
        return None
    breach = Breach(code, observed, limit)
    unit = c.unit_value if code is not DenyCode.MAX_QTY else Decimal(1)
    if not c.limits.resize or not unit:
        return Cut(ZERO, breach)
    room = closes + max(limit - already, ZERO) / unit
    return Cut(c.state.instruments[c.order.instrument_id].round_qty(min(room, c.order.qty)), breach)


def _closing_part(c: Context) -> Decimal:
    """How much of the order closes the position on the other side, in units."""
    return min(abs(c.held), c.order.qty) if c.held * c.order.signed_qty < 0 else ZERO


def _of_equity(c: Context, fraction: float) -> Decimal:
    """Limits shrink with the ladder: what was cut is not built up again."""
    equity = c.state.equity if c.state.equity is not None else ZERO
    return max(equity, ZERO) * _exact(fraction) * _exact(c.exposure_factor)


def _value(c: Context, qty: Decimal) -> Decimal:
    return qty * (c.unit_value or ZERO)


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))
