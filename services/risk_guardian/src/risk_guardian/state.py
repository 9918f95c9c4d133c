"""Everything the guardian remembers. Its positions come from fills, its prices from the market data: it believes nobody."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from common.model.enums import Severity, TradingState
from common.model.instrument import Instrument
from common.model.ledger import Ledger
from common.model.money import ZERO
from common.model.time import Timeframe
from risk_guardian.flow import Flow
from risk_guardian.history import Memory


class Working(msgspec.Struct, kw_only=True):
    """An approved order that can still trade. `own` is the guardian's."""

    instrument_id: str
    signed_leaves_qty: Decimal
    own: bool = False


class Ladder(msgspec.Struct, kw_only=True):
    """Level 0 is the ground. `since_ns` is when the present level began, `observed` what was seen last."""

    level: int = 0
    since_ns: int = 0
    observed: float = 0.0


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """A cut of the guardian's own that is not done: the position is to come down to `ceiling` units on either side."""

    ceiling: Decimal
    reason: str


class Day(msgspec.Struct, kw_only=True):
    """A UTC day: the equity it began with (the last one of the day before), and the largest loss since as a fraction of that."""

    number: int = -1
    opening: Decimal = ZERO
    worst_loss: float = 0.0


class Share(msgspec.Struct, kw_only=True):
    """What one strategy would hold of an instrument: signed units, and the cash it took (in the quote currency)."""

    qty: float = 0.0
    cash: float = 0.0


class Streaks(msgspec.Struct, kw_only=True):
    """Virtual trades: open `shares` by instrument, then strategy and timeframe; `losses` in a row by strategy; `paused` are
    strategies under review, with the time since when.
    """

    shares: dict[str, dict[str, Share]] = msgspec.field(default_factory=dict)
    losses: dict[str, int] = msgspec.field(default_factory=dict)
    paused: dict[str, int] = msgspec.field(default_factory=dict)


class Alert(msgspec.Struct, kw_only=True):
    """An alert that nobody has acknowledged."""

    topic: str
    severity: Severity
    summary: str
    runbook: str
    said_ns: int
    escalation: int = 0


class Alerts(msgspec.Struct, kw_only=True):
    """`standing` maps the topic of every condition that lasts to its alert's id; `unacknowledged` is by id, oldest first.
    Nothing escalates before `due_ns`; 0 is nothing to escalate.
    """

    standing: dict[str, str] = msgspec.field(default_factory=dict)
    unacknowledged: dict[str, Alert] = msgspec.field(default_factory=dict)
    due_ns: int = 0


class Schedule(msgspec.Struct, kw_only=True):
    """When the measures and the stress tests were last said, and of which positions; -1 is never."""

    measured_ns: int = -1
    measured_step: int = -1
    stressed_ns: int = -1
    positions: dict[str, Decimal] = msgspec.field(default_factory=dict)


class State(msgspec.Struct, kw_only=True):
    book: str = ""
    instruments: dict[str, Instrument] = msgspec.field(default_factory=dict)
    base_timeframe: dict[str, Timeframe] = msgspec.field(default_factory=dict)
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    last_px: dict[str, Decimal] = msgspec.field(default_factory=dict)
    last_px_ns: dict[str, int] = msgspec.field(default_factory=dict)
    working: dict[str, Working] = msgspec.field(default_factory=dict)
    flow: Flow = msgspec.field(default_factory=Flow)
    measures: Memory = msgspec.field(default_factory=Memory)
    halted: bool = False  # an operator's halt stands until an operator's resume
    flatten: str = ""  # why every position is to be closed; again at every step until nothing is left
    demands: dict[str, Demand] = msgspec.field(default_factory=dict)  # by instrument
    trading: TradingState = TradingState.ACTIVE
    ladders: dict[str, Ladder] = msgspec.field(default_factory=dict)  # those above the ground, by metric
    day: Day = msgspec.field(default_factory=Day)
    venue_down_ns: int | None = None  # data time since which the venue is not usable
    peak_equity: Decimal = ZERO
    equity: Decimal | None = None
    var_95_1d: float | None = None  # of the last execution step
    heat: float | None = None
    step: int = 0
    ts: int = 0
    own_orders: int = 0
    streaks: Streaks = msgspec.field(default_factory=Streaks)
    alerts: Alerts = msgspec.field(default_factory=Alerts)
    events: dict[str, list[int]] = msgspec.field(default_factory=dict)  # times by currency, rising; see `events.learn`
    schedule: Schedule = msgspec.field(default_factory=Schedule)
