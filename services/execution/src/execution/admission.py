"""What execution refuses by itself, whoever approved it (RSK-01): one pure function each, asked in the order of the tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from common.messages.orders import Order, OrderApproved
from common.model.enums import DenyCode, OrderType, TimeInForce
from common.model.money import ZERO
from common.model.parties import GUARDIAN
from execution.context import Context
from execution.transitions import FINAL

_LIMITS: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_STOPS: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
_RESTS: Final = frozenset({TimeInForce.GTC, TimeInForce.GTD})


class Refusal(NamedTuple):
    code: DenyCode
    observed: Decimal = ZERO
    limit: Decimal = ZERO
    detail: str = ""


def is_flattening(order: Order) -> bool:
    """What passes a halt."""
    return order.strategy_id == GUARDIAN and order.reduce_only and order.order_type is OrderType.MARKET


def reduces(ctx: Context, order: Order) -> bool:
    """Takes nothing but risk away: says so itself, or is no larger than the position on the other side."""
    held = ctx.state.ledger.qty(order.instrument_id) * -order.side.sign
    return order.reduce_only or order.qty <= held


def refusal(ctx: Context, message: OrderApproved) -> Refusal | None:
    """Of an order that has just been approved."""
    for check in _ON_APPROVAL:
        if (found := check(ctx, message)) is not None:
            return found
    return gate(ctx, message.order)


def gate(ctx: Context, order: Order) -> Refusal | None:
    """Of an order that would go to the venue now; asked again before every sending. While reducing, and while who decides was
    not built as we are, only what the venue itself keeps from passing zero goes out: several exits, each no larger than the
    position, can flip it together.
    """
    state = ctx.state
    if state.halted and not is_flattening(order):
        return Refusal(DenyCode.TRADING_HALTED)
    if state.reducing and not order.reduce_only:
        return Refusal(DenyCode.WOULD_INCREASE, order.signed_qty, -state.ledger.qty(order.instrument_id))
    if state.mixed and not order.reduce_only:
        return Refusal(DenyCode.VERSION_MISMATCH, detail=state.mixed)
    if ctx.paper is not None or reduces(ctx, order):
        return None  # nearly every order of a backtest
    for check in _ON_NEW_RISK:
        if (found := check(ctx, order)) is not None:
            return found
    return None


# --- on approval -------------------------------------------------------------------------------------


def _halted(ctx: Context, message: OrderApproved) -> Refusal | None:
    halted = ctx.state.halted and not is_flattening(message.order)
    return Refusal(DenyCode.TRADING_HALTED) if halted else None


def _known(ctx: Context, message: OrderApproved) -> Refusal | None:
    known = message.order.instrument_id in ctx.state.instruments
    return None if known else Refusal(DenyCode.UNKNOWN_INSTRUMENT)


def _own_account(ctx: Context, message: OrderApproved) -> Refusal | None:
    return None if message.order.account == ctx.account.id else Refusal(DenyCode.UNKNOWN_ACCOUNT)


def _fresh(ctx: Context, message: OrderApproved) -> Refusal | None:
    """Approved on an older step than the last; the guardian's own orders are never stale."""
    if message.step >= ctx.state.step or message.order.strategy_id == GUARDIAN:
        return None
    return Refusal(DenyCode.STALE_APPROVAL, Decimal(message.step), Decimal(ctx.state.step))


def _positive(ctx: Context, message: OrderApproved) -> Refusal | None:
    qty = message.order.qty
    return None if qty.is_finite() and qty > 0 else Refusal(DenyCode.QTY_INVALID, qty)


def _supported(ctx: Context, message: OrderApproved) -> Refusal | None:
    order = message.order
    for bad in _UNSUPPORTED:
        if bad(order):
            return Refusal(DenyCode.UNSUPPORTED)
    return None


def _parent(ctx: Context, message: OrderApproved) -> Refusal | None:
    """A parent comes first and can still fill, or has; and no child is larger."""
    order = message.order
    if not order.parent_id:
        return None
    parent = ctx.state.find(order.parent_id)
    if parent is None or parent.worked_for or (parent.state in FINAL and not parent.cum_qty):
        return Refusal(DenyCode.UNKNOWN_ORDER)
    if order.qty > parent.order.qty:
        return Refusal(DenyCode.CHILD_EXCEEDS_PARENT, order.qty, parent.order.qty)
    return None


_ON_APPROVAL: Final[Sequence[Callable[[Context, OrderApproved], Refusal | None]]] = (
    _halted,
    _known,
    _own_account,
    _fresh,
    _positive,
    _supported,
    _parent,
)

_UNSUPPORTED: Final[Sequence[Callable[[Order], bool]]] = (
    lambda order: order.order_type in _LIMITS and order.limit_px is None,
    lambda order: order.order_type in _STOPS and order.stop_px is None,
    lambda order: order.time_in_force is TimeInForce.GTD and order.expire_ns is None,
    lambda order: order.post_only and order.order_type is not OrderType.LIMIT,
    lambda order: order.post_only and order.time_in_force not in _RESTS,
    lambda order: order.parent_id == order.client_order_id,
)


# --- on new risk -------------------------------------------------------------------------------------


def _venue_up(ctx: Context, order: Order) -> Refusal | None:
    connection = ctx.state.connection
    if ctx.paper is not None or connection.usable:
        return None
    return Refusal(DenyCode.VENUE_DOWN, Decimal(connection.failures))


def _reconciled(ctx: Context, order: Order) -> Refusal | None:
    """No new risk before the first comparison, nor where a break stands."""
    if ctx.paper is not None:
        return None
    if not ctx.state.reconciliation.taken:
        return Refusal(DenyCode.RECONCILIATION_BREAK)
    for found in ctx.state.reconciliation.breaks.values():
        if found.instrument_id == order.instrument_id:
            return Refusal(DenyCode.RECONCILIATION_BREAK, found.ours, found.venue)
    return None


_ON_NEW_RISK: Final[Sequence[Callable[[Context, Order], Refusal | None]]] = (_venue_up, _reconciled)
