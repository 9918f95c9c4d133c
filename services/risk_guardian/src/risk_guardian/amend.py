"""Amendments: what of them is judged, and what counts until the venue has answered (the worse of old and new terms)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from common.messages.orders import AmendOrder, Order
from common.model.enums import Side
from common.model.money import ZERO
from risk_guardian.checks import OF_EVERY_ORDER, OF_NEW_RISK, Check
from risk_guardian.checks.market import clock_jump, fresh_price, price_collar, priced
from risk_guardian.checks.rates import duplicate_content
from risk_guardian.checks.shape import duplicate_id
from risk_guardian.state import State

_OF_EVERY_AMENDMENT: Final = tuple(check for check in OF_EVERY_ORDER if check is not duplicate_id)
_OF_PRICES: Final = (clock_jump, priced, fresh_price, price_collar)
_OF_AN_INCREASE: Final = tuple(check for check in OF_NEW_RISK if check is not duplicate_content)


def wanted(message: AmendOrder, current: Order) -> Order:
    """The whole order as it shall be; what the message leaves out stays."""
    changes = {"qty": message.qty, "limit_px": message.limit_px, "stop_px": message.stop_px}
    return msgspec.structs.replace(current, **{name: value for name, value in changes.items() if value is not None})


def nameless(message: AmendOrder, account: str) -> Order:
    """Stands for an order that nobody knows, in the refusal of its amendment."""
    return Order(
        client_order_id=message.client_order_id,
        account=account,
        strategy_id="unknown",
        instrument_id="",
        side=Side.BUY,
        qty=message.qty or ZERO,
        ref_px=ZERO,
    )


def checks_of(current: Order, new: Order) -> tuple[Sequence[Check], Sequence[Check]]:
    """Those of every amendment, and those that one which only shrinks a position skips. A larger quantity is judged like a new
    order, a new price as a price; to ask for less is always allowed.
    """
    if new.qty > current.qty:
        return _OF_EVERY_AMENDMENT, _OF_AN_INCREASE
    repriced = (new.limit_px, new.stop_px) != (current.limit_px, current.stop_px)
    return _OF_EVERY_AMENDMENT, _OF_PRICES if repriced else ()


def approve(state: State, current: Order, new: Order, filled: Decimal) -> None:
    """Until the venue has answered, the larger quantity counts, and both prices."""
    larger = max(current.qty, new.qty)
    state.working[new.client_order_id].signed_leaves_qty = (larger - filled) * new.side.sign
    state.flow.orders[new.client_order_id] = msgspec.structs.replace(new, qty=larger)
    state.flow.amending[new.client_order_id] = current


def settle(state: State, order: Order) -> None:
    """`order` is what the venue works now, whether it took the amendment or not; fills in between are in neither's way."""
    name = order.client_order_id
    working, counted = state.working.get(name), state.flow.orders.get(name)
    state.flow.amending.pop(name, None)
    if working is None or counted is None:
        return
    leaves = order.qty - (counted.qty - abs(working.signed_leaves_qty))
    state.flow.orders[name] = order
    working.signed_leaves_qty = leaves * order.side.sign
    if leaves <= 0:
        del state.working[name]
