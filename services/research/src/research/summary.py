"""What a run amounts to: one fold over its messages, the same for a backtest, a live run and a recorded tape."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.messages.base import Message
from common.messages.control import FeatureChanged, InstrumentsDefined
from common.messages.market_data import MarketDataEnded, MarketSlice, RowsQuarantined
from common.messages.orders import (
    FinancingCharged,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
)
from common.messages.portfolio import PortfolioStep
from common.messages.risk import RiskStep, TradingStateChanged
from common.messages.signals import SignalsStep
from common.model.enums import AssetClass, OrderState, TradingState
from common.model.money import ZERO, Conversion
from common.model.time import NS_PER_DAY
from common.quant import performance
from research.passed import Passed
from risk_guardian.history import trading_day

_NS_PER_YEAR: Final = 365.25 * NS_PER_DAY


class Summary:
    """Feed it every message of one run in tape order. `engine` names what runs: "plain", or "fast" where steps are passed over;
    `handled` counts those that were not.
    """

    def __init__(self, engine: str = "plain") -> None:
        self.engine = engine
        self.handled = 0
        self.bars = self.steps = self.signals = self.quarantined = self.halts = 0
        self.proposed = self.approved = self.denied = self.filled = 0
        self.closed_step = 0
        self.ended: MarketDataEnded | None = None
        self.equity: Decimal | None = None
        self.ts = 0
        self.features_off: dict[str, str] = {}
        self._unanswered: set[str] = set()
        self._orders: dict[str, list[str]] = {}
        self._fills: dict[str, str] = {}
        self._curve_ts: list[int] = []  # the first step, then the last one of every UTC day
        self._curve: list[float] = []
        self._gross: list[float] = []
        self._peak, self._drawdown = 0.0, 0.0
        self._commission = ZERO
        self._financing = ZERO  # above 0 was paid
        self._turnover = ZERO
        self._is_crypto = False
        self._conversion = Conversion("USD", ())
        self._last_px: dict[str, float | Decimal] = {}
        self._trades: dict[str, _Trade] = {}
        self._profits: list[float] = []
        self._handlers: dict[type[Message], Callable[[Any], None]] = {
            InstrumentsDefined: self._on_instruments,
            MarketSlice: self._on_slice,
            RowsQuarantined: self._on_quarantined,
            MarketDataEnded: self._on_ended,
            SignalsStep: self._on_signals,
            PortfolioStep: self._on_portfolio,
            OrderApproved: self._on_approved,
            OrderDenied: self._on_denied,
            OrderAccepted: self._on_accepted,
            OrderFilled: self._on_fill,
            FinancingCharged: self._on_financing,
            OrderRejected: lambda said: self._end(said.client_order_id, OrderState.REJECTED, said.reason),
            OrderCanceled: lambda said: self._end(said.client_order_id, OrderState.CANCELED, f"{said.leaves_qty:f}"),
            OrderExpired: lambda said: self._end(said.client_order_id, OrderState.EXPIRED, f"{said.leaves_qty:f}"),
            RiskStep: self._on_risk,
            TradingStateChanged: self._on_trading_state,
            FeatureChanged: self._on_feature,
        }

    @property
    def complete(self) -> bool:
        """The data is over, its last step is closed and every approved order has been answered."""
        return self.ended is not None and self.closed_step >= self.ended.steps and not self._unanswered

    def see(self, message: Message) -> None:
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    def pass_over(self, stretch: Passed) -> None:
        """Steps without a message: nothing has happened but prices."""
        self.steps += stretch.slices
        self.bars += stretch.bars
        self.signals += stretch.signals
        self._last_px.update(stretch.closes)
        for equity in stretch.equity:
            self._measure(float(equity))

    def digest(self) -> str:
        """SHA-256 over all orders and fills in order of business id: equal digests are equal trading."""
        lines = [f"order|{name}|{'|'.join(parts)}" for name, parts in self._orders.items()]
        lines += [f"fill|{name}|{text}" for name, text in self._fills.items()]
        return sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def result(self) -> dict[str, Any]:
        """The keys every run prints. `max_drawdown` is a positive fraction. Costs are in the account currency at the rates of when
        they were booked; `financing` below 0 was received.
        """
        return {
            "bars": self.bars,
            "steps": self.steps,
            "signals": self.signals,
            "orders": {
                "proposed": self.proposed,
                "approved": self.approved,
                "denied": self.denied,
                "filled": self.filled,
            },
            "fills": len(self._fills),
            "quarantined": self.quarantined,
            "equity": None if self.equity is None else round(float(self.equity), 2),
            "max_drawdown": self._drawdown if self._curve else None,
            "costs": {
                "commission": round(float(self._commission), 2),
                "financing": round(float(self._financing), 2),
                "turnover": round(float(self._turnover), 2),
            },
            "halts": self.halts,
            "features_off": self.features_off,
            "digest": self.digest(),
        }

    def daily(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Time (ns) and equity at the last step of every trading day; a midnight closes the day before it, and a weekend
        belongs to Monday, but for crypto.
        """
        ts, equity = np.array(self._curve_ts, dtype=np.int64), np.array(self._curve)
        first = 1 if ts.size > 1 and self._day(self._curve_ts[0]) == self._day(self._curve_ts[1]) else 0
        return ts[first:], equity[first:]

    @property
    def annualization(self) -> int:
        """Days of a year in which this market trades."""
        return 365 if self._is_crypto else 252

    def metrics(self) -> dict[str, float | None]:
        """PFL-11 with the names and signs of empyrical (so `max_drawdown` is negative here), on daily returns; a year has 365
        of them for crypto, else 252. Exposure and turnover refer to the equity at the end of days. None where undefined.
        """
        returns = performance.daily_returns(self._curve_ts, self._curve)
        years = (self._curve_ts[-1] - self._curve_ts[0]) / _NS_PER_YEAR if self._curve_ts else 0.0
        measured = performance.performance(
            returns,
            self.annualization,
            trade_profits=self._profits,
            equity=np.array(self._curve),
            gross_exposure=np.array(self._gross),
        )
        per_year = float(self._turnover) / float(np.mean(self._curve)) / years if years > 0 else None
        return {**msgspec.structs.asdict(measured), "turnover": per_year, "trades": float(len(self._profits))}

    def _on_instruments(self, message: InstrumentsDefined) -> None:
        self._is_crypto = any(one.asset_class is AssetClass.CRYPTO for one in message.instruments)
        self._conversion = Conversion(message.account_currency, message.instruments)

    def _on_quarantined(self, message: RowsQuarantined) -> None:
        self.quarantined += len(message.rows)

    def _on_ended(self, message: MarketDataEnded) -> None:
        self.ended = message

    def _on_signals(self, message: SignalsStep) -> None:
        self.signals += len(message.signals)

    def _on_risk(self, message: RiskStep) -> None:
        self.closed_step = message.step

    def _on_trading_state(self, message: TradingStateChanged) -> None:
        self.halts += message.state is TradingState.HALTED and message.previous is not TradingState.HALTED

    def _on_feature(self, message: FeatureChanged) -> None:
        """What has failed too often and does not take part any more, with the reason: a result without it must say so."""
        name = f"{message.service} {message.feature}"
        if message.enabled:
            self.features_off.pop(name, None)
            return
        self.features_off[name] = message.reason

    def _on_approved(self, message: OrderApproved) -> None:
        self.approved += 1
        order = message.order
        self._unanswered.add(order.client_order_id)
        self._orders[order.client_order_id] = [
            order.instrument_id,
            order.side,
            f"{order.qty:f}",
            order.order_type,
        ]

    def _on_denied(self, message: OrderDenied) -> None:
        self.denied += 1
        order = message.order
        self._orders[order.client_order_id] = [order.instrument_id, order.side, f"{order.qty:f}"]
        self._end(order.client_order_id, OrderState.DENIED, message.code)

    def _on_accepted(self, message: OrderAccepted) -> None:
        self._unanswered.discard(message.client_order_id)

    def _on_slice(self, message: MarketSlice) -> None:
        self.steps += 1
        self.handled += 1
        self.ts = message.ts_event
        for bar in message.bars:
            if bar.base:
                self.bars += 1
                self._last_px[bar.instrument_id] = bar.close

    def _on_portfolio(self, message: PortfolioStep) -> None:
        self.proposed += len(message.orders)
        if message.equity is not None:
            self.equity = message.equity
            self._note(message.ts_event, float(message.equity), float(message.gross_exposure))

    def _note(self, ts: int, equity: float, gross: float) -> None:
        self._measure(equity)
        if len(self._curve_ts) > 1 and self._day(self._curve_ts[-1]) == self._day(ts):
            self._curve_ts[-1], self._curve[-1], self._gross[-1] = ts, equity, gross
            return
        self._curve_ts.append(ts)
        self._curve.append(equity)
        self._gross.append(gross)

    def _measure(self, equity: float) -> None:
        self._peak = max(self._peak, equity)
        if self._peak > 0:
            self._drawdown = max(self._drawdown, (self._peak - equity) / self._peak)

    def _on_fill(self, message: OrderFilled) -> None:
        self._fills[message.fill_id] = "|".join(
            (
                message.client_order_id,
                str(message.ts_event),
                f"{message.last_qty:f}",
                f"{message.last_px:f}",
                f"{message.commission:f}",
            )
        )
        self._last_px[message.instrument_id] = message.last_px
        rate = self._rate(message.commission_currency)
        self._commission += message.commission * rate
        self._turnover += message.last_qty * message.last_px * rate
        trade = self._trades.setdefault(message.instrument_id, _Trade())
        trade.fill(message.signed_qty, message.last_px, message.commission)
        if trade.qty == 0:
            self._profits.append(float(trade.cash * rate))
            self._trades[message.instrument_id] = _Trade()
        if message.leaves_qty == 0:
            self.filled += 1
            self._end(message.client_order_id, OrderState.FILLED, f"{message.avg_px:f}")

    def _on_financing(self, message: FinancingCharged) -> None:
        self._financing -= message.amount * self._rate(message.currency)

    def _rate(self, currency: str) -> Decimal:
        """Account currency for one unit; 0 where no price gives it."""
        return self._conversion.rate(currency, {}) or self._conversion.rate(currency, self._prices()) or ZERO

    def _prices(self) -> dict[str, Decimal]:
        return {name: px if isinstance(px, Decimal) else Decimal(repr(px)) for name, px in self._last_px.items()}

    def _end(self, client_order_id: str, state: OrderState, detail: str) -> None:
        self._unanswered.discard(client_order_id)
        self._orders[client_order_id] += [state, detail]

    def _day(self, ts: int) -> int:
        """A weekend belongs to Monday: its few hours, and weekly bars that close in it, are no trading day of their own."""
        return trading_day(ts, weekends=self._is_crypto)


class _Trade:
    """A round trip in one instrument: from flat to flat. `cash` is its profit once flat, in the quote currency."""

    __slots__ = ("cash", "qty")

    def __init__(self) -> None:
        self.qty = self.cash = ZERO

    def fill(self, signed_qty: Decimal, px: Decimal, commission: Decimal) -> None:
        self.qty += signed_qty
        self.cash -= signed_qty * px + commission
