"""What a message means to the history: pure functions from a message to rows, one per message type, in one table.

Rows are tuples in the order of `COLUMNS`. All tables but `orders` only grow. `orders` is one row per order that later
messages fill in: None says nothing new.
"""

from __future__ import annotations

from typing import Final

from common import messages as m
from common.contracts import ALL
from common.messages.base import Envelope, Message
from recorder import market_rows, order_rows, risk_rows
from recorder.audit import AUDITED, Command, reason
from recorder.rows import Rule, Write, values, whole

_SEQ: Final = ("seq", "ts_event")
_ITEM: Final = ("seq", "item", "ts_event")
_SIGNAL: Final = (
    *("strategy_id", "tier", "instrument_id", "timeframe", "direction", "strength", "confidence", "stop_fraction"),
    *("size_factor", "vol_state", "vol_ratio", "ref_px", "reason"),
)
_RUN: Final = ("book", "profile", "data", "start_ns", "end_ns", "lockstep", "config", "build")
_PORTFOLIO: Final = ("book", "step", "equity", "gross_exposure", "net_exposure", "total_risk")

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "runs": (*_SEQ, "ts_init", *_RUN),
    "market_bars": (*_ITEM, *market_rows.BAR),
    "market_regimes": (*_ITEM, "step", *market_rows.READING),
    "regime_models": (*_ITEM, "step", *market_rows.MODEL),
    "market_stress": (*_SEQ, "step", *market_rows.STRESS),
    "regime_overrides": (*_SEQ, *market_rows.OVERRIDE),
    "feed_changes": (*_SEQ, *market_rows.FEED),
    "economic_events": (*_ITEM, "ts_scheduled", "ts_until", *market_rows.EVENT),
    "strategy_signals": (*_ITEM, "step", *_SIGNAL),
    "portfolio_steps": (*_SEQ, *_PORTFOLIO),
    "portfolio_risk_metrics": (*_SEQ, *risk_rows.RISK),
    "orders": (*order_rows.ORDER, *order_rows.ORDER_LIFE, "first_seq", "last_seq", "ts_first", "ts_last"),
    "order_events": (*_ITEM, "type", "client_order_id", "instrument_id", "state", "note"),
    "fills": (*_SEQ, *order_rows.FILL),
    "execution_plans": (*_SEQ, *order_rows.PLAN),
    "execution_costs": (*_SEQ, *order_rows.COST),
    "reconciliation_breaks": (*_SEQ, *risk_rows.BREAK),
    "risk_measures": (*_SEQ, *risk_rows.MEASURED, *risk_rows.TABLES_OF_NUMBERS),
    "stress_results": (*_ITEM, "step", "asked_by", *risk_rows.SCENARIO, "by_instrument"),
    "parameter_history": (*_ITEM, "ts_init", *risk_rows.PARAMETERS, "key", "before", "after"),
    "alerts": (*_SEQ, "type", "severity", "title", "detail"),
    "audit_log": (*_SEQ, "ts_init", "source", "author", "action", "reason", "flatten"),
    "quarantined_rows": (*_ITEM, *market_rows.QUARANTINED),
}


def project(seq: int, envelope: Envelope, message: Message) -> list[Write]:
    """Every row that `message`, at `seq` on the tape, adds to the history or changes in it."""
    return [write for rule in RULES.get(type(message), ()) for write in rule(seq, envelope, message)]


def _run(seq: int, envelope: Envelope, message: m.RunStarted) -> list[Write]:
    return [Write("runs", (seq, message.ts_event, envelope.ts_init, *values(message, _RUN)))]


def _signals(seq: int, envelope: Envelope, message: m.SignalsStep) -> list[Write]:
    return [
        Write("strategy_signals", (seq, item, message.ts_event, message.step, *values(signal, _SIGNAL)))
        for item, signal in enumerate(message.signals)
    ]


def _audit(seq: int, envelope: Envelope, message: Command) -> list[Write]:
    flatten = message.flatten if isinstance(message, m.HaltTrading) else False
    row = (seq, message.ts_event, envelope.ts_init, envelope.source, message.author)
    return [Write("audit_log", (*row, AUDITED[type(message)], reason(message), flatten))]


_BOOK: Final[dict[type[Message], tuple[Rule, ...]]] = {
    m.RunStarted: (_run,),
    m.SignalsStep: (_signals,),
    m.PortfolioStep: (whole("portfolio_steps", _PORTFOLIO),),
}
_COMMANDS: Final[dict[type[Message], tuple[Rule, ...]]] = dict.fromkeys(AUDITED, (_audit,))
_TABLES: Final = (_BOOK, market_rows.RULES, order_rows.RULES, risk_rows.RULES, _COMMANDS)

# What a message means in any of the tables, in their order.
RULES: Final[dict[type[Message], tuple[Rule, ...]]] = {
    message: found for message in ALL if (found := tuple(rule for rules in _TABLES for rule in rules.get(message, ())))
}
