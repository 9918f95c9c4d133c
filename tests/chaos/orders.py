"""What the tape says of orders."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Final

from tests.chaos.market import CASH
from tests.chaos.voices import Said

from common.messages import (
    ExecutionStep,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    ProposeOrders,
)
from common.messages.orders import ReconciliationBreak
from common.model.money import ZERO

BY_GUARDIAN: Final = "risk_guardian"


class Orders:
    """What the tape says of orders whose id begins with `prefix`, as it is said. A witness tells it."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self.proposed: dict[str, None] = {}
        self.verdicts: Counter[str] = Counter()
        self.approved: dict[str, None] = {}
        self.accepted: Counter[str] = Counter()
        self.over: dict[str, str] = {}  # how it ended, by id
        self.denied: Counter[str] = Counter()  # by code
        self.fills: Counter[tuple[str, str]] = Counter()
        self.traded: dict[str, Decimal] = {}  # signed, by instrument
        self.cash = Decimal(CASH)
        self.breaks: dict[str, bool] = {}  # whether it stands, by id
        self.last_step: ExecutionStep | None = None

    def hear(self, said: Said) -> None:
        message: Any = said.message
        owner = getattr(message, "order", message)
        if not getattr(owner, "client_order_id", self._prefix).startswith(self._prefix):
            return
        match message:
            case ProposeOrders(orders=orders):
                names = [order.client_order_id for order in orders]
                self.proposed.update(dict.fromkeys(name for name in names if name.startswith(self._prefix)))
            case OrderApproved(order=order):
                self.verdicts[order.client_order_id] += 1
                self.approved[order.client_order_id] = None
            case OrderDenied(order=order, code=code, by=by):
                self.verdicts[order.client_order_id] += by == BY_GUARDIAN
                self.denied[code] += 1
                self.over[order.client_order_id] = "denied"
            case OrderAccepted(client_order_id=name):
                self.accepted[name] += 1
            case OrderFilled():
                self._fill(message)
            case OrderCanceled() | OrderExpired() | OrderRejected():
                self.over[message.client_order_id] = type(message).__name__
            case ReconciliationBreak(break_id=name, open=stands):
                self.breaks[name] = stands
            case ExecutionStep():
                self.last_step = message
            case _:
                return

    @property
    def open(self) -> int:
        """Proposed, and not known to be over."""
        return len(self.proposed) - len(self.over)

    def _fill(self, fill: OrderFilled) -> None:
        self.fills[fill.client_order_id, fill.fill_id] += 1
        self.traded[fill.instrument_id] = self.traded.get(fill.instrument_id, ZERO) + fill.signed_qty
        self.cash -= fill.signed_qty * fill.last_px + fill.commission
        if not fill.leaves_qty:
            self.over[fill.client_order_id] = "filled"
