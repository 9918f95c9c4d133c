"""Whether the market can be judged now: open, on time, priced, quoted, and the order near its price."""

from __future__ import annotations

from decimal import Decimal

from common.model.enums import AssetClass, DenyCode, OrderType
from common.model.money import ZERO
from common.model.sessions import Calendar, is_open
from common.model.time import NS_PER_SECOND
from risk_guardian.checks.base import Breach, Context, exact
from risk_guardian.limits import Session


def market_open(c: Context) -> Breach | None:
    session = c.limits.session
    if session is Session.ALWAYS or _open(session, c):
        return None
    return Breach(DenyCode.MARKET_CLOSED, ZERO, ZERO)


def clock_jump(c: Context) -> Breach | None:
    """The last slice was out of pace, or one before it is missing, or the decision is not of its time."""
    jump = c.state.flow.jump_ns
    if jump is not None:
        return Breach(DenyCode.CLOCK_JUMP, _seconds(jump), exact(c.limits.max_clock_jump_hours * 3600))
    away, allowed = abs(c.ts - c.state.ts), _patience(c)
    return Breach(DenyCode.CLOCK_JUMP, _seconds(c.ts - c.state.ts), _seconds(allowed)) if away > allowed else None


def priced(c: Context) -> Breach | None:
    return None if c.unit_value is not None else Breach(DenyCode.NO_PRICE, ZERO, ZERO)


def fresh_price(c: Context) -> Breach | None:
    age, allowed = c.state.ts - c.state.last_px_ns[c.order.instrument_id], _patience(c)
    return Breach(DenyCode.STALE_PRICE, _seconds(age), _seconds(allowed)) if age > allowed else None


def quoted(c: Context) -> Breach | None:
    """A market order takes what it gets: where there are quotes it needs a fresh one. Where the data has none, the fresh price
    must do, unless the limits say otherwise.
    """
    if c.order.order_type is not OrderType.MARKET:
        return None
    then = c.state.flow.quoted_ns.get(c.order.instrument_id)
    if then is None:
        return Breach(DenyCode.NO_QUOTE, ZERO, ZERO) if c.limits.require_quote else None
    age, allowed = c.state.ts - then, _patience(c)
    return Breach(DenyCode.NO_QUOTE, _seconds(age), _seconds(allowed)) if age > allowed else None


def price_collar(c: Context) -> Breach | None:
    """Arrival, limit and stop price against the guardian's own last price. A missing price was refused before."""
    last, limit = c.state.last_px[c.order.instrument_id], exact(c.limits.price_collar)
    for px in (c.order.ref_px, c.order.limit_px, c.order.stop_px):
        if px is not None and abs(px - last) > limit * last:
            return Breach(DenyCode.PRICE_COLLAR, px, last)
    return None


def fx_week_open(ts_ns: int) -> bool:
    """Sunday 17:00 to Friday 17:00 in New York, both ends included: the last close of the week can still be traded on."""
    return is_open(Calendar.FX_WEEK, ts_ns)


def _open(session: Session, c: Context) -> bool:
    """The stock exchange's hours bind shares only."""
    if session is Session.FX_WEEK:
        return fx_week_open(c.state.ts)
    shares = c.state.instruments[c.order.instrument_id].asset_class is AssetClass.EQUITY
    return not shares or is_open(Calendar.US_EQUITIES, c.state.ts)


def _patience(c: Context) -> int:
    return int(c.limits.stale_after_bars * c.state.base_timeframe[c.order.instrument_id].ns)


def _seconds(ns: int) -> Decimal:
    return Decimal(ns) / NS_PER_SECOND
