"""Whether the tape, execution's ledger, PostgreSQL and the venue tell of the same orders."""

from __future__ import annotations

import contextlib
from typing import Any

import asyncpg
import msgspec
from tests.chaos.plant import Plant
from tests.chaos.venue import placed
from tests.chaos.voices import until


class Verdict(msgspec.Struct):
    """`faults` says in words what does not agree; empty is right."""

    lost: int
    duplicated: int
    faults: dict[str, Any]


async def compare(plant: Plant) -> Verdict:
    """Of all that the plant has ever traded, when everything is quiet and every order over."""
    orders = plant.orders
    seq = await plant.feed.slice()
    await until(lambda: orders.last_step is not None and orders.last_step.step == plant.feed.step, f"the step of {seq}")
    assert orders.last_step is not None
    with contextlib.suppress(AssertionError):  # the next comparison sees that they agree again
        await until(lambda: not any(orders.breaks.values()), "no break stands", 15)
    _, entries = await plant.desk.audit()
    account, at_venue = await plant.desk.account(), placed(entries)
    recorded = await _intents(plant)
    step = orders.last_step
    ledger = {p.instrument_id: p.signed_qty for p in step.positions if p.signed_qty}
    traded = {name: qty for name, qty in orders.traded.items() if qty}
    lost: dict[str, list[Any]] = {
        "no_verdict": [name for name in orders.proposed if not orders.verdicts[name]],
        "no_end": [name for name in orders.approved if name not in orders.over],
        "at_venue_not_accepted_here": [name for name in at_venue if not orders.accepted[name]],
        "accepted_here_not_at_venue": [name for name in orders.accepted if name not in at_venue],
        "fills_not_on_tape": list(range(len(account.trades) - len(orders.fills))),
        "at_venue_without_intent": [name for name in at_venue if name not in recorded],
    }
    doubled: dict[str, list[Any]] = {
        "placed_twice": [name for name, times in at_venue.items() if times > 1],
        "judged_twice": [name for name, times in orders.verdicts.items() if times > 1],
        "accepted_twice": [name for name, times in orders.accepted.items() if times > 1],
        "fills_twice": [fill for fill, times in orders.fills.items() if times > 1],
        "more_fills_than_trades": list(range(len(orders.fills) - len(account.trades))),
    }
    unequal: dict[str, Any] = {
        "ledger_is_not_sum_of_fills": (ledger, traded) if ledger != traded else None,
        "ledger_is_not_venue": (ledger, account.positions) if ledger != account.positions else None,
        "cash_is_not_sum_of_fills": (step.cash, orders.cash) if step.cash["USD"] != orders.cash else None,
        "cash_is_not_venue": (step.cash, account.cash) if step.cash != account.cash else None,
        "denied_but_at_venue": [name for name, end in orders.over.items() if end == "denied" and at_venue[name]],
        "still_working": [order.terms.client_order_id for order in account.orders],
        "open_breaks": [name for name, stands in orders.breaks.items() if stands],
    }
    return Verdict(
        lost=sum(map(len, lost.values())),
        duplicated=sum(map(len, doubled.values())),
        faults={name: _short(what) for name, what in {**lost, **doubled, **unequal}.items() if what},
    )


async def _intents(plant: Plant) -> set[str]:
    connection = await asyncpg.connect(plant.endpoints.postgres_dsn_with_password())
    try:
        rows = await connection.fetch("SELECT client_order_id FROM order_intents")
    finally:
        await connection.close()
    return {row["client_order_id"] for row in rows}


def _short(what: Any) -> Any:
    return [len(what), *what[:3]] if isinstance(what, list) else str(what)
