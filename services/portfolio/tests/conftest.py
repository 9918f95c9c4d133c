"""A book of three pairs whose orders trade at once and without cost, spoken to in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest

from common.messages import ExecutionStep, InstrumentsDefined, MarketSlice, PortfolioStep, RiskStep, SignalsStep
from common.messages.market_data import Bar
from common.messages.orders import OpenOrder, Order
from common.messages.signals import Signal
from common.model.account import Account
from common.model.enums import Direction, TradingState
from common.model.instrument import Instrument
from common.model.ledger import Ledger
from common.model.time import Timeframe
from common.testing.builders import T0, a
from portfolio.core import Portfolio
from portfolio.settings import Settings

NAMES = {"eur": "EUR-USD.ECB", "gbp": "GBP-USD.ECB", "yen": "USD-JPY.ECB"}
HOUR = Timeframe.H1.ns


def instrument(name: str) -> Instrument:
    base, quote = NAMES[name].split(".")[0].split("-")
    return a(Instrument, instrument_id=NAMES[name], base=base, quote=quote)


class Desk:
    """`step` says what happened in an hour and returns the portfolio's answer; its orders trade if `trades`."""

    def __init__(self, *, trades: bool = True, **settings: Any) -> None:
        plain = {"min_trade_notional": 0.0, "trade_band": 0.0, "correlation_timeframe": Timeframe.H1}
        self.core = Portfolio(Settings(**{**plain, **settings}), Account())
        self.trades, self.number, self.ts = trades, 0, T0
        self.instruments = {NAMES[name]: instrument(name) for name in NAMES}
        self.ledger, self.px = Ledger(cash={"USD": Decimal(100_000)}), dict[str, Decimal]()
        frames = (Timeframe.H1,) * len(NAMES)
        self.core.handle(a(InstrumentsDefined, instruments=tuple(self.instruments.values()), base_timeframes=frames))

    def step(
        self,
        *signals: Signal,
        hours: int = 1,
        low: dict[str, float] | None = None,
        high: dict[str, float] | None = None,
        working: Iterable[OpenOrder] = (),
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
        assert not self.core.handle(MarketSlice(**common, bars=tuple(bars)))
        assert not self.core.handle(SignalsStep(**common, signals=signals))
        (answer,) = self.core.handle(execution)
        assert isinstance(answer, PortfolioStep)
        for order in answer.orders if self.trades else ():
            self.fill(order)
        return answer

    def fill(self, order: Order) -> None:
        px = self.px[order.instrument_id]
        self.ledger.apply_fill(self.instruments[order.instrument_id], order.signed_qty, px, Decimal(0))

    def held(self, name: str = "eur") -> Decimal:
        return self.ledger.qty(NAMES[name])

    def risk(self, state: TradingState = TradingState.ACTIVE, exposure: float = 1.0, stops: float = 1.0) -> None:
        self.core.handle(a(RiskStep, trading_state=state, exposure_factor=exposure, stop_factor=stops))


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
