"""Everything the guardian remembers. Its positions come from fills, its prices from the market data: it believes nobody."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from common.model.enums import TradingState
from common.model.instrument import Instrument
from common.model.ledger import Ledger
from common.model.money import ZERO
from common.model.time import Timeframe


class Working(msgspec.Struct, kw_only=True):
    """An approved order that can still trade. `own` is the guardian's."""

    instrument_id: str
    signed_leaves_qty: Decimal
    own: bool = False


class Ladder(msgspec.Struct, kw_only=True):
    """Level 0 is the ground. `since_ns` is when the present level began."""

    level: int = 0
    since_ns: int = 0


class State(msgspec.Struct, kw_only=True):
    """`seen` are client order ids approved before (bounded, oldest first); `approvals` the times of recent approvals."""

    book: str = ""
    instruments: dict[str, Instrument] = msgspec.field(default_factory=dict)
    base_timeframe: dict[str, Timeframe] = msgspec.field(default_factory=dict)
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    last_px: dict[str, Decimal] = msgspec.field(default_factory=dict)
    last_px_ns: dict[str, int] = msgspec.field(default_factory=dict)
    working: dict[str, Working] = msgspec.field(default_factory=dict)
    seen: dict[str, None] = msgspec.field(default_factory=dict)
    approvals: list[int] = msgspec.field(default_factory=list)
    halted: bool = False  # an operator's halt stands until an operator's resume
    flatten: str = ""  # why every position is to be closed; again at every step until nothing is left
    trading: TradingState = TradingState.ACTIVE
    ladder: Ladder = msgspec.field(default_factory=Ladder)
    peak_equity: Decimal = ZERO
    equity: Decimal | None = None
    step: int = 0
    ts: int = 0
    own_orders: int = 0

    def held(self, instrument_id: str, sign: int) -> Decimal:
        """The position if every working order of this side traded and none of the other: the worst that an order of `sign`
        (+1 buys, -1 sells) can come on top of, and the least that it can close.
        """
        leaves = (order.signed_leaves_qty for order in self.working.values() if order.instrument_id == instrument_id)
        return self.ledger.qty(instrument_id) + sum((qty for qty in leaves if qty * sign > 0), ZERO)
