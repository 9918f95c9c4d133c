"""How large an order may be, and what it may make of one position and of all together. Answers are cuts."""

from __future__ import annotations

from decimal import Decimal

from common.model.enums import DenyCode
from common.model.money import ZERO
from risk_guardian.checks.base import Breach, Context, Cut, Side, exact
from risk_guardian.flow import daily_volume


def max_qty(c: Context) -> Cut | None:
    limit = exact(c.limits.max_order_qty)
    return c.at_most(DenyCode.MAX_QTY, c.order.qty, limit, limit)


def max_notional(c: Context) -> Cut | None:
    limit = c.of_equity(c.limits.max_order_notional)
    return c.at_most(DenyCode.MAX_NOTIONAL, c.order.qty * c.unit, limit, limit / c.unit)


def volume_share(c: Context) -> Breach | Cut | None:
    """Of the average daily volume by the guardian's own count of base bars. Unknown is not zero: most FX data has no volume."""
    if not c.limits.max_volume_share:
        return None
    volume = daily_volume(c.state.flow, c.order.instrument_id)
    if volume is None:
        return Breach(DenyCode.DAILY_VOLUME, c.order.qty, ZERO) if c.limits.require_volume else None
    limit = exact(volume) * exact(c.limits.max_volume_share)
    return c.at_most(DenyCode.DAILY_VOLUME, c.order.qty, limit, limit)


def max_position(c: Context) -> Cut | None:
    """Of the position that would result; the part that closes the other side is free."""
    return absolute(c, DenyCode.MAX_POSITION, ZERO, c.of_equity(c.limits.max_position))


def max_gross_exposure(c: Context) -> Cut | None:
    """Of all positions, each at the larger of what its working buys or its working sells make of it."""
    return absolute(c, DenyCode.MAX_GROSS_EXPOSURE, c.gross_of_others, c.of_equity(c.limits.max_gross_exposure))


def max_leverage(c: Context) -> Cut | None:
    return absolute(c, DenyCode.MAX_LEVERAGE, c.gross_of_others, c.of_whole_equity(c.limits.max_leverage))


def max_net_exposure(c: Context) -> Cut | None:
    """In the direction of the order, with every working order of that direction and none of the other."""
    sign, limit = c.order.side.sign, c.of_equity(c.limits.max_net_exposure)
    others = sum((side.toward(sign) for side in c.others.values()), ZERO)
    return directed(c, DenyCode.MAX_NET_EXPOSURE, others, limit)


def max_deployed(c: Context) -> Cut | None:
    """At the prices paid, what is working at the last ones: a loss on paper makes no room for more."""
    if not c.limits.max_deployed:
        return None
    spent = sum((_cost(c, side) for side in c.others.values()), ZERO)
    spent += _cost(c, side) if (side := own_side(c)) and not c.closes else ZERO
    limit = c.of_whole_equity(c.limits.max_deployed)
    observed = spent + (c.order.qty - c.closes) * c.unit
    return c.at_most(DenyCode.MAX_DEPLOYED, observed, limit, c.closes + (limit - spent) / c.unit)


def absolute(c: Context, code: DenyCode, others: Decimal, limit: Decimal) -> Cut | None:
    """`others` plus the absolute value of the position that results."""
    after = others + abs(c.held + c.order.signed_qty) * c.unit
    already = others if c.closes else others + abs(c.held) * c.unit
    return c.at_most(code, after, limit, c.closes + max(limit - already, ZERO) / c.unit)


def directed(c: Context, code: DenyCode, others: Decimal, limit: Decimal) -> Cut | None:
    """`others` and this instrument add up in the direction of the order; what is held the other way makes room."""
    before = others + c.held * c.order.side.sign * c.unit
    return c.at_most(code, before + c.order.qty * c.unit, limit, (limit - before) / c.unit)


def own_side(c: Context) -> Side | None:
    """The order's own instrument with what is held of it in the order's direction; None when flat."""
    if not c.held:
        return None
    value = c.held * c.unit
    return Side(c.instrument, c.unit, c.state.last_px[c.order.instrument_id], value, value, abs(value))


def _cost(c: Context, side: Side) -> Decimal:
    """Of a position at its entry price, of what works on top of it at the last one."""
    position = c.state.ledger.positions.get(side.instrument.instrument_id)
    if position is None:
        return side.worst
    value = abs(position.signed_qty) * side.unit
    return max(side.worst - value, ZERO) + value * position.avg_px / side.px
