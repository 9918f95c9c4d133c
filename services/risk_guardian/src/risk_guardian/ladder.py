"""Drawdown ladders as declarative policy (RSK-04, RSK-08): each level fires once per episode, and lets go with hysteresis."""

from __future__ import annotations

from collections.abc import Sequence

from common.model.enums import TradingState
from common.model.time import NS_PER_DAY
from risk_guardian.settings import Level
from risk_guardian.state import Ladder


def next_level(levels: Sequence[Level], level: int, observed: float) -> int:
    """The level to stand on at `observed`, coming from `level` (0 is the ground).

    Up as far as triggers are exceeded; down one by one while under the release of the level stood on, but never off a
    level that only an operator ends.
    """
    up = max((number for number, rung in enumerate(levels, start=1) if observed > rung.trigger), default=0)
    if up > level:
        return up
    while level > 0 and not levels[level - 1].manual and observed < levels[level - 1].release:
        level -= 1
    return level


def exposure_factor(levels: Sequence[Level], level: int) -> float:
    """Share of normal exposure on `level`; the most restrictive of all levels up to it."""
    return min((rung.exposure_factor for rung in levels[:level]), default=1.0)


def stop_factor(levels: Sequence[Level], level: int) -> float:
    """Share of the normal stop distance on `level`."""
    return min((rung.stop_factor for rung in levels[:level]), default=1.0)


def trading_state(levels: Sequence[Level], ladder: Ladder, ts: int) -> TradingState:
    """The most restrictive state of all levels up to the one stood on, less what time has lifted."""
    order = list(TradingState)
    stood_ns = ts - ladder.since_ns
    standing = (
        rung.state
        for rung in levels[: ladder.level]
        if not rung.lift_after_days or stood_ns < rung.lift_after_days * NS_PER_DAY
    )
    return max(standing, key=order.index, default=TradingState.ACTIVE)


def actions(rung: Level) -> tuple[str, ...]:
    """What the level does, in words for people."""
    words = []
    if rung.exposure_factor < 1:
        words.append(f"cut positions to {rung.exposure_factor:.0%}")
    if rung.stop_factor < 1:
        words.append(f"tighten stops to {rung.stop_factor:.0%}")
    if rung.state is not TradingState.ACTIVE:
        words.append(f"trading state {rung.state}")
    if rung.manual:
        words.append("manual resume")
    return tuple(words)
