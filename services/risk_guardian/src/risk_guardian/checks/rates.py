"""Whether somebody sends too much: rates, repeats, duplicates, own orders on the other side."""

from __future__ import annotations

from decimal import Decimal

from common.model.enums import DenyCode, OrderType
from common.model.money import ZERO
from common.model.time import NS_PER_MINUTE, NS_PER_SECOND
from risk_guardian.checks.base import Breach, Context
from risk_guardian.flow import CANCEL, ORDER, REPEAT, content, is_full, meter


def order_rate(c: Context) -> Breach | None:
    return _rate(c, meter(ORDER), c.limits.orders_per_minute, DenyCode.ORDER_RATE)


def strategy_order_rate(c: Context) -> Breach | None:
    name = meter(ORDER, c.order.strategy_id)
    return _rate(c, name, c.limits.strategy_orders_per_minute, DenyCode.STRATEGY_ORDER_RATE)


def cancel_rate(c: Context) -> Breach | None:
    """Who cancels that much does not know what it wants."""
    name = meter(CANCEL, c.order.strategy_id)
    return _rate(c, meter(CANCEL), c.limits.cancels_per_minute, DenyCode.CANCEL_RATE) or _rate(
        c, name, c.limits.strategy_cancels_per_minute, DenyCode.CANCEL_RATE
    )


def repeated_execution(c: Context) -> Breach | None:
    """RTS 6, article 15: the judge halts the strategy in the instrument when it hears this."""
    name = meter(REPEAT, c.order.strategy_id, c.order.instrument_id)
    window = int(c.limits.repeat_window_minutes * NS_PER_MINUTE)
    return _rate(c, name, c.limits.max_repeats, DenyCode.REPEATED_EXECUTION, window)


def duplicate_content(c: Context) -> Breach | None:
    window = int(c.limits.duplicate_window_s * NS_PER_SECOND)
    then = c.state.flow.contents.get(content(c.order)) if window else None
    if then is None or then <= c.state.ts - window:
        return None
    age = Decimal(c.state.ts - then) / NS_PER_SECOND
    return Breach(DenyCode.DUPLICATE_CONTENT, age, Decimal(window) / NS_PER_SECOND)


def open_orders(c: Context) -> Breach | None:
    most, working = c.limits.max_open_orders, len(c.state.working)
    return None if working < most else Breach(DenyCode.OPEN_ORDERS, Decimal(working + 1), Decimal(most))


def notional_rate(c: Context) -> Breach | None:
    since = c.state.ts - NS_PER_MINUTE
    spent = sum((notional for ts, notional in c.state.flow.spent if ts > since), c.order.qty * c.unit)
    limit = c.of_whole_equity(c.limits.notional_per_minute)
    return Breach(DenyCode.NOTIONAL_RATE, spent, limit) if spent > limit else None


def self_trade(c: Context) -> Breach | None:
    """An own order that rests at a price which this one would take. Not of new risk alone: no exit trades with ourselves."""
    order, reach = c.order, _reach(c)
    for name, working in c.state.working.items():
        against = working.instrument_id == order.instrument_id and working.signed_leaves_qty * order.side.sign < 0
        if not against or name in (order.parent_id, order.client_order_id):
            continue
        for px in _resting(c, name):
            if reach is None or (reach - px) * order.side.sign >= 0:
                return Breach(DenyCode.SELF_TRADE, reach or ZERO, px)
    return None


def _resting(c: Context, name: str) -> list[Decimal]:
    """Limit prices at which a working order rests, or may while it is being amended."""
    flow = c.state.flow
    terms = (flow.orders.get(name), flow.amending.get(name))
    return [each.limit_px for each in terms if each is not None and each.limit_px is not None]


def _reach(c: Context) -> Decimal | None:
    """The worst price the order takes at first: its limit, else its stop or the last price and half the spread; None: any."""
    order = c.order
    if order.limit_px is not None and order.order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        return order.limit_px
    px = order.stop_px if order.order_type is OrderType.STOP else c.state.last_px.get(order.instrument_id)
    return None if px is None else px + c.instrument.half_spread * order.side.sign


def _rate(c: Context, name: str, most: int, code: DenyCode, window: int = NS_PER_MINUTE) -> Breach | None:
    full = is_full(c.state.flow, name, c.state.ts - window, most)
    return Breach(code, Decimal(most + 1), Decimal(most)) if full else None
