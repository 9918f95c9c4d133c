"""A guardian with two instruments (one priced in dollars, one in yen), spoken to in steps."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from common.messages import (
    AlertRaised,
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
    RiskMeasured,
    RiskStep,
    StressTested,
)
from common.messages.market_data import Bar, Quote
from common.messages.orders import Order
from common.model.account import Account
from common.model.enums import OrderType, Side
from common.model.instrument import Instrument
from common.model.money import Conversion
from common.model.time import Timeframe
from common.runtime.codec import encode
from common.testing.builders import EUR_USD, T0, a
from risk_guardian.checks import RiskAfter
from risk_guardian.core import RiskGuardian
from risk_guardian.limits import Limits
from risk_guardian.policy import DRAWDOWN, METRICS, Ladders, Level
from risk_guardian.settings import Settings
from risk_guardian.state import State
from risk_guardian.verdict import Judge, Now

USD_JPY = "USD-JPY.ECB"
NOTES = (AlertRaised, RiskMeasured, StressTested)
GBP_USD = "GBP-USD.ECB"
HOUR = Timeframe.H1.ns
WIDE: dict[str, Any] = {
    "max_order_notional": 100.0,
    "max_position": 100.0,
    "max_gross_exposure": 100.0,
    "max_net_exposure": 100.0,
    "max_leverage": 100.0,
    "max_correlated": 0.0,
    "notional_per_minute": 1000.0,
}
SAME_AGAIN: dict[str, Any] = {"duplicate_window_s": 0.0}  # most tests send one order many times
EUR = a(Instrument)
YEN = a(Instrument, instrument_id=USD_JPY, base="USD", quote="JPY", price_increment=Decimal("0.001"))
GBP = a(Instrument, instrument_id=GBP_USD, base="GBP")
EUR_GBP = a(Instrument, instrument_id="EUR-GBP.ECB", quote="GBP")
PLAIN: dict[str, Any] = {
    "order_type": OrderType.MARKET,
    "limit_px": None,
    "stop_px": None,
    "time_in_force": "GTC",
    "expire_ns": None,
    "reduce_only": False,
    "parent_id": "",
    "oco_group": "",
    "post_only": False,
}


class Guard:
    """`hour` is a slice and the execution step after it, `propose` a portfolio step, `fill` an execution."""

    def __init__(
        self,
        ladder: tuple[Level, ...] = DRAWDOWN,
        ladders: dict[str, tuple[Level, ...]] | None = None,
        settings: dict[str, Any] | None = None,
        **limits: Any,
    ) -> None:
        """`ladder` is that of the drawdown; of the others only those of `ladders` are there."""
        chosen = Ladders(**{**dict.fromkeys(METRICS, ()), "drawdown": ladder, **(ladders or {})})
        made = Settings(limits=Limits(**{**SAME_AGAIN, **limits}), ladders=chosen, **(settings or {}))
        self.core = RiskGuardian(made, Account())
        self.noted: list[Any] = []
        self.ts, self.step, self.orders = T0, 0, 0
        self.define(EUR, YEN)

    def define(self, *instruments: Instrument) -> None:
        self.core.handle(
            a(InstrumentsDefined, instruments=instruments, base_timeframes=(Timeframe.H1,) * len(instruments))
        )

    def hour(self, hours: int = 1, **prices: float) -> list[Message]:
        """`eur`, `yen` and `gbp` are closes; without them nothing trades in that hour."""
        self.ts, self.step = self.ts + hours * HOUR, self.step + 1
        named = {"eur": EUR_USD, "yen": USD_JPY, "gbp": GBP_USD}
        bars = tuple(a(Bar, instrument_id=named[name], close=px) for name, px in prices.items())
        assert not self.core.handle(MarketSlice(ts_event=self.ts, book="fx", step=self.step, bars=bars))
        return self.tell(ExecutionStep(ts_event=self.ts, book="fx", step=self.step, cash={}))

    def tell(self, message: Message) -> list[Any]:
        """What the guardian does about it; what it merely reports goes to `noted`. All of it can travel."""
        said = list(self.core.handle(message))
        for each in said:
            assert encode(each)
        self.noted += [each for each in said if isinstance(each, NOTES)]
        return [each for each in said if not isinstance(each, NOTES)]

    def propose(self, *orders: Order) -> list[Any]:
        """The verdicts and the risk step."""
        said = a(PortfolioStep, ts_event=self.ts, step=self.step, orders=orders)
        return self.tell(said)

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
            **PLAIN,
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
        return self.tell(a(HaltTrading, **{"flatten": False, **changes}))

    def resume(self, **changes: Any) -> list[Any]:
        return self.tell(a(ResumeTrading, **changes))


class Bench:
    """A judge with its state and nothing else: 100,000 dollars, four pairs, every price fresh; `after` measures what a test says."""

    def __init__(self, **limits: Any) -> None:
        self.judge = Judge(Limits(**{**WIDE, **SAME_AGAIN, **limits}), "paper")
        self.state = State(book="fx", equity=Decimal(100_000), peak_equity=Decimal(100_000), ts=T0, step=1)
        self.state.instruments = {each.instrument_id: each for each in (EUR, YEN, GBP, EUR_GBP)}
        self.state.base_timeframe = dict.fromkeys(self.state.instruments, Timeframe.H1)
        self.price(**{EUR_USD: "1.1", USD_JPY: "110", GBP_USD: "1.25", "EUR-GBP.ECB": "0.88"})
        self.after: RiskAfter | None = None
        self.factor, self.orders = 1.0, 0

    def price(self, **prices: str) -> None:
        for name, px in prices.items():
            self.state.last_px[name], self.state.last_px_ns[name] = Decimal(px), self.state.ts

    def slice(
        self, after_ns: int = HOUR, bars: tuple[Bar, ...] = (), quotes: tuple[Quote, ...] = (), step: int = 1
    ) -> None:
        """Time goes on, and every price with it."""
        said = MarketSlice(ts_event=self.state.ts + after_ns, book="fx", step=step, bars=bars, quotes=quotes)
        self.judge.observe(said, self.state)
        self.state.ts = said.ts_event
        self.state.last_px_ns = dict.fromkeys(self.state.last_px_ns, said.ts_event)

    def hold(self, signed_qty: float, name: str = EUR_USD, strategy_id: str = "book", px: str | None = None) -> None:
        qty, at = Decimal(str(signed_qty)), self.state.last_px[name] if px is None else Decimal(px)
        self.state.ledger.apply_fill(self.state.instruments[name], qty, at, Decimal(0))
        side = Side.BUY if qty > 0 else Side.SELL
        fill = a(OrderFilled, strategy_id=strategy_id, instrument_id=name, side=side, last_qty=abs(qty), last_px=at)
        self.judge.on_fill(fill, self.state)

    def order(self, signed_qty: float = 1000, name: str = EUR_USD, **changes: Any) -> Order:
        self.orders += 1
        plain: dict[str, Any] = {
            "client_order_id": f"o-{self.orders}",
            "strategy_id": "book",
            "instrument_id": name,
            "side": Side.BUY if signed_qty > 0 else Side.SELL,
            "qty": Decimal(str(abs(signed_qty))),
            "ref_px": self.state.last_px.get(name, Decimal(1)),
            **PLAIN,
        }
        return a(Order, **{**plain, **changes})

    def ask(self, *orders: Order, **changes: Any) -> list[Any]:
        said = {"ts": self.state.ts, "step": 1, "exposure_factor": self.factor, "after": self.after, **changes}
        return self.judge.all(orders, self.state, conversion=self.conversion, **said)

    def one(self, signed_qty: float = 1000, name: str = EUR_USD, **changes: Any) -> Any:
        return self.ask(self.order(signed_qty, name, **changes))[0]

    def now(self) -> Now:
        return Now(self.state.ts, 1, self.factor, self.conversion, self.after)

    @property
    def conversion(self) -> Conversion:
        return Conversion("USD", self.state.instruments.values())


@pytest.fixture(scope="session")
def bench() -> type[Bench]:
    """Limits that never bind but those that are given."""
    return Bench


@pytest.fixture
def guard() -> Callable[..., Guard]:
    """A guardian whose first hour has passed, at 1.1 dollars a euro and 110 yen a dollar."""

    def build(**given: Any) -> Guard:
        made = Guard(**given)
        assert made.hour(eur=1.1, yen=110.0) == []
        return made

    return build


@pytest.fixture
def wide() -> dict[str, Any]:
    """Limits that never bind."""
    return WIDE
