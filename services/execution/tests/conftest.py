"""A desk at the paper venue: one instrument in hours, orders that are recorded at once, and all that execution says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from common.core import Effect
from common.messages import ExecutionStep, InstrumentsDefined, IntentRecorded, MarketSlice, Message, OrderApproved
from common.messages.market_data import Bar, Quote
from common.messages.orders import Order
from common.model.account import Account
from common.model.enums import OrderType, Side, TimeInForce
from common.model.instrument import Instrument
from common.model.time import Timeframe
from common.testing.builders import EUR_USD, T0, a
from execution.core import Execution
from execution.effects import RecordIntent
from execution.settings import Settings

M = TypeVar("M", bound=Message)
HOUR = Timeframe.H1.ns


class Desk:
    """`approve` hands over an order decided at the last slice, `trade` a bar of (open, high, low, close) one hour later."""

    def __init__(self, close_only: bool = False, **settings: Any) -> None:
        self.core = Execution(
            Settings(**{"taker_bps": 0, "maker_bps": 0, "report_costs": False, **settings}), Account()
        )
        self.instrument = a(Instrument, close_only=close_only)
        self.step = 1
        self.core.handle(a(InstrumentsDefined, instruments=(self.instrument,)))
        self.hear(MarketSlice(ts_event=T0, book="fx", step=1))

    @property
    def now(self) -> int:
        return T0 + (self.step - 1) * HOUR

    def hear(self, message: Message, *, record: bool = True) -> list[Message]:
        """What is said in answer, intents recorded at once unless told otherwise."""
        said: list[Message] = []
        for output in self.core.handle(message):
            if isinstance(output, Effect):
                assert isinstance(output, RecordIntent)
                recorded = IntentRecorded(ts_event=output.ts_event, client_order_id=output.order.client_order_id)
                said += self.hear(recorded) if record else []
            else:
                said.append(output)
        return said

    def approve(self, signed_qty: float = 100, *, record: bool = True, step: int = 0, **changes: Any) -> list[Message]:
        approved = OrderApproved(ts_event=self.now, order=order(signed_qty, **changes), step=step or self.step)
        return self.hear(approved, record=record)

    def trade(self, *ohlc: float, **changes: Any) -> list[Message]:
        prices = ohlc if len(ohlc) == 4 else ohlc * 4
        names = ("open", "high", "low", "close")
        changes = {"volume": 0.0, "spread_open": None, "spread_close": None, **changes}
        return self.pass_hour(bars=(a(Bar, **dict(zip(names, prices, strict=True)), **changes),))

    def quote(self, bid: float, ask: float, size: float = 0.0) -> list[Message]:
        return self.pass_hour(quotes=(Quote(instrument_id=EUR_USD, bid=bid, ask=ask, bid_size=size, ask_size=size),))

    def pass_hour(self, **market: Any) -> list[Message]:
        self.step += 1
        return self.hear(MarketSlice(ts_event=self.now, book="fx", step=self.step, **market))

    def held(self) -> Decimal:
        return self.core.state.ledger.qty(EUR_USD)


def order(signed_qty: float = 100, **changes: Any) -> Order:
    """A market order, good till canceled; limit and stop prices make it what they say."""
    limit, stop = changes.get("limit_px"), changes.get("stop_px")
    kind = {
        (False, False): OrderType.MARKET,
        (True, False): OrderType.LIMIT,
        (False, True): OrderType.STOP,
        (True, True): OrderType.STOP_LIMIT,
    }[limit is not None, stop is not None]
    plain: dict[str, Any] = {
        "side": Side.BUY if signed_qty > 0 else Side.SELL,
        "qty": Decimal(str(abs(signed_qty))),
        "order_type": kind,
        "time_in_force": TimeInForce.GTC,
        "expire_ns": None,
        "ref_px": Decimal("1.1"),
        "parent_id": "",
        "oco_group": "",
        "algorithm": None,
    }
    prices = {"limit_px": limit and Decimal(str(limit)), "stop_px": stop and Decimal(str(stop))}
    return a(Order, **{**plain, **changes, **prices})


@pytest.fixture(scope="session")
def desk() -> Callable[..., Desk]:
    return Desk


@pytest.fixture
def only() -> Callable[[Iterable[Message], type[M]], list[M]]:
    """The messages of one type."""
    return lambda said, kind: [message for message in said if isinstance(message, kind)]


@pytest.fixture
def told() -> Callable[[Iterable[Message]], list[str]]:
    """The words of what was said without the step: `["submitted", "accepted"]`."""
    return lambda said: [m.TYPE.split(".")[1] for m in said if not isinstance(m, ExecutionStep)]
