"""From a target to the orders that lead there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final

from common.messages.orders import ExecutionStep, Order
from common.messages.portfolio import Contribution, Target
from common.model.enums import Side
from common.model.money import ZERO
from common.model.parties import BOOK, MANUAL
from common.model.time import NS_PER_SECOND, to_datetime

_NOBODY: Final = "no strategy holds it any more"


def held_after_working(execution: ExecutionStep) -> dict[str, Decimal]:
    """Positions plus what working orders will add, but for an operator's: what those fill becomes the operator's."""
    held = {position.instrument_id: position.signed_qty for position in execution.positions}
    for order in execution.open_orders:
        if order.strategy_id == MANUAL:
            continue
        held[order.instrument_id] = held.get(order.instrument_id, ZERO) + order.signed_leaves_qty
    return held


def target(
    instrument_id: str,
    wanted: Decimal,
    has: Decimal,
    shares: Sequence[Contribution],
    manual: Decimal = ZERO,
    events: Sequence[str] = (),
) -> Target:
    """Where the book wants to be, whose shares add up to that (the operator's part too), and what just became of others."""
    names = [f"{share.strategy_id} {share.timeframe} {share.signed_qty:+f}" for share in shares]
    if manual:
        names.append(f"{MANUAL} {manual:+f}")
    return Target(
        instrument_id=instrument_id,
        signed_qty=wanted,
        held_qty=has,
        contributions=tuple(shares),
        reason="; ".join((", ".join(names) or _NOBODY, *events)),
    )


def orders(
    target: Target,
    goal: Decimal,
    *,
    book: str,
    account: str,
    ref_px: Decimal,
    ts: int,
    events: Sequence[str] = (),
) -> Iterator[Order]:
    """From what `target` found held to `goal`: one order; two when the position flips, so that the exit is never held back
    with the entry. Ids derive from book, instrument and time: the same step names the same orders in every run.
    """
    has = target.held_qty
    legs = [goal - has] if has * goal >= 0 else [-has, goal]
    shares = (f"{share.strategy_id} {share.timeframe}: {share.reason}" for share in target.contributions)
    why = "; ".join((*shares, *events))
    for number, qty in enumerate(legs, start=1):
        yield Order(
            client_order_id=f"{book}-{target.instrument_id.replace('.', '-')}-{_stamp(ts)}-{number}",
            account=account,
            strategy_id=BOOK,
            instrument_id=target.instrument_id,
            side=Side.BUY if qty > 0 else Side.SELL,
            qty=abs(qty),
            ref_px=ref_px,
            reduce_only=number == 1 and has * qty < 0 and abs(qty) <= abs(has),
            reason=why or _NOBODY,
        )


@lru_cache(maxsize=64)  # the orders of a step share it
def _stamp(ts: int) -> str:
    """`20170103T141500`, with nanoseconds where a second holds several steps."""
    fraction = ts % NS_PER_SECOND
    return f"{to_datetime(ts):%Y%m%dT%H%M%S}" + (f"-{fraction:09d}" if fraction else "")
