"""Whether anything, or anything new, may be traded: halts of all sizes, and losses that are enough for a day."""

from __future__ import annotations

from decimal import Decimal

from common.model.enums import DenyCode, TradingState
from common.model.money import ZERO
from common.model.parties import BOOK
from risk_guardian.checks.base import Breach, Context, exact
from risk_guardian.flow import meter


def halted(c: Context) -> Breach | None:
    return Breach(DenyCode.TRADING_HALTED, ZERO, ZERO) if c.state.trading is TradingState.HALTED else None


def reducing(c: Context) -> Breach | None:
    if c.state.trading is not TradingState.REDUCING or c.shrinks:
        return None
    return Breach(DenyCode.WOULD_INCREASE, c.order.signed_qty, -c.held)


def scope_halted(c: Context) -> Breach | None:
    """The order's strategy, its instrument, or a strategy whose opinion the book follows with this order."""
    scopes, instrument_id = c.state.flow.scopes, c.order.instrument_id
    if not scopes:
        return None
    if meter("", instrument_id) in scopes or meter("", "") in scopes:
        return Breach(DenyCode.INSTRUMENT_HALTED, ZERO, ZERO)
    halted = any(meter(name, of) in scopes for name in behind(c) for of in ("", instrument_id))
    return Breach(DenyCode.STRATEGY_HALTED, ZERO, ZERO) if halted else None


def restricted(c: Context) -> Breach | None:
    listed = c.limits.restricted
    if not listed or (c.order.instrument_id not in listed and c.instrument.symbol not in listed):
        return None
    return Breach(DenyCode.RESTRICTED, ZERO, ZERO)


def equity_known(c: Context) -> Breach | None:
    equity = c.state.equity
    return None if equity is not None and equity > 0 else Breach(DenyCode.NO_EQUITY, equity or ZERO, ZERO)


def daily_loss(c: Context) -> Breach | None:
    """Against the equity that the UTC day began with."""
    return _fallen(c, c.state.day.opening, c.limits.max_daily_loss, DenyCode.DAILY_LOSS)


def max_drawdown(c: Context) -> Breach | None:
    return _fallen(c, c.state.peak_equity, c.limits.max_drawdown, DenyCode.MAX_DRAWDOWN)


def behind(c: Context) -> tuple[str, ...]:
    """Who wants this order: its strategy, and for the book all whose share has grown the same way."""
    order = c.order
    if order.strategy_id != BOOK:
        return (order.strategy_id,)
    shares = c.state.flow.grown.get(order.instrument_id, {})
    return (BOOK, *(name for name, qty in shares.items() if qty * order.side.sign > 0))


def _fallen(c: Context, since: Decimal, limit: float, code: DenyCode) -> Breach | None:
    equity = c.state.equity
    if not limit or since <= 0 or equity is None:
        return None
    lost = (since - equity) / since
    return Breach(code, lost, exact(limit)) if lost > exact(limit) else None
