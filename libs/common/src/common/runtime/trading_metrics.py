"""What the messages a service says mean for its metrics: one table for what is counted, one for how things are now.

All of it is about messages that this process itself put on the tape: a standby, and a service that reads again what it had
said before, count nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from common import messages as m
from common.contracts import own_pattern, publishes
from common.errors import DecodeError, TapeError
from common.isolation import is_off
from common.messages.base import Envelope, Message
from common.model.enums import TradingState
from common.model.money import ZERO
from common.model.parties import GUARDIAN, MANUAL
from common.runtime import metrics
from common.runtime.codec import decode, decode_envelope
from common.runtime.tape import Record, Tape

NS: Final = 1e-9
STEPS_KEPT: Final = 64
ORDERS_KEPT: Final = 5_000
_ES: Final = "historical_95"
_UNHURRIED: Final = (MANUAL, GUARDIAN)  # orders of a person and of a halt answer no slice


class TradingMetrics:
    """Of one session. `wall_ns` is always the `ts_init` of an envelope."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._slices: dict[int, int] = {}  # when the slice of a step was said
        self._approved: dict[str, int] = {}  # when the slice of an approved order was said
        self._submitted: dict[str, int] = {}
        self._regimes: dict[tuple[str, str], str] = {}
        self._priced: dict[str, int] = {}  # when the last slice with a price of an instrument was said
        self._news: dict[type[Message], tuple[Message, int]] = {}  # said since the last `flush`
        self._said = {kind: rule for kind, rule in SAID.items() if kind in publishes(service)}
        self._heard = HEARD.get(service, {})
        self._states = {kind: rule for kind, rule in STATES.items() if kind in publishes(service)}

    def heard(self, cause: Envelope, message: Message) -> None:
        """Of what it reads: when it was said."""
        if rule := self._heard.get(type(message)):
            rule(self, message, cause.ts_init)

    def said(self, sealed: Envelope, message: Message) -> None:
        """Of what it has just put on the tape."""
        kind = type(message)
        if rule := self._said.get(kind):
            rule(self, message, sealed.ts_init)
        if kind in self._states:
            self._news[kind] = (message, sealed.ts_init)

    def flush(self) -> None:
        """Sets the gauges of what was said last: nobody looks at them at every step, and setting them all takes its time."""
        news, self._news = self._news, {}
        for kind, (message, wall_ns) in news.items():
            if rule := self._states.get(kind):
                rule(message, wall_ns * NS)
        priced, self._priced = self._priced, {}
        for instrument_id, wall_ns in priced.items():
            metrics.LAST_PRICE.labels(instrument_id).set(wall_ns * NS)

    async def restore(self, tape: Tape) -> None:
        """How things were when this service last said so. What cannot be found out stays unknown: no reason not to trade."""
        with suppress(TapeError):
            asked = [tape.last([own_pattern(kind, self._service)]) for kind in self._states]
            for last in await asyncio.gather(*asked):
                if last is not None:
                    self._recall(last)
        self.flush()

    def _recall(self, last: Record) -> None:
        with suppress(DecodeError):  # whoever reads the tape sets it aside
            sealed = decode_envelope(last.payload)
            message = decode(sealed)
            self._news.setdefault(type(message), (message, sealed.ts_init))

    # --- times ---------------------------------------------------------------------------------------

    def slice_said(self, message: m.MarketSlice, wall_ns: int) -> None:
        metrics.SLICES.inc()
        metrics.LAST_SLICE.set(wall_ns * NS)
        for bar in message.bars:
            self._priced[bar.instrument_id] = wall_ns
        for quote in message.quotes:
            self._priced[quote.instrument_id] = wall_ns

    def slice_heard(self, message: m.MarketSlice, wall_ns: int) -> None:
        _remember(self._slices, message.step, wall_ns, STEPS_KEPT)

    def approval_heard(self, message: m.OrderApproved, wall_ns: int) -> None:
        at = self._slices.get(message.step)
        if at is not None and message.order.strategy_id not in _UNHURRIED:
            _remember(self._approved, message.order.client_order_id, at, ORDERS_KEPT)

    def step_closed(self, message: m.RiskStep, wall_ns: int) -> None:
        metrics.LAST_STEP.set(wall_ns * NS)
        if at := self._slices.pop(message.step, 0):
            metrics.STEP_SECONDS.observe(max(wall_ns - at, 0) * NS)

    def submitted(self, message: m.OrderSubmitted, wall_ns: int) -> None:
        order_id = message.order.client_order_id
        metrics.ORDERS_SUBMITTED.inc()
        _remember(self._submitted, order_id, wall_ns, ORDERS_KEPT)
        if at := self._approved.pop(order_id, 0):
            metrics.TICK_TO_ORDER.observe(max(wall_ns - at, 0) * NS)

    def answered(self, message: m.OrderAccepted | m.OrderRejected, wall_ns: int) -> None:
        if at := self._submitted.pop(message.client_order_id, 0):
            metrics.ORDER_ROUNDTRIP.observe(max(wall_ns - at, 0) * NS)
        if isinstance(message, m.OrderRejected):
            metrics.ORDERS_ENDED.labels("rejected").inc()

    # --- regimes: only the present one is there --------------------------------------------------------

    def regimes(self, message: m.RegimeStep, wall_ns: int) -> None:
        for reading in message.readings:
            key, now = (reading.instrument_id, str(reading.timeframe)), str(reading.regime)
            before = self._regimes.get(key)
            if before == now:
                continue
            self._regimes[key] = now
            if before is not None:
                metrics.REGIME_NOW.remove(*key, before)
                metrics.REGIME_CHANGES.labels(*key).inc()
            metrics.REGIME_NOW.labels(*key, now).set(1)


def observe_features(state: Any) -> None:
    """Of a core that isolates its features: what has failed, and whether it is off."""
    features = getattr(state, "features", {})
    for name in features:
        metrics.FEATURE_ENABLED.labels(name).set(not is_off(features, name))


# --- what is counted -----------------------------------------------------------------------------------


def _quarantined(_: TradingMetrics, message: m.RowsQuarantined, wall_ns: int) -> None:
    for row in message.rows:
        metrics.ROWS_QUARANTINED.labels(row.reason).inc()


def _signals(_: TradingMetrics, message: m.SignalsStep, wall_ns: int) -> None:
    for signal in message.signals:
        metrics.SIGNALS_SAID.labels(signal.strategy_id).inc()


def _proposed(_: TradingMetrics, message: m.PortfolioStep, wall_ns: int) -> None:
    for order in message.orders:
        metrics.ORDERS_PROPOSED.labels(order.strategy_id).inc()


def _approved(_: TradingMetrics, message: m.OrderApproved, wall_ns: int) -> None:
    metrics.ORDERS_APPROVED.labels(message.order.strategy_id).inc()


def _denied(_: TradingMetrics, message: m.OrderDenied, wall_ns: int) -> None:
    metrics.ORDERS_DENIED.labels(message.code).inc()


def _alert(_: TradingMetrics, message: m.AlertRaised, wall_ns: int) -> None:
    metrics.ALERTS_RAISED.labels(message.runbook.removesuffix(".md"), message.severity).inc()


def _filled(_: TradingMetrics, message: m.OrderFilled, wall_ns: int) -> None:
    metrics.FILLS.labels(message.strategy_id).inc()
    metrics.SLIPPAGE.observe(message.slippage_bps)
    metrics.SLIPPAGE_SUM.labels("worse" if message.slippage_bps > 0 else "better").inc(abs(message.slippage_bps))
    metrics.COSTS.labels("commission", message.commission_currency).inc(float(message.commission))
    if message.leaves_qty <= ZERO:
        metrics.ORDERS_ENDED.labels("filled").inc()


def _canceled(_: TradingMetrics, message: m.OrderCanceled, wall_ns: int) -> None:
    metrics.ORDERS_ENDED.labels("canceled").inc()


def _expired(_: TradingMetrics, message: m.OrderExpired, wall_ns: int) -> None:
    metrics.ORDERS_ENDED.labels("expired").inc()


def _financing(_: TradingMetrics, message: m.FinancingCharged, wall_ns: int) -> None:
    kind = "financing_received" if message.amount > ZERO else "financing"
    metrics.COSTS.labels(kind, message.currency).inc(abs(float(message.amount)))


def _break(_: TradingMetrics, message: m.ReconciliationBreak, wall_ns: int) -> None:
    if message.open:
        metrics.BREAKS.labels(message.kind).inc()


# --- how things are now: `wall_s` is when it was said --------------------------------------------------


def _last_slice(message: m.MarketSlice, wall_s: float) -> None:
    metrics.LAST_SLICE.set(wall_s)
    for bar in message.bars:
        metrics.LAST_PRICE.labels(bar.instrument_id).set(wall_s)
    for quote in message.quotes:
        metrics.LAST_PRICE.labels(quote.instrument_id).set(wall_s)


def _risk(message: m.RiskStep, wall_s: float) -> None:
    metrics.LAST_STEP.set(wall_s)
    for gauge, value in (
        (metrics.EQUITY, message.equity),
        (metrics.DRAWDOWN, message.drawdown),
        (metrics.GROSS_EXPOSURE, message.gross_exposure),
        (metrics.GROSS_EXPOSURE_RATIO, message.gross_exposure / message.equity if message.equity else None),
        (metrics.VAR, message.var_95_1d),
        (metrics.HEAT, message.heat),
    ):
        gauge.labels(message.book).set(math.nan if value is None else float(value))
    _trading_state(message.trading_state)


def _trading_state(now: TradingState) -> None:
    for state in TradingState:
        metrics.TRADING_STATE.labels(state).set(state is now)


def _state_changed(message: m.TradingStateChanged, wall_s: float) -> None:
    _trading_state(message.state)


def _measured(message: m.RiskMeasured, wall_s: float) -> None:
    loss = message.es.get(_ES)
    metrics.EXPECTED_SHORTFALL.labels(message.book).set(math.nan if loss is None else loss)


def _stressed(message: m.StressTested, wall_s: float) -> None:
    for result in message.results:
        metrics.STRESS_LOSS.labels(result.scenario).set(result.loss)


def _reconciled(message: m.Reconciled, wall_s: float) -> None:
    metrics.LAST_RECONCILIATION.set(wall_s)


def _venue(message: m.VenueHealth, wall_s: float) -> None:
    metrics.VENUE_HEALTHY.labels(message.venue).set(message.usable)


def _remember(times: dict[Any, int], key: Any, wall_ns: int, most: int) -> None:
    times[key] = wall_ns
    if len(times) > most:
        del times[next(iter(times))]


Said = Callable[[TradingMetrics, Any, int], None]
StateRule = Callable[[Any, float], None]

HEARD: Final[Mapping[str, Mapping[type[Message], Said]]] = {
    "risk_guardian": {m.MarketSlice: TradingMetrics.slice_heard},
    "execution": {m.MarketSlice: TradingMetrics.slice_heard, m.OrderApproved: TradingMetrics.approval_heard},
}
SAID: Final[Mapping[type[Message], Said]] = {
    m.MarketSlice: TradingMetrics.slice_said,
    m.RowsQuarantined: _quarantined,
    m.RegimeStep: TradingMetrics.regimes,
    m.SignalsStep: _signals,
    m.PortfolioStep: _proposed,
    m.OrderApproved: _approved,
    m.OrderDenied: _denied,
    m.AlertRaised: _alert,
    m.RiskStep: TradingMetrics.step_closed,
    m.OrderSubmitted: TradingMetrics.submitted,
    m.OrderAccepted: TradingMetrics.answered,
    m.OrderRejected: TradingMetrics.answered,
    m.OrderFilled: _filled,
    m.OrderCanceled: _canceled,
    m.OrderExpired: _expired,
    m.FinancingCharged: _financing,
    m.ReconciliationBreak: _break,
}
STATES: Final[Mapping[type[Message], StateRule]] = {
    m.MarketSlice: _last_slice,
    m.TradingStateChanged: _state_changed,
    m.RiskStep: _risk,
    m.RiskMeasured: _measured,
    m.StressTested: _stressed,
    m.Reconciled: _reconciled,
    m.VenueHealth: _venue,
}
