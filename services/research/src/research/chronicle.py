"""The course of a run: trades, profits by who wanted them, refusals, events, exposure and prices by day.

A fold over a run's messages like `summary.Summary`, which counts; this remembers what a report shows. It keeps a constant
amount per trade, per day and per kind of thing, whatever the number of bars. What it says of a run does not depend on the engine:
of steps that the fast one skips it needs the closes, and asks for the regime only where a trade begins.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from common.messages.base import Message
from common.messages.control import FeatureChanged, InstrumentsDefined
from common.messages.market_data import MarketDataEnded, MarketSlice, RowsQuarantined
from common.messages.orders import (
    ExecutionStep,
    FinancingCharged,
    Order,
    OrderApproved,
    OrderDenied,
    OrderFilled,
    OrderRejected,
)
from common.messages.portfolio import Contribution, PortfolioStep
from common.messages.regime import RegimeReading, RegimeStep
from common.messages.risk import LadderChanged, ScopeHalted, TradingStateChanged
from common.model.instrument import Instrument
from common.model.money import ZERO, Conversion
from common.model.time import NS_PER_DAY
from common.model.trading_sessions import session
from research.passed import Passed
from research.report.attribution import Key, Share
from research.report.records import UNKNOWN, Costs, Event, Refusal, Trade, note
from research.report.volume import Volumes

EVENTS_KEPT: Final = 2_000


class Chronicle:
    """Feed it every message of one run in tape order."""

    def __init__(self) -> None:
        self.account_currency = "USD"
        self.instruments: dict[str, Instrument] = {}
        self.base_timeframes: dict[str, str] = {}
        self.trades: list[Trade] = []
        self.costs: dict[str, Costs] = {}
        self.earned: dict[tuple[str, Key], float] = {}  # by instrument and (strategy, timeframe), before costs
        self.denied: dict[str, Refusal] = {}
        self.resized: dict[str, Refusal] = {}
        self.rejected: dict[str, Refusal] = {}
        self.quarantined: dict[str, Refusal] = {}
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.events_beyond = 0
        self.days: dict[int, tuple[int, float | None, float, float]] = {}  # time, equity, gross and net exposure
        self.closes: dict[str, dict[int, float]] = {}
        self.held: dict[int, dict[str, float]] = {}  # signed quantity at the end of each day
        self.first_ns = self.last_ns = 0
        self.gaps: int | None = None
        self._open: dict[str, Trade] = {}
        self._shares: dict[str, Share] = {}
        self._behind: dict[str, tuple[Contribution, ...]] = {}
        self._volumes = Volumes()
        self._readings: dict[tuple[str, str], RegimeReading] = {}  # since the last steps that were skipped
        self._readings_before: Callable[[], Sequence[RegimeReading]] = tuple
        self._last_px: dict[str, Decimal] = {}
        self._passed: dict[str, float] = {}
        self._half_spread: dict[str, float] = {}
        self._conversion = Conversion("USD", ())
        self._handlers: dict[type[Message], Callable[[Any], None]] = {
            InstrumentsDefined: self._on_instruments,
            MarketSlice: self._on_slice,
            ExecutionStep: self._on_execution,
            RowsQuarantined: self._on_quarantined,
            MarketDataEnded: self._on_ended,
            RegimeStep: self._on_regime,
            PortfolioStep: self._on_portfolio,
            OrderApproved: self._on_approved,
            OrderDenied: self._on_denied,
            OrderRejected: self._on_rejected,
            OrderFilled: self._on_fill,
            FinancingCharged: self._on_financing,
            TradingStateChanged: self._on_trading_state,
            LadderChanged: self._on_ladder,
            ScopeHalted: self._on_scope,
            FeatureChanged: self._on_feature,
        }

    def see(self, message: Message) -> None:
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    def pass_over(self, stretch: Passed) -> None:
        """Steps without a message. They are of the day of the next one that has some: the last of a day always does."""
        for name, close in stretch.closes.items():
            self._last_px[name] = Decimal(repr(close))
        self._passed.update(stretch.closes)
        self._readings.clear()
        self._readings_before = stretch.readings

    def all_trades(self) -> list[Trade]:
        """The closed ones in order of their exits, then those still open."""
        return [*self.trades, *self._open.values()]

    def earnings(self) -> dict[tuple[str, Key], float]:
        """Profit before commission and financing by instrument and (strategy, timeframe), open positions at the last price."""
        result = dict(self.earned)
        for instrument_id, share in self._shares.items():
            px, mark = self._last_px[instrument_id], share.mark
            for key, profit in share.earn(float(px), self._rate(instrument_id)).items():
                result[instrument_id, key] = result.get((instrument_id, key), 0.0) + profit
            share.mark = mark
        return result

    # --- the market ----------------------------------------------------------------------------------------

    def _on_instruments(self, message: InstrumentsDefined) -> None:
        self.account_currency = message.account_currency
        self.instruments = {one.instrument_id: one for one in message.instruments}
        self.base_timeframes = {
            one.instrument_id: str(timeframe)
            for one, timeframe in zip(message.instruments, message.base_timeframes, strict=True)
        }
        self._conversion = Conversion(message.account_currency, message.instruments)

    def _on_slice(self, message: MarketSlice) -> None:
        self.first_ns = self.first_ns or message.ts_event
        self.last_ns = message.ts_event
        day = (message.ts_event - 1) // NS_PER_DAY
        for name, close in self._passed.items():
            self.closes.setdefault(name, {})[day] = close
        self._passed.clear()
        for bar in message.bars:
            self._volumes.see(bar)
            if bar.base:
                name = bar.instrument_id
                self._last_px[name] = Decimal(repr(bar.close))
                self.closes.setdefault(name, {})[day] = bar.close
                if bar.spread_close is not None:
                    self._half_spread[name] = max(bar.spread_close, 0.0) / 2

    def _on_regime(self, message: RegimeStep) -> None:
        for reading in message.readings:
            self._readings[reading.instrument_id, reading.timeframe] = reading

    def _on_quarantined(self, message: RowsQuarantined) -> None:
        for row in message.rows:
            note(self.quarantined, row.reason, row.ts_row, f"{row.instrument_id}: {row.detail}")

    def _on_ended(self, message: MarketDataEnded) -> None:
        self.gaps = message.gaps
        self._readings_before = tuple  # which held on to all readings of the run

    # --- the book ------------------------------------------------------------------------------------------

    def _on_execution(self, message: ExecutionStep) -> None:
        day = (message.ts_event - 1) // NS_PER_DAY
        self.held[day] = {one.instrument_id: float(one.signed_qty) for one in message.positions if one.signed_qty}

    def _on_portfolio(self, message: PortfolioStep) -> None:
        equity = None if message.equity is None else float(message.equity)
        day = (message.ts_event - 1) // NS_PER_DAY
        self.days[day] = (message.ts_event, equity, float(message.gross_exposure), float(message.net_exposure))
        for target in message.targets:
            name = target.instrument_id
            self._behind[name] = target.contributions
            share = self._shares.setdefault(name, Share())
            px = float(self._last_px.get(name, ZERO))
            reached = target.signed_qty == target.held_qty
            self._book(name, share.aim(target.contributions, reached=reached, px=px, rate=self._rate(name)))

    def _on_fill(self, fill: OrderFilled) -> None:
        name = fill.instrument_id
        self._last_px[name] = fill.last_px
        self._count_costs(fill)
        share = self._shares.setdefault(name, Share())
        self._book(name, share.fill(float(fill.signed_qty), float(fill.last_px), self._rate(name)))
        trade = self._open.get(name)
        if trade is None:
            trade = self._open[name] = self._entered(fill)
        trade.add(fill, self._decimal_rate(fill.commission_currency))
        if trade.held == 0:
            del self._open[name]
            trade.exit_ns = fill.ts_event
            trade.profit = float(trade.cash * self._decimal_rate(fill.commission_currency))
            self.trades.append(trade)

    def _entered(self, fill: OrderFilled) -> Trade:
        """The side is the first fill's; a fill that goes through zero does not end a trade."""
        sign = fill.side.sign
        behind = sorted(
            (one for one in self._behind.get(fill.instrument_id, ()) if one.signed_qty * sign > 0),
            key=lambda one: (-abs(one.signed_qty), one.strategy_id, one.timeframe),
        )
        timeframe = str(behind[0].timeframe) if behind else UNKNOWN
        return Trade(
            instrument_id=fill.instrument_id,
            side="LONG" if sign > 0 else "SHORT",
            entry_ns=fill.ts_event,
            strategies=tuple(dict.fromkeys(one.strategy_id for one in behind)) or (fill.strategy_id,),
            timeframe=timeframe,
            regime=self._regime(fill.instrument_id, timeframe),
            session=session(fill.ts_event - 1),  # stamped with the close of a bar it happened in it
            volume=self._volumes.level(fill.instrument_id),
            first_px=fill.last_px,
        )

    def _regime(self, instrument_id: str, timeframe: str) -> str:
        key = (instrument_id, timeframe)
        if key not in self._readings:
            self._readings = {
                (one.instrument_id, one.timeframe): one for one in self._readings_before()
            } | self._readings
            self._readings_before = tuple
        reading = self._readings.get(key)
        return UNKNOWN if reading is None else str(reading.regime)

    def _on_financing(self, message: FinancingCharged) -> None:
        costs = self.costs.setdefault(message.instrument_id, Costs())
        costs.financing -= float(message.amount * self._decimal_rate(message.currency))

    def _count_costs(self, fill: OrderFilled) -> None:
        name, qty = fill.instrument_id, float(fill.last_qty)
        rate, instrument = self._rate(name), self.instruments.get(name)
        assumed = 0.0 if instrument is None else float(instrument.half_spread)
        costs = self.costs.setdefault(name, Costs())
        costs.commission += float(fill.commission * self._decimal_rate(fill.commission_currency))
        costs.spread += 0.0 if fill.maker else self._half_spread.get(name, assumed) * qty * rate
        costs.slippage += fill.slippage_bps / 10_000 * float(fill.ref_px) * qty * rate
        costs.turnover += qty * float(fill.last_px) * rate

    def _book(self, instrument_id: str, earned: dict[Key, float]) -> None:
        trade = self._open.get(instrument_id)
        for key, profit in earned.items():
            if trade is not None:
                trade.earned[key] = trade.earned.get(key, 0.0) + profit
            self.earned[instrument_id, key] = self.earned.get((instrument_id, key), 0.0) + profit

    def _rate(self, instrument_id: str) -> float:
        """Account currency for one unit of what the instrument is quoted in; 0 where no price gives it."""
        instrument = self.instruments.get(instrument_id)
        return 0.0 if instrument is None else float(self._decimal_rate(instrument.quote))

    def _decimal_rate(self, currency: str) -> Decimal:
        return self._conversion.rate(currency, self._last_px) or ZERO

    # --- what was refused, and what happened -------------------------------------------------------------------

    def _on_approved(self, message: OrderApproved) -> None:
        if message.resized_from is not None:
            text = f"{_said(message.order)} instead of {message.resized_from:f}; {_short(message.rule)}"
            note(self.resized, message.rule.partition(":")[0] or UNKNOWN, message.ts_event, text)

    def _on_denied(self, message: OrderDenied) -> None:
        numbers = f"; {message.observed:.6g} against {message.limit:.6g}" if message.observed or message.limit else ""
        detail = f"; {message.detail}" if message.detail else ""
        note(self.denied, message.code, message.ts_event, f"{_said(message.order)}{numbers}{detail}, by {message.by}")

    def _on_rejected(self, message: OrderRejected) -> None:
        note(self.rejected, message.reason[:80], message.ts_event, message.client_order_id)

    def _on_trading_state(self, message: TradingStateChanged) -> None:
        level = {"ACTIVE": "good", "REDUCING": "warn"}.get(message.state, "bad")
        self._tell(message.ts_event, f"Trading {message.state}", level, f"{message.reason} (by {message.author})")

    def _on_ladder(self, message: LadderChanged) -> None:
        level = "good" if message.level < message.previous else "warn"
        numbers = f"{float(message.observed):.4g} against {message.threshold:.4g}"
        what = f"Ladder {message.ladder}: level {message.previous} to {message.level}"
        self._tell(message.ts_event, what, level, f"{', '.join(message.actions)}; {numbers}")

    def _on_scope(self, message: ScopeHalted) -> None:
        scope = " in ".join(part for part in (message.strategy_id, message.instrument_id) if part)
        level, verb = ("warn", "halted") if message.halted else ("good", "released")
        self._tell(message.ts_event, f"{scope} {verb}", level, f"{message.reason} (by {message.author})")

    def _on_feature(self, message: FeatureChanged) -> None:
        level, verb = ("good", "on again") if message.enabled else ("bad", "off")
        self._tell(message.ts_event, f"{message.service} {message.feature} {verb}", level, message.reason)

    def _tell(self, ts_ns: int, what: str, level: str, detail: str) -> None:
        self.events_beyond += len(self.events) == EVENTS_KEPT
        self.events.append(Event(ts_ns, what, level, detail))


def _short(rule: str) -> str:
    """Six digits are enough to read."""
    return re.sub(r"\d+\.\d{6,}", lambda found: f"{float(found[0]):.6g}", rule)


def _said(order: Order) -> str:
    return f"{order.side} {order.qty:f} {order.instrument_id}"
