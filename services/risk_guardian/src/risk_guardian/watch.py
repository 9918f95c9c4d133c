"""The guardian's look at the book after every slice: what the ladders see, and when the measures are said."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from common.messages.base import Message
from common.model.time import NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND
from risk_guardian.measures import Measures, Reading
from risk_guardian.settings import Settings
from risk_guardian.state import Day, State

SCHEDULED: Final = "schedule"
STEPS_APART: Final = 5  # of measures of the same book: on daily bars every interval is over with every bar


def track(state: State, before: Decimal | None) -> None:
    """The peak of the equity and the day's largest loss; `before` is the equity of the step before. Without a known equity all
    wait. A day's loss is counted from the last equity of the day before, else a day of a single bar could never lose.
    """
    equity = state.equity
    if equity is None:
        return
    state.peak_equity = max(state.peak_equity, equity)
    number = (state.ts - 1) // NS_PER_DAY  # what closes at midnight belongs to the day that ends
    if number != state.day.number:
        state.day = Day(number=number, opening=equity if before is None else before)
    opening = state.day.opening
    if opening > 0:
        state.day.worst_loss = max(state.day.worst_loss, float((opening - equity) / opening))


def drawdown(state: State) -> float:
    """Fraction of the peak, >= 0; 0 while the equity is unknown."""
    if state.equity is None or state.peak_equity <= 0:
        return 0.0
    return max(0.0, float((state.peak_equity - state.equity) / state.peak_equity))


def observed(state: State, reading: Reading) -> dict[str, float | None]:
    """By metric of the ladders. None is unknown, and moves nothing."""
    known = state.equity is not None
    return {
        "drawdown": drawdown(state) if known else None,
        "volatility": reading.volatility,
        "var": reading.var_95_1d,
        "correlation": reading.correlation,
        "daily_loss": state.day.worst_loss if known else None,
        "connection": 0.0 if state.venue_down_ns is None else (state.ts - state.venue_down_ns) / NS_PER_SECOND,
        "stress": reading.stress,
    }


class Reporter:
    """Says the measures when the book has changed, and again after a while; stress tests while something is held. Nothing
    that trades depends on it; not `on`, it says nothing.
    """

    def __init__(self, settings: Settings, measures: Measures) -> None:
        self.on = True
        self._measures = measures
        self._measure_ns = settings.measure_every_minutes * NS_PER_MINUTE
        self._stress_ns = settings.stress_every_minutes * NS_PER_MINUTE

    def due(self, state: State) -> Iterator[Message]:
        if not self.on:
            return
        schedule = state.schedule
        positions = {name: held.signed_qty for name, held in state.ledger.positions.items() if held.signed_qty}
        again = (
            state.step >= schedule.measured_step + STEPS_APART and state.ts >= schedule.measured_ns + self._measure_ns
        )
        if positions != schedule.positions or (positions and again):
            schedule.positions, schedule.measured_ns, schedule.measured_step = positions, state.ts, state.step
            yield self._measures.measured(state)
        if positions and self._stress_ns and state.ts >= schedule.stressed_ns + self._stress_ns:
            schedule.stressed_ns = state.ts
            yield self._measures.stressed(state, SCHEDULED)
