"""The guardian's words, and the commands it obeys."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from common.messages.base import Message
from common.model.enums import TradingState


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
    """Ends a halt. Drawdown ladders start a new episode from the equity of now."""

    TYPE: ClassVar[str] = "cmd.risk_guardian.resume.v1"

    book: str
    author: str
    reason: str
