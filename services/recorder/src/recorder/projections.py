"""What a message means to the history: pure functions from a message to rows, one per message type, in one table.

Rows are tuples in the order of `COLUMNS`. All tables but `orders` only grow. `orders` is one row per order that later
messages fill in: None says nothing new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from common import messages as m
from common.messages.base import Envelope, Message
from common.messages.orders import Order
from common.model.enums import OrderState
from recorder.audit import AUDITED

PROPOSED: Final = "PROPOSED"  # by the portfolio; the guardian has not answered yet

_SEQ: Final = ("seq", "ts_event")
_ITEM: Final = ("seq", "item", "ts_event")
_READING: Final = (
    *("instrument_id", "timeframe", "regime", "candidate", "since_ns", "confidence", "vol_state", "vol_ratio"),
    *("adx", "plus_di", "minus_di", "chop", "atr", "atr_percentile", "atr_ratio", "bb_width"),
)
_SIGNAL: Final = (
    *("strategy_id", "tier", "instrument_id", "timeframe", "direction", "strength", "confidence", "stop_fraction"),
    *("size_factor", "vol_state", "vol_ratio", "ref_px", "reason"),
)
_ORDER: Final = (
    *("client_order_id", "account", "strategy_id", "instrument_id", "side", "qty", "ref_px", "order_type", "limit_px"),
    *("stop_px", "time_in_force", "expire_ns", "reduce_only", "reason"),
)
_ORDER_LIFE: Final = (
    *("state", "rule", "resized_from", "deny_code", "deny_observed", "deny_limit", "denied_by", "venue_order_id"),
    *("cum_qty", "avg_px", "end_reason"),
)
_FILL: Final = (
    *("fill_id", "client_order_id", "venue_order_id", "account", "strategy_id", "instrument_id", "side", "last_qty"),
    *("last_px", "cum_qty", "leaves_qty", "avg_px", "commission", "commission_currency", "ref_px", "slippage_bps"),
)
_RUN: Final = ("book", "profile", "data", "start_ns", "end_ns", "lockstep", "config", "build")
_PORTFOLIO: Final = ("book", "step", "equity", "gross_exposure", "net_exposure", "total_risk")
_RISK: Final = (
    *("book", "step", "trading_state", "equity", "peak_equity", "drawdown", "gross_exposure", "exposure_factor"),
    *("stop_factor", "approved", "denied"),
)

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "runs": (*_SEQ, "ts_init", *_RUN),
    "market_regimes": (*_ITEM, "step", *_READING),
    "strategy_signals": (*_ITEM, "step", *_SIGNAL),
    "portfolio_steps": (*_SEQ, *_PORTFOLIO),
    "portfolio_risk_metrics": (*_SEQ, *_RISK),
    "orders": (*_ORDER, *_ORDER_LIFE, "first_seq", "last_seq", "ts_first", "ts_last"),
    "order_events": (*_ITEM, "type", "client_order_id", "instrument_id", "state", "note"),
    "fills": (*_SEQ, *_FILL),
    "alerts": (*_SEQ, "type", "severity", "title", "detail"),
    "audit_log": (*_SEQ, "ts_init", "source", "author", "action", "reason", "flatten"),
    "quarantined_rows": (*_ITEM, "instrument_id", "ts_row", "reason", "detail"),
}

Row = tuple[Any, ...]


class Write(NamedTuple):
    """One row for one table."""

    table: str
    row: Row


def project(seq: int, envelope: Envelope, message: Message) -> list[Write]:
    """Every row that `message`, at `seq` on the tape, adds to the history or changes in it."""
    return [write for rule in RULES.get(type(message), ()) for write in rule(seq, envelope, message)]


def _values(of: Any, names: Iterable[str]) -> Row:
    return tuple(getattr(of, name) for name in names)


def _whole(table: str, names: tuple[str, ...]) -> Rule:
    """The rule for a message whose fields are the row."""

    def rule(seq: int, envelope: Envelope, message: Any) -> list[Write]:
        return [Write(table, (seq, message.ts_event, *_values(message, names)))]

    return rule


def _run(seq: int, envelope: Envelope, message: m.RunStarted) -> list[Write]:
    return [Write("runs", (seq, message.ts_event, envelope.ts_init, *_values(message, _RUN)))]


def _regimes(seq: int, envelope: Envelope, message: m.RegimeStep) -> list[Write]:
    return [
        Write("market_regimes", (seq, item, message.ts_event, message.step, *_values(reading, _READING)))
        for item, reading in enumerate(message.readings)
    ]


def _signals(seq: int, envelope: Envelope, message: m.SignalsStep) -> list[Write]:
    return [
        Write("strategy_signals", (seq, item, message.ts_event, message.step, *_values(signal, _SIGNAL)))
        for item, signal in enumerate(message.signals)
    ]


def _quarantined(seq: int, envelope: Envelope, message: m.RowsQuarantined) -> list[Write]:
    names = ("instrument_id", "ts_row", "reason", "detail")
    return [
        Write("quarantined_rows", (seq, item, message.ts_event, *_values(row, names)))
        for item, row in enumerate(message.rows)
    ]


def _audit(seq: int, envelope: Envelope, message: m.HaltTrading | m.ResumeTrading) -> list[Write]:
    flatten = message.flatten if isinstance(message, m.HaltTrading) else False
    row = (seq, message.ts_event, envelope.ts_init, envelope.source, message.author)
    return [Write("audit_log", (*row, AUDITED[type(message)], message.reason, flatten))]


# --- alerts ----------------------------------------------------------------------------------------------------------
def _state_alert(seq: int, envelope: Envelope, message: m.TradingStateChanged) -> list[Write]:
    severity = "info" if message.state == "ACTIVE" else "critical" if message.state == "HALTED" else "warning"
    title = f"Trading is {message.state}"
    return [_alert(seq, message, severity, title, f"{message.reason} (by {message.author}; was {message.previous})")]


def _ladder_alert(seq: int, envelope: Envelope, message: m.LadderChanged) -> list[Write]:
    title = f"Ladder {message.ladder}: level {message.previous} to {message.level}"
    detail = f"{message.observed:.4g} against {message.threshold:.4g}; {', '.join(message.actions) or 'released'}"
    return [_alert(seq, message, "warning" if message.level > message.previous else "info", title, detail)]


def _guardian_alert(seq: int, envelope: Envelope, message: m.GuardianLost) -> list[Write]:
    detail = f"no sign of life for {message.silent_s:g} s: orders that add risk are canceled"
    return [_alert(seq, message, "critical", "The risk guardian is silent", detail)]


def _intent_alert(seq: int, envelope: Envelope, message: m.IntentFailed) -> list[Write]:
    return [
        _alert(seq, message, "warning", f"Order {message.client_order_id} not sent: {message.code}", message.detail)
    ]


def _alert(seq: int, message: Message, severity: str, title: str, detail: str) -> Write:
    return Write("alerts", (seq, message.ts_event, message.TYPE, severity, title, detail))


# --- orders ----------------------------------------------------------------------------------------------------------
def _proposed(seq: int, envelope: Envelope, message: m.PortfolioStep) -> list[Write]:
    return [
        write
        for item, order in enumerate(message.orders)
        for write in _order(seq, message, order, item=item, state=PROPOSED, note=order.reason)
    ]


def _approved(seq: int, envelope: Envelope, message: m.OrderApproved) -> list[Write]:
    rule = message.rule or None
    state, note = OrderState.APPROVED, rule or "every check passed"
    return _order(seq, message, message.order, state=state, note=note, rule=rule, resized_from=message.resized_from)


def _denied(seq: int, envelope: Envelope, message: m.OrderDenied) -> list[Write]:
    note = f"{message.code}: {message.observed} against {message.limit}, by {message.by}"
    verdict: dict[str, Any] = {
        "deny_code": message.code,
        "deny_observed": message.observed,
        "deny_limit": message.limit,
    }
    return _order(
        seq,
        message,
        message.order,
        state=OrderState.DENIED,
        note=note,
        **verdict,
        denied_by=message.by,
        end_reason=note,
    )


def _submitted(seq: int, envelope: Envelope, message: m.OrderSubmitted) -> list[Write]:
    return _order(seq, message, message.order, state=OrderState.SUBMITTED, note="intent recorded")


def _accepted(seq: int, envelope: Envelope, message: m.OrderAccepted) -> list[Write]:
    note = f"as {message.venue_order_id}"
    return _order(seq, message, message, state=OrderState.ACCEPTED, note=note, venue_order_id=message.venue_order_id)


def _rejected(seq: int, envelope: Envelope, message: m.OrderRejected) -> list[Write]:
    return _order(seq, message, message, state=OrderState.REJECTED, note=message.reason, end_reason=message.reason)


def _filled(seq: int, envelope: Envelope, message: m.OrderFilled) -> list[Write]:
    state = OrderState.PARTIALLY_FILLED if message.leaves_qty > 0 else OrderState.FILLED
    note = f"{message.last_qty} at {message.last_px}, {message.slippage_bps:.2f} bps slippage"
    life: dict[str, Any] = {
        "venue_order_id": message.venue_order_id,
        "cum_qty": message.cum_qty,
        "avg_px": message.avg_px,
    }
    fill = Write("fills", (seq, message.ts_event, *_values(message, _FILL)))
    return [fill, *_order(seq, message, message, state=state, note=note, **life)]


def _canceled(seq: int, envelope: Envelope, message: m.OrderCanceled) -> list[Write]:
    return _order(seq, message, message, state=OrderState.CANCELED, note=message.reason, end_reason=message.reason)


def _expired(seq: int, envelope: Envelope, message: m.OrderExpired) -> list[Write]:
    note = f"{message.leaves_qty} left at the end of its time in force"
    return _order(seq, message, message, state=OrderState.EXPIRED, note=note, end_reason=note)


def _intended(seq: int, envelope: Envelope, message: m.IntentRecorded) -> list[Write]:
    return [_order_event(seq, 0, message, message.client_order_id, None, None, "intent committed")]


def _unintended(seq: int, envelope: Envelope, message: m.IntentFailed) -> list[Write]:
    note = f"{message.code}: {message.detail}"
    return [_order_event(seq, 0, message, message.client_order_id, None, None, note)]


_SAID_BY_EVENTS: Final = frozenset({"client_order_id", "account", "strategy_id", "instrument_id"})


def _order(
    seq: int, message: Message, source: Any, *, item: int = 0, state: str, note: str, **life: Any
) -> list[Write]:
    """What `source`, a whole order or an event with only its ids, says about an order; and that it was said."""
    named = _ORDER if isinstance(source, Order) else _SAID_BY_EVENTS
    order = tuple(getattr(source, name) if name in named else None for name in _ORDER)
    lived = tuple({"state": state, **life}.get(name) for name in _ORDER_LIFE)
    event = _order_event(seq, item, message, source.client_order_id, source.instrument_id, state, note)
    return [Write("orders", (*order, *lived, seq, seq, message.ts_event, message.ts_event)), event]


def _order_event(
    seq: int, item: int, message: Message, order_id: str, instrument_id: str | None, state: str | None, note: str
) -> Write:
    row = (seq, item, message.ts_event, message.TYPE, order_id, instrument_id, state, note)
    return Write("order_events", row)


Rule = Callable[[int, Envelope, Any], list[Write]]

RULES: Final[dict[type[Message], tuple[Rule, ...]]] = {
    m.RunStarted: (_run,),
    m.RowsQuarantined: (_quarantined,),
    m.RegimeStep: (_regimes,),
    m.SignalsStep: (_signals,),
    m.PortfolioStep: (_whole("portfolio_steps", _PORTFOLIO), _proposed),
    m.RiskStep: (_whole("portfolio_risk_metrics", _RISK),),
    m.OrderApproved: (_approved,),
    m.OrderDenied: (_denied,),
    m.OrderSubmitted: (_submitted,),
    m.OrderAccepted: (_accepted,),
    m.OrderRejected: (_rejected,),
    m.OrderFilled: (_filled,),
    m.OrderCanceled: (_canceled,),
    m.OrderExpired: (_expired,),
    m.IntentRecorded: (_intended,),
    m.IntentFailed: (_unintended, _intent_alert),
    m.GuardianLost: (_guardian_alert,),
    m.TradingStateChanged: (_state_alert,),
    m.LadderChanged: (_ladder_alert,),
    m.HaltTrading: (_audit,),
    m.ResumeTrading: (_audit,),
}
