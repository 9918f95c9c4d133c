"""The guardian's words, and the commands it obeys."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

import msgspec

from common.messages.base import Message
from common.model.enums import Severity, TradingState


class RiskStep(Message, frozen=True, kw_only=True):
    """Closes the step. `drawdown` is a positive fraction of the peak. `exposure_factor` scales targets and limits,
    `stop_factor` the distance of stops; 1 means untouched. `equity` is None while a held instrument has no price.
    """

    TYPE: ClassVar[str] = "risk.step.v1"

    book: str
    step: int
    trading_state: TradingState
    equity: Decimal | None
    peak_equity: Decimal
    drawdown: float
    gross_exposure: Decimal
    exposure_factor: float = 1.0
    stop_factor: float = 1.0
    approved: int = 0
    denied: int = 0
    min_confidence: float = 0.0  # weaker signals open nothing
    var_95_1d: float | None = None  # fraction of equity, positive
    heat: float | None = None  # lost at all stops, fraction of equity


class TradingStateChanged(Message, frozen=True, kw_only=True):
    """Takes effect at once, everywhere."""

    TYPE: ClassVar[str] = "risk.trading_state.v1"

    book: str
    state: TradingState
    previous: TradingState
    reason: str
    author: str


class LadderChanged(Message, frozen=True, kw_only=True):
    """A risk ladder went up or down a level (RSK-08). `level` 0 is released."""

    TYPE: ClassVar[str] = "risk.ladder.v1"

    book: str
    ladder: str
    level: int
    previous: int
    observed: float
    threshold: float
    actions: tuple[str, ...]


class HaltTrading(Message, frozen=True, kw_only=True):
    """Emergency stop: no new order, working orders canceled; `flatten` also closes every position."""

    TYPE: ClassVar[str] = "cmd.risk_guardian.halt.v1"

    book: str
    author: str
    reason: str
    flatten: bool = False


class ResumeTrading(Message, frozen=True, kw_only=True):
    """Ends a halt. All ladders start new episodes; the drawdown is counted from the equity of now."""

    TYPE: ClassVar[str] = "cmd.risk_guardian.resume.v1"

    book: str
    author: str
    reason: str


class HaltScope(Message, frozen=True, kw_only=True):
    """One strategy, or one instrument, or one strategy in one instrument (an empty id is any) takes no new risk; getting out
    stays possible. `halted` False lifts that, whoever or whatever had halted it.
    """

    TYPE: ClassVar[str] = "cmd.risk_guardian.halt_scope.v1"

    book: str
    author: str
    reason: str
    strategy_id: str
    instrument_id: str
    halted: bool


class ScopeHalted(Message, frozen=True, kw_only=True):
    """A strategy or an instrument takes no new risk (`halted`), or may again: by an operator, ten losses in a row, or a
    throttle that only a person resets.
    """

    TYPE: ClassVar[str] = "risk.scope.v1"

    book: str
    strategy_id: str
    instrument_id: str
    halted: bool
    reason: str
    author: str


class RiskMeasured(Message, frozen=True, kw_only=True):
    """The measures of the book as it is (RSK-03, RSK-11). VaR and ES are for one day, positive fractions of equity, by method
    and level ("historical_95"); None while there is too little history. Components add up to `var_95_1d` of the parametric
    method. Exposures are signed fractions of equity.
    """

    TYPE: ClassVar[str] = "risk.measured.v1"

    book: str
    step: int
    var: dict[str, float | None]
    es: dict[str, float | None]
    component_var: dict[str, float]
    marginal_var: dict[str, float]
    by_currency: dict[str, float]
    by_sector: dict[str, float]
    by_strategy: dict[str, float]
    heat: float | None
    concentration: float | None  # Herfindahl index of absolute exposures, 1 is a single position
    liquidity_days: float | None  # until the least liquid position is out at the participation limit
    var_breaches: int  # days on which more was lost than var_95_1d of the day before
    var_days: int
    kupiec_p: float | None
    christoffersen_p: float | None


class ScenarioResult(msgspec.Struct, frozen=True, kw_only=True):
    """`loss` is a fraction of equity, positive; `by_instrument` adds up to it."""

    scenario: str
    loss: float
    by_instrument: dict[str, float]
    limit: float | None
    breached: bool


class StressTested(Message, frozen=True, kw_only=True):
    """What the book would lose in every scenario (RSK-10); `asked_by` is "schedule" or an author."""

    TYPE: ClassVar[str] = "risk.stress.v1"

    book: str
    step: int
    results: tuple[ScenarioResult, ...]
    asked_by: str


class RunStress(Message, frozen=True, kw_only=True):
    """Evaluate every scenario on the book of now."""

    TYPE: ClassVar[str] = "cmd.risk_guardian.stress.v1"

    book: str
    author: str


class AlertRaised(Message, frozen=True, kw_only=True):
    """Something a person should know (RSK-12). `escalation` counts how often a critical one was said again because nobody
    acknowledged it. `runbook` is a file in docs/runbooks.
    """

    TYPE: ClassVar[str] = "risk.alert.v1"

    book: str
    alert_id: str
    severity: Severity
    summary: str
    runbook: str
    escalation: int = 0


class AcknowledgeAlert(Message, frozen=True, kw_only=True):
    """Somebody takes care of it."""

    TYPE: ClassVar[str] = "cmd.risk_guardian.acknowledge.v1"

    book: str
    author: str
    alert_id: str


class AlertAcknowledged(Message, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "risk.alert_acknowledged.v1"

    book: str
    alert_id: str
    author: str
