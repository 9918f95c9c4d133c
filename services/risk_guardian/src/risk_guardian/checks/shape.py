"""Whether an order can be right at all: who, what, how much, at which price, on top of which parent."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from common.model.enums import DenyCode, OrderType
from common.model.money import ZERO
from common.model.parties import GUARDIAN
from risk_guardian.checks.base import Breach, Context, Cut

COUNTABLE: Final = 10**15  # beyond it a remainder has more digits than decimals keep
NEEDED_PRICES: Final[dict[OrderType, tuple[str, ...]]] = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("limit_px",),
    OrderType.STOP: ("stop_px",),
    OrderType.STOP_LIMIT: ("limit_px", "stop_px"),
}


def known_instrument(c: Context) -> Breach | None:
    known = c.order.instrument_id in c.state.instruments
    return None if known else Breach(DenyCode.UNKNOWN_INSTRUMENT, ZERO, ZERO)


def known_account(c: Context) -> Breach | None:
    """Nobody else speaks in the guardian's name either."""
    known = c.order.account == c.account and c.order.strategy_id != GUARDIAN
    return None if known else Breach(DenyCode.UNKNOWN_ACCOUNT, ZERO, ZERO)


def duplicate_id(c: Context) -> Breach | None:
    return Breach(DenyCode.DUPLICATE_ID, ZERO, ZERO) if c.order.client_order_id in c.state.flow.seen else None


def valid_qty(c: Context) -> Breach | None:
    increment = c.instrument.qty_increment
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


def fits_parent(c: Context) -> Breach | Cut | None:
    """An order with a parent is an exit from it: the other side of a working order in the same instrument, reduce-only, and all
    such exits that can fill together are no more than it.
    """
    order, orders = c.order, c.state.flow.orders
    if not order.parent_id:
        return None
    parent = orders.get(order.parent_id) if order.parent_id in c.state.working else None
    if parent is None:
        return Breach(DenyCode.UNKNOWN_ORDER, ZERO, ZERO)
    opposite = parent.instrument_id == order.instrument_id and parent.side is not order.side
    if not (order.reduce_only and opposite) or parent.parent_id:
        return Breach(DenyCode.UNSUPPORTED, ZERO, ZERO)
    room = parent.qty - _bound(c)
    return c.at_most(DenyCode.CHILD_EXCEEDS_PARENT, order.qty, max(room, ZERO), room)


def _bound(c: Context) -> Decimal:
    """Of the parent, by its other exits; of those that cancel each other only the largest counts, and none beside the order."""
    largest: dict[str, Decimal] = {}
    for name, terms in c.state.flow.orders.items():
        if terms.parent_id == c.order.parent_id and name != c.order.client_order_id and name in c.state.working:
            group = terms.oco_group or name
            if not c.order.oco_group or group != c.order.oco_group:
                largest[group] = max(largest.get(group, ZERO), terms.qty)
    return sum(largest.values(), ZERO)
