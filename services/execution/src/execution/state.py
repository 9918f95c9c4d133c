"""Everything execution remembers."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from common.messages.market_data import MarketSlice
from common.messages.orders import Order
from common.model.enums import OrderState
from common.model.instrument import Instrument
from common.model.ledger import Ledger
from common.model.money import ZERO
from common.model.time import Timeframe


class LiveOrder(msgspec.Struct, kw_only=True):
    """An order from its approval to its end. `triggered` says that a stop-limit has become a limit."""

    order: Order
    state: OrderState
    ts_approved: int
    ts_submitted: int = 0
    venue_order_id: str = ""
    cum_qty: Decimal = ZERO
    cum_value: Decimal = ZERO
    fills: int = 0
    triggered: bool = False

    @property
    def leaves_qty(self) -> Decimal:
        return self.order.qty - self.cum_qty


class State(msgspec.Struct, kw_only=True):
    """`closed` keeps the ids of finished orders (bounded, oldest first) so that none is ever traded twice. `waiting` holds
    slices that came while intents were being recorded.
    """

    book: str = ""
    instruments: dict[str, Instrument] = msgspec.field(default_factory=dict)
    base_timeframe: dict[str, Timeframe] = msgspec.field(default_factory=dict)
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    orders: dict[str, LiveOrder] = msgspec.field(default_factory=dict)
    closed: dict[str, None] = msgspec.field(default_factory=dict)
    waiting: list[MarketSlice] = msgspec.field(default_factory=list)
    step: int = 0
    ts: int = 0
    venue_orders: int = 0
    halted: bool = False
    halt_unconfirmed: bool = False  # a halt command was seen, the guardian's answer not yet
