"""Facts enter the book: fills and ends, each said once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from common.messages.market_data import MarketSlice
from common.messages.orders import (
    FinancingCharged,
    Order,
    OrderCanceled,
    OrderCosted,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
)
from common.messages.venue import Traded
from common.model.enums import Algorithm, DenyCode, OrderState, OrderType, Side
from common.model.money import ZERO
from execution import state as bounds
from execution.context import Context
from execution.costs import Tally, costed
from execution.financing import settle
from execution.state import LiveOrder
from execution.transitions import FINAL, advance


def whose(order: Order) -> dict[str, str]:
    """The ids that every message about an order carries."""
    return {
        "client_order_id": order.client_order_id,
        "account": order.account,
        "strategy_id": order.strategy_id,
        "instrument_id": order.instrument_id,
    }


def slippage_bps(side: Side, px: Decimal, ref_px: Decimal) -> float:
    """Paid beyond the arrival price, in basis points; positive is worse. 0 when there is no arrival price."""
    return float((px - ref_px) / ref_px * side.sign * 10_000) if ref_px > ZERO else 0.0


def book_fill(ctx: Context, live: LiveOrder, trade: Traded) -> bool:
    """Books an execution, once. Also that of an order which has ended: a fill is a fact. False when it was known."""
    if trade.trade_id in live.trades:
        return False
    live.trades[trade.trade_id] = None
    live.take(trade)
    _to_ledger(ctx, live.order, trade)
    owner = (ctx.state.find(live.worked_for) or live) if live.worked_for else live
    if owner is not live:
        owner.take(trade)
    _say_fill(ctx, owner, trade)
    for order in (live, owner) if owner is not live else (live,):
        ctx.note(order, trade.last_qty)
        _advance_by_fill(ctx, order)
    return True


def book_financing(ctx: Context, message: MarketSlice) -> None:
    """Books what has accrued and can be priced now."""
    state = ctx.state
    for charge in settle(state.accrual, message, state.instruments):
        if not charge.amount:
            continue
        currency = charge.instrument.quote
        state.ledger.credit(currency, charge.amount)
        ctx.out.append(
            FinancingCharged(
                ts_event=ctx.ts,
                book=state.book,
                account=ctx.account.id,
                instrument_id=charge.instrument.instrument_id,
                rolls=charge.due.rolls,
                rolled_ns=charge.due.rolled_ns,
                px=charge.px,
                amount=charge.amount,
                currency=currency,
            )
        )


def end(ctx: Context, live: LiveOrder, final: OrderState, reason: str = "") -> None:
    """The order is over. Ends of an algorithm's children are not said: the whole has one of its own."""
    _bury(ctx, live, final)
    if live.worked_for:
        return
    said: dict[str, Any] = {"ts_event": ctx.ts, **whose(live.order)}
    match final:
        case OrderState.CANCELED:
            ctx.out.append(OrderCanceled(leaves_qty=live.leaves_qty, reason=reason, **said))
        case OrderState.EXPIRED:
            ctx.out.append(OrderExpired(leaves_qty=live.leaves_qty, **said))
        case OrderState.REJECTED:
            ctx.out.append(OrderRejected(reason=reason, **said))
        case _:
            raise ValueError(f"an order does not end {final} this way")
    _say_costs(ctx, live)


def deny(
    ctx: Context,
    live: LiveOrder,
    code: DenyCode,
    observed: Decimal = ZERO,
    limit: Decimal = ZERO,
    detail: str = "",
) -> None:
    """Ends an order that the venue has not got."""
    _bury(ctx, live, OrderState.DENIED)
    if not live.worked_for:
        say_denied(ctx, live.order, code, observed, limit, detail)


def say_denied(ctx: Context, order: Order, code: DenyCode, observed: Decimal, limit: Decimal, detail: str = "") -> None:
    ctx.out.append(
        OrderDenied(
            ts_event=ctx.ts, order=order, code=code, observed=observed, limit=limit, by="execution", detail=detail
        )
    )


def remember(ctx: Context, client_order_id: str) -> None:
    """The id is never traded again."""
    closed = ctx.state.closed
    closed[client_order_id] = None
    if len(closed) > bounds.CLOSED_IDS_KEPT:
        del closed[next(iter(closed))]


def _to_ledger(ctx: Context, order: Order, trade: Traded) -> None:
    instrument, ledger = ctx.state.instruments[order.instrument_id], ctx.state.ledger
    in_quote = trade.commission_currency == instrument.quote
    ledger.apply_fill(
        instrument, trade.last_qty * order.side.sign, trade.last_px, trade.commission if in_quote else ZERO
    )
    if not in_quote:
        ledger.credit(trade.commission_currency, -trade.commission)
    if ctx.settings.fee_tiers:
        ctx.state.turnover.add(ctx.ts, float(trade.last_qty * trade.last_px))


def _say_fill(ctx: Context, live: LiveOrder, trade: Traded) -> None:
    order = live.order
    ctx.out.append(
        OrderFilled(
            ts_event=ctx.ts,
            fill_id=f"{order.client_order_id}-F{live.fills}",
            venue_order_id=trade.venue_order_id,
            side=order.side,
            last_qty=trade.last_qty,
            last_px=trade.last_px,
            cum_qty=live.cum_qty,
            leaves_qty=ZERO if live.state in FINAL else live.leaves_qty,
            avg_px=live.cum_value / live.cum_qty,
            commission=trade.commission,
            commission_currency=trade.commission_currency,
            ref_px=order.ref_px,
            slippage_bps=slippage_bps(order.side, trade.last_px, order.ref_px),
            maker=trade.maker,
            **whose(order),
        )
    )


def _advance_by_fill(ctx: Context, live: LiveOrder) -> None:
    if live.state in FINAL:
        return
    if live.leaves_qty > 0:
        live.state = advance(live.state, OrderState.PARTIALLY_FILLED)
        return
    _bury(ctx, live, OrderState.FILLED)
    if not live.worked_for:
        _say_costs(ctx, live)


def _bury(ctx: Context, live: LiveOrder, final: OrderState) -> None:
    live.state = advance(live.state, final)
    live.send = live.query = live.cancel = live.amend = 0
    state, name = ctx.state, live.order.client_order_id
    del state.orders[name]
    remember(ctx, name)
    if ctx.paper is None:  # the paper venue never reports late
        state.finished[name] = live
        if len(state.finished) > bounds.FINISHED_KEPT:
            del state.finished[next(iter(state.finished))]
    ctx.note(live)


def _say_costs(ctx: Context, live: LiveOrder) -> None:
    if not ctx.settings.report_costs or not live.cum_qty:
        return
    tally = Tally(qty=live.cum_qty, value=live.cum_value, commission=live.commission, maker_qty=live.maker_qty)
    said: OrderCosted | None = costed(
        live.order, tally, _algorithm(live), _expected_bps(ctx, live), live.ts_approved, ctx.ts
    )
    if said is not None:
        ctx.out.append(said)


def _algorithm(live: LiveOrder) -> Algorithm:
    if live.plan is not None:
        return live.plan.algorithm
    rests = live.order.order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}
    return Algorithm.LIMIT if rests else Algorithm.MARKET


def _expected_bps(ctx: Context, live: LiveOrder) -> float:
    """As planned; where nothing was, half the spread of the instrument and the fee."""
    if live.plan is not None and live.plan.costs.expected_bps:
        return live.plan.costs.expected_bps
    if _algorithm(live) is Algorithm.LIMIT:
        return ctx.settings.maker_bps
    half = float(ctx.state.instruments[live.order.instrument_id].half_spread)
    px = float(live.order.ref_px) or float(live.cum_value / live.cum_qty)
    return half / px * 10_000 + ctx.settings.taker_bps
