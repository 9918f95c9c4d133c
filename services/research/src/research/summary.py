"""What a run amounts to: one fold over its messages, the same for a backtest, a live run and a recorded tape."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import msgspec
import numpy as np

from common.messages.base import Message
from common.messages.control import FeatureChanged, InstrumentsDefined
from common.messages.market_data import MarketDataEnded, MarketSlice, RowsQuarantined
from common.messages.orders import (
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

_NS_PER_YEAR: Final = 365.25 * NS_PER_DAY


class Summary:
    """Feed it every message of one run in tape order."""

    def __init__(self) -> None:
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
        self._curve_ts: list[int] = []
        self._curve: list[float] = []
        self._gross: list[float] = []
        self._costs = ZERO
        self._turnover = ZERO
        self._instruments: InstrumentsDefined | None = None
        self._conversion = Conversion("USD", ())
        self._last_px: dict[str, Decimal] = {}
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

    def digest(self) -> str:
        """SHA-256 over all orders and fills in order of business id: equal digests are equal trading."""
        lines = [f"order|{name}|{'|'.join(parts)}" for name, parts in self._orders.items()]
        lines += [f"fill|{name}|{text}" for name, text in self._fills.items()]
        return sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def result(self) -> dict[str, Any]:
        """The keys every run prints. `max_drawdown` is a positive fraction."""
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
            "max_drawdown": _max_drawdown(self._curve),
            "costs": {"commission": round(float(self._costs), 2), "turnover": round(float(self._turnover), 2)},
            "halts": self.halts,
            "features_off": self.features_off,
            "digest": self.digest(),
        }

    def metrics(self) -> dict[str, float | None]:
        """PFL-11 with the names and signs of empyrical (so `max_drawdown` is negative here), on daily returns; a year has 365
        of them for crypto, else 252. None where undefined.
        """
        returns = performance.daily_returns(self._curve_ts, self._curve)
        annualization = 365 if self._is_crypto() else 252
        years = (self._curve_ts[-1] - self._curve_ts[0]) / _NS_PER_YEAR if self._curve_ts else 0.0
        measured = performance.performance(
            returns,
            annualization,
            trade_profits=self._profits,
            equity=np.array(self._curve),
            gross_exposure=np.array(self._gross),
        )
        per_year = float(self._turnover) / float(np.mean(self._curve)) / years if years > 0 else None
        return {**msgspec.structs.asdict(measured), "turnover": per_year, "trades": float(len(self._profits))}

    def _on_instruments(self, message: InstrumentsDefined) -> None:
        self._instruments = message
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
        self.ts = message.ts_event
        for bar in message.bars:
            if bar.base:
                self.bars += 1
                self._last_px[bar.instrument_id] = Decimal(repr(bar.close))

    def _on_portfolio(self, message: PortfolioStep) -> None:
        self.proposed += len(message.orders)
        if message.equity is not None:
            self.equity = message.equity
            self._curve_ts.append(message.ts_event)
            self._curve.append(float(message.equity))
            self._gross.append(float(message.gross_exposure))

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
        rate = self._conversion.rate(message.commission_currency, self._last_px) or ZERO
        self._costs += message.commission * rate
        self._turnover += message.last_qty * message.last_px * rate
        trade = self._trades.setdefault(message.instrument_id, _Trade())
        trade.fill(message.signed_qty, message.last_px, message.commission)
        if trade.qty == 0:
            self._profits.append(float(trade.cash * rate))
            self._trades[message.instrument_id] = _Trade()
        if message.leaves_qty == 0:
            self.filled += 1
            self._end(message.client_order_id, OrderState.FILLED, f"{message.avg_px:f}")

    def _end(self, client_order_id: str, state: OrderState, detail: str) -> None:
        self._unanswered.discard(client_order_id)
        self._orders[client_order_id] += [state, detail]

    def _is_crypto(self) -> bool:
        instruments = self._instruments.instruments if self._instruments else ()
        return any(instrument.asset_class is AssetClass.CRYPTO for instrument in instruments)


class _Trade:
    """A round trip in one instrument: from flat to flat. `cash` is its profit once flat, in the quote currency."""

    __slots__ = ("cash", "qty")

    def __init__(self) -> None:
        self.qty = self.cash = ZERO

    def fill(self, signed_qty: Decimal, px: Decimal, commission: Decimal) -> None:
        self.qty += signed_qty
        self.cash -= signed_qty * px + commission


def _max_drawdown(curve: list[float]) -> float | None:
    if not curve:
        return None
    values = np.array(curve)
    peaks = np.maximum.accumulate(values)
    return float(np.max((peaks - values) / peaks))
