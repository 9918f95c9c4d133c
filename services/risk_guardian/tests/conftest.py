"""A guardian with two instruments (one priced in dollars, one in yen), spoken to in steps."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from common.messages import (
    ExecutionStep,
    HaltTrading,
    InstrumentsDefined,
    MarketSlice,
    Message,
    OrderApproved,
    OrderDenied,
    OrderFilled,
    PortfolioStep,
    ResumeTrading,
    RiskStep,
)
from common.messages.market_data import Bar
from common.messages.orders import Order
from common.model.account import Account
from common.model.enums import OrderType, Side
from common.model.instrument import Instrument
from common.model.time import Timeframe
from common.testing.builders import EUR_USD, T0, a
from risk_guardian.core import RiskGuardian
from risk_guardian.settings import Level, Limits, Settings

USD_JPY = "USD-JPY.ECB"
HOUR = Timeframe.H1.ns
WIDE: dict[str, Any] = {"max_order_notional": 100.0, "max_position": 100.0, "max_gross_exposure": 100.0}
EUR = a(Instrument)
YEN = a(Instrument, instrument_id=USD_JPY, base="USD", quote="JPY", price_increment=Decimal("0.001"))


class Guard:
    """`hour` is a slice and the execution step after it, `propose` a portfolio step, `fill` an execution."""

    def __init__(self, ladder: tuple[Level, ...] | None = None, **limits: Any) -> None:
        ladders = {} if ladder is None else {"drawdown_ladder": ladder}
        self.core = RiskGuardian(Settings(limits=Limits(**limits), **ladders), Account())
        self.ts, self.step, self.orders = T0, 0, 0
        defined = a(InstrumentsDefined, instruments=(EUR, YEN), base_timeframes=(Timeframe.H1, Timeframe.H1))
        self.core.handle(defined)

    def hour(self, hours: int = 1, **prices: float) -> list[Message]:
        """`eur` and `yen` are closes; without them nothing trades in that hour."""
        self.ts, self.step = self.ts + hours * HOUR, self.step + 1
        named = {"eur": EUR_USD, "yen": USD_JPY}
        bars = tuple(a(Bar, instrument_id=named[name], close=px) for name, px in prices.items())
        assert not self.core.handle(MarketSlice(ts_event=self.ts, book="fx", step=self.step, bars=bars))
        return list(self.core.handle(ExecutionStep(ts_event=self.ts, book="fx", step=self.step, cash={})))

    def propose(self, *orders: Order) -> list[Any]:
        """The verdicts and the risk step."""
        said = a(PortfolioStep, ts_event=self.ts, step=self.step, orders=orders)
        return list(self.core.handle(said))

    def judge(self, signed_qty: float = 1000, **changes: Any) -> OrderApproved | OrderDenied:
        verdict, closing = self.propose(self.order(signed_qty, **changes))
        assert isinstance(closing, RiskStep)
        return verdict

    def order(self, signed_qty: float = 1000, **changes: Any) -> Order:
        self.orders += 1
        plain: dict[str, Any] = {
            "client_order_id": f"o-{self.orders}",
            "strategy_id": "book",
            "side": Side.BUY if signed_qty > 0 else Side.SELL,
            "qty": Decimal(str(abs(signed_qty))),
            "ref_px": self.core.state.last_px.get(EUR_USD, Decimal("1.1")),
            "order_type": OrderType.MARKET,
            "limit_px": None,
            "stop_px": None,
            "time_in_force": "GTC",
            "expire_ns": None,
        }
        return a(Order, **{**plain, **changes})

    def fill(self, order: Order, px: float, qty: float | None = None, leaves: float = 0) -> None:
        self.core.handle(
            a(
                OrderFilled,
                client_order_id=order.client_order_id,
                instrument_id=order.instrument_id,
                side=order.side,
                last_qty=order.qty if qty is None else Decimal(str(qty)),
                last_px=Decimal(str(px)),
                leaves_qty=Decimal(str(leaves)),
                commission=Decimal(0),
            )
        )

    def hold(self, signed_qty: float, px: float = 1.1) -> None:
        """A position that came about before the limits of the test mattered."""
        self.fill(self.order(signed_qty), px)

    def halt(self, **changes: Any) -> list[Any]:
        return list(self.core.handle(a(HaltTrading, **{"flatten": False, **changes})))

    def resume(self, **changes: Any) -> list[Any]:
        return list(self.core.handle(a(ResumeTrading, **changes)))


@pytest.fixture
def guard() -> Callable[..., Guard]:
    """A guardian whose first hour has passed, at 1.1 dollars a euro and 110 yen a dollar."""

    def build(ladder: tuple[Level, ...] | None = None, **limits: Any) -> Guard:
        made = Guard(ladder, **limits)
        assert made.hour(eur=1.1, yen=110.0) == []
        return made

    return build


@pytest.fixture
def wide() -> dict[str, Any]:
    """Limits that never bind."""
    return WIDE
