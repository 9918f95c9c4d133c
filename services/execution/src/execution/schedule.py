"""Carries a plan out: which child to send or cancel next. Never more in flight and filled than the parent is."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import msgspec

from common.messages.orders import Order
from common.model.enums import Algorithm, OrderType, Side
from common.model.instrument import Instrument
from common.model.money import ZERO
from execution.algorithms import Plan
from execution.market_view import InstrumentView

MAX_REFUSALS: Final = 3


class Child(msgspec.Struct, kw_only=True):
    """A child in flight. One with a limit rests, one without crosses."""

    leaves: Decimal
    limit_px: Decimal | None = None
    canceling: bool = False

    @property
    def posted(self) -> bool:
        return self.limit_px is not None


class Progress(msgspec.Struct, kw_only=True):
    """How far a plan is. `refusals` counts crossing children in a row that ended without a fill."""

    children: dict[str, Child] = msgspec.field(default_factory=dict)
    numbered: int = 0
    filled: Decimal = ZERO
    posted_ns: int = -1
    crossed_ns: int = -1
    refusals: int = 0

    @property
    def in_flight(self) -> Decimal:
        return sum((child.leaves for child in self.children.values()), ZERO)

    def fill(self, client_order_id: str, qty: Decimal) -> None:
        """A child, or one that is over, has filled `qty` more."""
        self.filled += qty
        self.refusals = 0
        child = self.children.get(client_order_id)
        if child is None:
            return
        child.leaves -= qty
        if child.leaves <= 0:
            del self.children[client_order_id]

    def close(self, client_order_id: str) -> None:
        """A child has ended, by whomever: canceled, rejected, denied or expired. What was left of it is free again."""
        child = self.children.pop(client_order_id, None)
        if child is not None and not child.posted:
            self.refusals += 1


class Submit(msgspec.Struct, frozen=True):
    order: Order


class Cancel(msgspec.Struct, frozen=True):
    client_order_id: str


Action = Submit | Cancel


def is_over(order: Order, progress: Progress) -> bool:
    """Nothing is left to do: it is filled, or the market does not take it."""
    done = progress.filled >= order.qty or progress.refusals >= MAX_REFUSALS
    return done and not progress.children


def next_actions(
    order: Order, plan: Plan, progress: Progress, view: InstrumentView, instrument: Instrument, ts: int
) -> list[Action]:
    """What to do at `ts`, entered in `progress` already. To be asked again after every slice and report, and until it has
    no answer: what it asks for may be done at once, and opens the way for more. Posts and crosses once an instant each.
    """
    crossing = sum((child.leaves for child in progress.children.values() if not child.posted), ZERO)
    late = _target(order, plan, instrument, _overdue(plan, ts)) - progress.filled - crossing
    if _worth(late, plan, final=ts >= plan.end_ns):
        return _cross(order, progress, late, ts)
    begun = _begun(plan, ts)
    room = _target(order, plan, instrument, begun) - progress.filled - progress.in_flight
    if room < 0:  # a canceled child has filled late
        return _cancel(progress, _resting(progress))
    if progress.posted_ns == ts:
        return []
    limit_px = _posted_px(order.side, plan, view, instrument)
    if behind := _behind(order.side, progress, limit_px):
        return _cancel(progress, behind)
    if not _worth(room, plan, final=begun == plan.slices):
        return []
    progress.posted_ns = ts
    return [_submit(order, progress, room, limit_px)]


def _cross(order: Order, progress: Progress, qty: Decimal, ts: int) -> list[Action]:
    """What rests must be gone before: until then its quantity is not free."""
    if resting := _resting(progress):
        return _cancel(progress, resting)
    if progress.crossed_ns == ts or progress.refusals >= MAX_REFUSALS:
        return []
    progress.crossed_ns = ts
    return [_submit(order, progress, qty, None)]


def _begun(plan: Plan, ts: int) -> int:
    """Number of slices that have begun."""
    return _periods(plan, ts - plan.start_ns)


def _overdue(plan: Plan, ts: int) -> int:
    """Number of slices whose patience is over."""
    return _periods(plan, ts - plan.start_ns - plan.patience_ns)


def _periods(plan: Plan, elapsed_ns: int) -> int:
    if elapsed_ns < 0:
        return 0
    return min(plan.slices, elapsed_ns // plan.interval_ns + 1) if plan.interval_ns else plan.slices


def _target(order: Order, plan: Plan, instrument: Instrument, slices: int) -> Decimal:
    """Quantity through so many slices, a multiple of the increment; the last one takes what is left."""
    if slices == plan.slices:
        return order.qty
    if slices and plan.through:
        return instrument.round_qty(order.qty * Decimal(repr(plan.through[slices - 1])))
    return instrument.round_qty(order.qty * slices / plan.slices)


def _worth(qty: Decimal, plan: Plan, *, final: bool) -> bool:
    """Whether to send it now; too small a part waits for the next slice."""
    return qty > 0 and (final or qty >= plan.min_qty)


def _resting(progress: Progress) -> list[str]:
    return [client_order_id for client_order_id, child in progress.children.items() if child.posted]


def _behind(side: Side, progress: Progress, limit_px: Decimal) -> list[str]:
    """Posted children from which the market has moved away."""
    posted = ((name, child.limit_px) for name, child in progress.children.items())
    return [name for name, px in posted if px is not None and (limit_px - px) * side.sign > 0]


def _cancel(progress: Progress, resting: list[str]) -> list[Action]:
    """Each once; until the venue has let them go there is nothing more to do."""
    asked: list[Action] = [Cancel(name) for name in resting if not progress.children[name].canceling]
    for name in resting:
        progress.children[name].canceling = True
    return asked


def _submit(order: Order, progress: Progress, qty: Decimal, limit_px: Decimal | None) -> Submit:
    progress.numbered += 1
    name = f"{order.client_order_id}-c{progress.numbered}"
    progress.children[name] = Child(leaves=qty, limit_px=limit_px)
    child = msgspec.structs.replace(
        order,
        client_order_id=name,
        parent_id=order.client_order_id,
        oco_group="",
        qty=qty,
        order_type=OrderType.MARKET if limit_px is None else OrderType.LIMIT,
        limit_px=limit_px,
        post_only=limit_px is not None,
        algorithm=Algorithm.MARKET,
    )
    return Submit(child)


def _posted_px(side: Side, plan: Plan, view: InstrumentView, instrument: Instrument) -> Decimal:
    """The near side, bettered by the plan's share of the spread, rounded away from the market and short of the far side."""
    sign, tick = side.sign, instrument.price_increment
    near, far = view.mid - sign * view.half_spread, view.mid + sign * view.half_spread
    px = _rounded_back(near + (far - near) * plan.improve, side, instrument)
    last = _rounded_back(far, side, instrument) - sign * tick
    return min(px, last) if side is Side.BUY else max(px, last)


def _rounded_back(px: float, side: Side, instrument: Instrument) -> Decimal:
    exact, nearest = Decimal(repr(px)), instrument.round_price(px)
    if abs(exact - nearest) * 1_000_000 < instrument.price_increment:
        return nearest  # a binary fraction, not a price
    return exact.quantize(instrument.price_increment, rounding=ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)
