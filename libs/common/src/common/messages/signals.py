"""Opinions about direction."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from common.messages.base import Message
from common.model.enums import Direction, Tier, VolState
from common.model.time import Timeframe


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy's opinion from now on, until its next one for the same instrument and timeframe.

    `strength` and `confidence` are in [0, 1]; `stop_fraction` is the stop's distance from the entry price as a
    fraction; `size_factor` the regime's size cut (1 none); `vol_ratio` current over normal volatility, None unknown.
    """

    strategy_id: str
    tier: Tier
    instrument_id: str
    timeframe: Timeframe
    direction: Direction
    strength: float
    confidence: float
    stop_fraction: float
    size_factor: float
    vol_state: VolState
    vol_ratio: float | None
    ref_px: float  # close of the deciding bar
    reason: str


class SignalsStep(Message, frozen=True, kw_only=True):
    """Answer to one slice and its regime.step: only opinions that changed."""

    TYPE: ClassVar[str] = "signals.step.v1"

    book: str
    step: int
    signals: tuple[Signal, ...] = ()
