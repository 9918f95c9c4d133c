"""A venue that trades, and says so late, twice, in the wrong order or not at all. It does not know client order ids apart: an
order sent twice is two orders, so that whoever leans on the venue's kindness is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Final

from common.messages.orders import Order
from common.messages.venue import (
    Accepted,
    Amended,
    AmendRefused,
    Canceled,
    CancelRefused,
    NotFound,
    NotReceived,
    OutcomeUnknown,
    Rejected,
    Report,
    Request,
    Status,
    Traded,
    VenueOrder,
    VenueSnapshot,
)
from common.model.enums import OrderType
from common.model.money import ZERO

FEE: Final = Decimal("0.0001")


@dataclass
class AtVenue:
    """An order as the venue has it."""

    order: Order
    venue_order_id: str
    qty: Decimal
    working: bool = True
    final: str = ""
    trades: list[Traded] = field(default_factory=list)

    @property
    def cum_qty(self) -> Decimal:
        return sum((trade.last_qty for trade in self.trades), ZERO)


@dataclass
class Venue:
    """`trouble` in [0, 1] is how often an answer goes wrong; `px` gives the last price."""

    random: Random
    trouble: float
    px: Callable[[str], Decimal]
    cash: dict[str, Decimal]
    quote_of: Callable[[str], str]
    orders: list[AtVenue] = field(default_factory=list)
    positions: dict[str, Decimal] = field(default_factory=dict)
    outbox: list[Report] = field(default_factory=list)
    up: bool = True
    highest_token: int = 0
    stale_tokens: int = 0

    def may_ask(self, token: int | None) -> bool:
        """Whether the request of a holder with this fencing token is heard at all."""
        if token is None or token < self.highest_token:
            self.stale_tokens += 1
            return False
        self.highest_token = token
        return True

    # --- requests ------------------------------------------------------------------------------------

    def send(self, order: Order) -> Report:
        order_id = order.client_order_id
        if (refused := self._not_received(order_id, Request.SEND)) is not None:
            return refused
        if self._goes_wrong(0.3):
            return OutcomeUnknown(client_order_id=order_id, request=Request.SEND, reason="time-out; it never arrived")
        if self._goes_wrong(0.1):
            return Rejected(client_order_id=order_id, reason="the venue does not like it")
        placed = AtVenue(order, f"V{len(self.orders) + 1}", order.qty)
        self.orders.append(placed)
        accepted = Accepted(client_order_id=order_id, venue_order_id=placed.venue_order_id)
        if self._goes_wrong(0.5):
            self._say(accepted)
            return OutcomeUnknown(client_order_id=order_id, request=Request.SEND, reason="time-out after accepting")
        if self.random.random() < 0.3:
            self._trade(placed)  # the fill may be heard of before the acceptance
        return accepted

    def cancel(self, order_id: str) -> Report:
        if (refused := self._not_received(order_id, Request.CANCEL)) is not None:
            return refused
        placed = self._find(order_id)
        if placed is None or not placed.working:
            return CancelRefused(client_order_id=order_id, reason="it does not work")
        if self._goes_wrong(0.2):
            return OutcomeUnknown(client_order_id=order_id, request=Request.CANCEL, reason="time-out; nothing done")
        if self.random.random() < 0.2:
            self._trade(placed)
        if placed.working:
            placed.working, placed.final = False, "CANCELED"
        if self._goes_wrong(0.3):
            self._say(Canceled(client_order_id=order_id, reason="asked for"))
            return OutcomeUnknown(client_order_id=order_id, request=Request.CANCEL, reason="time-out after canceling")
        if placed.final != "CANCELED":
            return CancelRefused(client_order_id=order_id, reason="filled")
        return Canceled(client_order_id=order_id, reason="asked for")

    def amend(self, order: Order) -> Report:
        order_id = order.client_order_id
        if (refused := self._not_received(order_id, Request.AMEND)) is not None:
            return refused
        placed = self._find(order_id)
        if placed is None or not placed.working or order.qty <= placed.cum_qty:
            return AmendRefused(client_order_id=order_id, reason="it does not work any more, or has filled more")
        if self._goes_wrong(0.2):
            return OutcomeUnknown(client_order_id=order_id, request=Request.AMEND, reason="time-out; nothing done")
        placed.order, placed.qty = order, order.qty
        amended = Amended(client_order_id=order_id, qty=order.qty, limit_px=order.limit_px, stop_px=order.stop_px)
        if self._goes_wrong(0.2):
            return OutcomeUnknown(client_order_id=order_id, request=Request.AMEND, reason="time-out after amending")
        return amended

    def query(self, order_id: str) -> Report:
        if (refused := self._not_received(order_id, Request.QUERY)) is not None:
            return refused
        if self._goes_wrong(0.3):
            return OutcomeUnknown(client_order_id=order_id, request=Request.QUERY, reason="time-out")
        placed = self._find(order_id)
        if placed is None:
            return NotFound(client_order_id=order_id)
        return Status(
            client_order_id=order_id,
            venue_order_id=placed.venue_order_id,
            working=placed.working,
            final=placed.final,
            trades=tuple(placed.trades),
        )

    def snapshot(self, number: int, ts: int) -> VenueSnapshot:
        return VenueSnapshot(
            ts_event=ts,
            number=number,
            orders=tuple(
                VenueOrder(
                    client_order_id=placed.order.client_order_id,
                    venue_order_id=placed.venue_order_id,
                    instrument_id=placed.order.instrument_id,
                    signed_leaves_qty=(placed.qty - placed.cum_qty) * placed.order.side.sign,
                )
                for placed in self.orders
                if placed.working
            ),
            positions={name: qty for name, qty in self.positions.items() if qty},
            cash=dict(self.cash),
            trades=tuple(trade for placed in self.orders for trade in placed.trades),
        )

    # --- what happens there --------------------------------------------------------------------------

    def tick(self) -> None:
        """Some of what works trades, a part or all of it."""
        for placed in self.orders:
            if placed.working and self.random.random() < _eagerness(placed.order.order_type):
                self._trade(placed)

    def reports(self) -> Iterator[Report]:
        """What the connection brings now: any of what waits, in any order, some of it twice."""
        if not self.up or not self.outbox:
            return
        index = self.random.randrange(len(self.outbox)) if self._goes_wrong(1.0) else 0
        report = self.outbox.pop(index)
        if self._goes_wrong(0.5):
            self.outbox.append(report)
        yield report

    def _trade(self, placed: AtVenue) -> None:
        leaves = placed.qty - placed.cum_qty
        qty = leaves if self.random.random() < 0.5 else max(Decimal(1), (leaves / 2).quantize(Decimal(1)))
        qty = min(qty, leaves)
        order = placed.order
        px = self.px(order.instrument_id)
        fee = (qty * px * FEE).quantize(Decimal("0.000001"))
        quote = self.quote_of(order.instrument_id)
        trade = Traded(
            client_order_id=order.client_order_id,
            venue_order_id=placed.venue_order_id,
            trade_id=f"{placed.venue_order_id}-T{len(placed.trades) + 1}",
            last_qty=qty,
            last_px=px,
            commission=fee,
            commission_currency=quote,
            maker=False,
        )
        placed.trades.append(trade)
        self.positions[order.instrument_id] = self.positions.get(order.instrument_id, ZERO) + qty * order.side.sign
        self.cash[quote] = self.cash.get(quote, ZERO) - qty * order.side.sign * px - fee
        if placed.cum_qty == placed.qty:
            placed.working, placed.final = False, "FILLED"
        self._say(trade)

    def _say(self, report: Report) -> None:
        self.outbox.append(report)

    def _find(self, order_id: str) -> AtVenue | None:
        return next((placed for placed in self.orders if placed.order.client_order_id == order_id), None)

    def _not_received(self, order_id: str, request: Request) -> NotReceived | None:
        if not self.up:
            return NotReceived(client_order_id=order_id, request=request, reason="connection refused")
        if self._goes_wrong(0.3):
            ours = self._goes_wrong(0.5)
            reason = "our own limit" if ours else "429"
            return NotReceived(
                client_order_id=order_id, request=request, reason=reason, retry_after_s=1.0, held_back=ours
            )
        return None

    def _goes_wrong(self, share: float) -> bool:
        return self.random.random() < self.trouble * share


def _eagerness(order_type: OrderType) -> float:
    return 0.6 if order_type is OrderType.MARKET else 0.2
