"""A book of three pairs whose orders trade at once and without cost, spoken to in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from common.messages import (
    ExecutionStep,
    FeatureChanged,
    InstrumentsDefined,
    MarketSlice,
    Message,
    OrderFilled,
    PortfolioStep,
    RegimeStep,
    RiskStep,
    ScopeHalted,
    SignalsStep,
)
from common.messages.market_data import Bar
from common.messages.orders import OpenOrder, Order
from common.messages.regime import RegimeReading
from common.messages.signals import Signal
from common.model.account import Account
from common.model.enums import Direction, Side, TradingState
from common.model.instrument import Instrument
from common.model.ledger import Ledger
from common.model.time import Timeframe
from common.testing.builders import T0, a
from portfolio import exits
from portfolio.core import Portfolio, Review
from portfolio.settings import Settings

NAMES = {"eur": "EUR-USD.ECB", "gbp": "GBP-USD.ECB", "yen": "USD-JPY.ECB"}
HOUR = Timeframe.H1.ns


def instrument(name: str) -> Instrument:
    base, quote = NAMES[name].split(".")[0].split("-")
    return a(Instrument, instrument_id=NAMES[name], base=base, quote=quote)


class Desk:
    """`step` says what happened in an hour and returns the portfolio's answer; its orders trade if `trades`."""

    def __init__(self, *, trades: bool = True, review: Review = exits.review, **settings: Any) -> None:
        plain = {"min_trade_notional": 0.0, "trade_band": 0.0, "correlation_timeframe": Timeframe.H1}
        self.settings = Settings(**{**plain, **settings})
        self.core = Portfolio(self.settings, Account(), review=review)
        self.changes: list[FeatureChanged] = []
        self.tape: list[tuple[Message, Sequence[Any]]] = []
        self.trades, self.number, self.ts = trades, 0, T0
        self.instruments = {NAMES[name]: instrument(name) for name in NAMES}
        self.ledger, self.px = Ledger(cash={"USD": Decimal(100_000)}), dict[str, Decimal]()
        frames = (Timeframe.H1,) * len(NAMES)
        self.tell(a(InstrumentsDefined, instruments=tuple(self.instruments.values()), base_timeframes=frames))

    def step(
        self,
        *signals: Signal,
        hours: int = 1,
        low: dict[str, float] | None = None,
        high: dict[str, float] | None = None,
        working: Iterable[OpenOrder] = (),
        readings: Iterable[RegimeReading] = (),
        **closes: float,
    ) -> PortfolioStep:
        self.number, self.ts = self.number + 1, self.ts + hours * HOUR
        bars = []
        for name, close in closes.items():
            reach = {"low": (low or {}).get(name, close), "high": (high or {}).get(name, close)}
            bars.append(a(Bar, instrument_id=NAMES[name], open=close, close=close, **reach))
            self.px[NAMES[name]] = Decimal(str(close))
        common: dict[str, Any] = {"ts_event": self.ts, "book": "fx", "step": self.number}
        execution = ExecutionStep(
            **common,
            cash=dict(self.ledger.cash),
            positions=tuple(self.ledger.positions.values()),
            open_orders=tuple(working),
        )
        assert not self.tell(MarketSlice(**common, bars=tuple(bars)))
        assert not self.tell(RegimeStep(**common, readings=tuple(readings)))
        assert not self.tell(SignalsStep(**common, signals=signals))
        *changes, answer = self.tell(execution)
        self.changes.extend(changes)
        assert isinstance(answer, PortfolioStep)
        for order in answer.orders if self.trades else ():
            self.fill(order)
        return answer

    def tell(self, message: Message) -> Sequence[Any]:
        """What the core answers; both are kept."""
        answers = self.core.handle(message)
        self.tape.append((message, answers))
        return answers

    def fill(self, order: Order) -> None:
        self.book(order.instrument_id, order.signed_qty)

    def book(self, instrument_id: str, signed_qty: Decimal) -> None:
        """A trade at the last price, whoever made it."""
        self.ledger.apply_fill(self.instruments[instrument_id], signed_qty, self.px[instrument_id], Decimal(0))

    def trade(self, name: str, qty: int, strategy_id: str) -> None:
        """Somebody else's order in this account has filled."""
        self.book(NAMES[name], Decimal(qty))
        side = Side.BUY if qty > 0 else Side.SELL
        filled = a(
            OrderFilled, strategy_id=strategy_id, instrument_id=NAMES[name], side=side, last_qty=Decimal(abs(qty))
        )
        assert not self.tell(filled)

    def held(self, name: str = "eur") -> Decimal:
        return self.ledger.qty(NAMES[name])

    def risk(
        self,
        state: TradingState = TradingState.ACTIVE,
        exposure: float = 1.0,
        stops: float = 1.0,
        confidence: float = 0.0,
    ) -> None:
        said = {"exposure_factor": exposure, "stop_factor": stops, "min_confidence": confidence}
        self.tell(a(RiskStep, trading_state=state, **said))

    def halt(self, strategy_id: str = "", name: str = "", *, halted: bool = True) -> None:
        scope = {"strategy_id": strategy_id, "instrument_id": NAMES.get(name, "")}
        assert not self.tell(a(ScopeHalted, **scope, halted=halted, reason="ten losses"))


def opinion(name: str = "eur", direction: str = "LONG", **changes: Any) -> Signal:
    """Of a core strategy with a stop 2 % away, in calm markets, at a price of 1."""
    plain: dict[str, Any] = {"strategy_id": "s", "vol_ratio": 1.0, "ref_px": 1.0, "timeframe": Timeframe.D1}
    return a(Signal, instrument_id=NAMES[name], direction=Direction(direction), **{**plain, **changes})


@pytest.fixture
def desk() -> Callable[..., Desk]:
    return Desk


@pytest.fixture
def say() -> Callable[..., Signal]:
    return opinion


@pytest.fixture
def legs() -> Callable[[PortfolioStep], list[tuple[str, int, bool]]]:
    """(instrument, signed quantity, reduce only) of every order."""
    return lambda step: [(o.instrument_id[:3].lower(), int(o.signed_qty), o.reduce_only) for o in step.orders]
