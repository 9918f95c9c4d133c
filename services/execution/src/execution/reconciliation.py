"""Compares our book with the venue's, which is the truth for orders, fills, positions and cash (EXE-01).

A snapshot's executions are booked at once: they are facts. What differs then is a suspicion, since reports may be on their
way; seen unchanged in two snapshots in a row, with no report for the instrument between, it is a break: said, acted on
by its kind, and closed in the ledger of breaks when it is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from common.messages.orders import BreakKind, Reconciled, ReconciliationBreak
from common.messages.venue import VenueOrder, VenueSnapshot
from common.model.money import ZERO
from common.model.time import NS_PER_SECOND
from execution import remedies
from execution.booking import book_fill
from execution.context import Context
from execution.effects import TakeSnapshot
from execution.manager import confirm
from execution.state import Break
from execution.transitions import UNCONFIRMED, WORKING


def on_slice(ctx: Context) -> None:
    """Asks for a snapshot when one is due."""
    ledger = ctx.state.reconciliation
    if ctx.ts >= ledger.due_ns and not ledger.asked:
        _ask(ctx, 0.0)


def next_snapshot(ctx: Context, delay_s: float = 0.0) -> TakeSnapshot:
    """The one that has not been compared yet."""
    return TakeSnapshot(number=ctx.state.reconciliation.taken + 1, delay_s=delay_s)


def on_snapshot(ctx: Context, snapshot: VenueSnapshot) -> None:
    """One comparison; a snapshot that was compared before says nothing."""
    ledger = ctx.state.reconciliation
    if snapshot.number != ledger.taken + 1:
        return
    ledger.asked = False
    if not ctx.state.book:  # nothing is known yet that could be compared
        ledger.taken = snapshot.number
        return
    _book_trades(ctx, snapshot)
    found = {difference.break_id: difference for difference in _differences(ctx, snapshot)}
    for break_id in [name for name in ledger.breaks if name not in found]:
        _say(ctx, ledger.breaks.pop(break_id), is_open=False, action="agrees again")
    for difference in found.values():
        if _stands(ctx, difference):
            _act(ctx, difference, snapshot.number)
    ledger.suspects, ledger.stirred, ledger.taken = found, {}, snapshot.number
    ctx.out.append(
        Reconciled(ts_event=ctx.ts, book=ctx.state.book, number=snapshot.number, open_breaks=len(ledger.breaks))
    )
    ledger.due_ns = ctx.ts + int(ctx.settings.reconciliation.every_s * NS_PER_SECOND)
    if any(name not in ledger.breaks or difference.order_id for name, difference in found.items()):
        _ask(ctx, ctx.settings.reconciliation.confirm_s)


def _ask(ctx: Context, delay_s: float) -> None:
    ctx.state.reconciliation.asked = True
    ctx.out.append(next_snapshot(ctx, delay_s))


def _book_trades(ctx: Context, snapshot: VenueSnapshot) -> None:
    """Executions that no report has told of. Those of orders that are forgotten were booked in their time."""
    for trade in snapshot.trades:
        live = ctx.state.find(trade.client_order_id)
        if live is None or trade.trade_id in live.trades:
            continue
        before = live.cum_qty
        confirm(ctx, live, trade.venue_order_id)
        book_fill(ctx, live, trade)
        instrument_id = live.order.instrument_id
        ctx.state.reconciliation.stirred[instrument_id] = None
        missed = Break(
            kind=BreakKind.FILL_MISSING,
            instrument_id=instrument_id,
            order_id=trade.client_order_id,
            ours=before,
            venue=live.cum_qty,
        )
        if missed.break_id not in ctx.state.reconciliation.breaks:
            _say(ctx, missed, is_open=False, action="booked from the venue's executions")


def _differences(ctx: Context, snapshot: VenueSnapshot) -> Iterator[Break]:
    theirs = {order.client_order_id: order for order in snapshot.orders}
    for order in snapshot.orders:
        if (difference := _of_order(ctx, order)) is not None:
            yield difference
    for name, live in ctx.state.orders.items():
        if live.state in WORKING and live.progress is None and name not in theirs:
            leaves = live.leaves_qty * live.order.side.sign
            yield _order_break(BreakKind.ORDER_MISSING, live.order.instrument_id, name, leaves, ZERO)
    held = {name: position.signed_qty for name, position in ctx.state.ledger.positions.items()}
    for name in _either(held, snapshot.positions):
        ours, venue = held.get(name, ZERO), snapshot.positions.get(name, ZERO)
        if ours != venue:
            yield Break(kind=BreakKind.POSITION, instrument_id=name, ours=ours, venue=venue)
    if ctx.settings.reconciliation.compare_cash:
        yield from _of_cash(ctx, snapshot)


def _of_order(ctx: Context, order: VenueOrder) -> Break | None:
    """An order that works at the venue; one whose acceptance we have not heard of is accepted by that."""
    name, venue = order.client_order_id, order.signed_leaves_qty
    live = ctx.state.orders.get(name)
    if live is not None and live.state in UNCONFIRMED:
        confirm(ctx, live, order.venue_order_id)
    if live is None or live.state not in WORKING or live.progress is not None:
        return _order_break(BreakKind.ORDER_UNKNOWN, order.instrument_id, name, ZERO, venue, order.venue_order_id)
    ours = live.leaves_qty * live.order.side.sign
    return None if ours == venue else _order_break(BreakKind.FILL_MISSING, order.instrument_id, name, ours, venue)


def _of_cash(ctx: Context, snapshot: VenueSnapshot) -> Iterator[Break]:
    ours = ctx.state.ledger.cash
    tolerance = Decimal(repr(ctx.settings.reconciliation.cash_tolerance))
    for currency in _either(ours, snapshot.cash):
        has, venue = ours.get(currency, ZERO), snapshot.cash.get(currency, ZERO)
        if abs(has - venue) > tolerance:
            yield Break(kind=BreakKind.CASH, instrument_id=currency, ours=has, venue=venue)


def _order_break(
    kind: BreakKind, instrument_id: str, order_id: str, ours: Decimal, venue: Decimal, venue_order_id: str = ""
) -> Break:
    return Break(
        kind=kind,
        instrument_id=instrument_id,
        order_id=order_id,
        ours=ours,
        venue=venue,
        venue_order_id=venue_order_id,
    )


def _either(ours: dict[str, Decimal], theirs: dict[str, Decimal]) -> list[str]:
    return list(dict.fromkeys([*ours, *theirs]))


def _stands(ctx: Context, difference: Break) -> bool:
    ledger = ctx.state.reconciliation
    stirred = ledger.stirred if difference.kind is BreakKind.CASH else difference.instrument_id in ledger.stirred
    return not stirred and ledger.suspects.get(difference.break_id) == difference


def _act(ctx: Context, difference: Break, number: int) -> None:
    """Each time that it stands; said when it is new."""
    ledger = ctx.state.reconciliation
    known = difference.break_id in ledger.breaks
    action = remedies.REMEDIES[difference.kind](ctx, difference, number, known)
    ledger.breaks[difference.break_id] = difference
    if not known:
        _say(ctx, difference, is_open=True, action=action)


def _say(ctx: Context, difference: Break, *, is_open: bool, action: str) -> None:
    ctx.out.append(
        ReconciliationBreak(
            ts_event=ctx.ts,
            book=ctx.state.book,
            break_id=difference.break_id,
            kind=difference.kind,
            instrument_id=difference.instrument_id,
            ours=difference.ours,
            venue=difference.venue,
            open=is_open,
            action=action,
        )
    )
