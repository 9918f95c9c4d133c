"""The guardian's own orders: real, reduce-only, at the market, again until a demanded cut is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from common.messages.orders import Order, OrderApproved
from common.model.enums import Side
from common.model.ledger import Position
from common.model.money import ZERO, Conversion
from common.model.time import to_datetime
from risk_guardian.state import Demand, State
from risk_guardian.verdict import NAME, Judge

Volatility = Callable[[str], float | None]


def demand_share(state: State, keep: Decimal, reason: str) -> None:
    """Every position down to the share `keep`, of what is left after those of our orders that are under way."""
    for position in _open(state):
        held = _after_own(state, position)
        _demand(state, position.instrument_id, abs(held) * keep, reason)


def demand_calm(state: State, keep: Decimal, reason: str, volatility: Volatility, conversion: Conversion) -> None:
    """The share `keep` of the whole exposure: positions are closed whole from the most volatile on, the last one as far as
    needed. What has no known volatility or value counts as the most volatile.
    """
    values = {position.instrument_id: _value(state, position, conversion) for position in _open(state)}
    to_close = sum((value for value in values.values() if value), ZERO) * (1 - keep)
    for instrument_id in sorted(values, key=lambda name: (-_rank(volatility(name), values[name]), name)):
        value = values[instrument_id]
        if value is None:
            _demand(state, instrument_id, ZERO, reason)
        elif value and to_close > 0:
            closed = min(value, to_close)
            held = abs(_after_own(state, state.ledger.positions[instrument_id]))
            _demand(state, instrument_id, held * (1 - closed / value), reason)
            to_close -= closed


def press(state: State, ts: int, judge: Judge, account: str) -> Iterator[OrderApproved]:
    """Orders for every demand that is neither done nor under way."""
    for instrument_id, demand in list(state.demands.items()):
        position = state.ledger.positions[instrument_id]
        if abs(position.signed_qty) <= demand.ceiling:
            del state.demands[instrument_id]
            continue
        held = _after_own(state, position)
        if held * position.signed_qty > 0 and (qty := abs(held) - demand.ceiling) > 0:
            order = _order(state, ts, account, instrument_id, qty if held > 0 else -qty, demand.reason)
            judge.remember(order, state)
            yield OrderApproved(ts_event=ts, order=order, step=state.step, rule=demand.reason)


def _demand(state: State, instrument_id: str, qty: Decimal, reason: str) -> None:
    """Never more than was demanded before."""
    ceiling = state.instruments[instrument_id].round_qty(qty)
    before = state.demands.get(instrument_id)
    if before is None or ceiling < before.ceiling:
        state.demands[instrument_id] = Demand(ceiling=ceiling, reason=reason)


def _order(state: State, ts: int, account: str, instrument_id: str, excess: Decimal, reason: str) -> Order:
    """`excess` is the part of the position that has to go, > 0 of a long one."""
    state.own_orders += 1
    return Order(
        client_order_id=f"{state.book}-guardian-{to_datetime(ts):%Y%m%dT%H%M%S}-{state.own_orders}",
        account=account,
        strategy_id=NAME,
        instrument_id=instrument_id,
        side=Side.SELL if excess > 0 else Side.BUY,
        qty=abs(excess),
        ref_px=state.last_px.get(instrument_id, ZERO),
        reduce_only=True,
        reason=reason,
    )


def _open(state: State) -> list[Position]:
    return [position for position in state.ledger.positions.values() if position.signed_qty]


def _after_own(state: State, position: Position) -> Decimal:
    """The position when our own orders under way have traded; zero at the least, since they are reduce-only. One on the
    position's own side was meant for a position that has flipped since: it trades nothing.
    """
    own = (
        order.signed_leaves_qty
        for order in state.working.values()
        if order.own
        and order.instrument_id == position.instrument_id
        and order.signed_leaves_qty * position.signed_qty < 0
    )
    held = position.signed_qty + sum(own, ZERO)
    return held if held * position.signed_qty > 0 else ZERO


def _value(state: State, position: Position, conversion: Conversion) -> Decimal | None:
    """In the account currency, after our own orders; None without a price."""
    px = state.last_px.get(position.instrument_id)
    rate = conversion.rate(state.instruments[position.instrument_id].quote, state.last_px)
    return None if px is None or rate is None else abs(_after_own(state, position)) * px * rate


def _rank(volatility: float | None, value: Decimal | None) -> float:
    return float("inf") if volatility is None or value is None else volatility
