"""Trading states (RSK-07 to RSK-09): what operators and ladders want combines to the most restrictive."""

from __future__ import annotations

from collections.abc import Iterator

from common.messages.base import Message
from common.messages.risk import HaltTrading, LadderChanged, ResumeTrading, TradingStateChanged
from common.model.enums import TradingState
from common.model.money import ZERO
from risk_guardian import ladder
from risk_guardian.ladder import Move
from risk_guardian.policy import Ladders
from risk_guardian.reduce import demand_share
from risk_guardian.state import Day, State


def halt(state: State, message: HaltTrading) -> TradingStateChanged:
    """Always answered, also when halted already: execution waits for the answer. The time is that of the last slice: a commander
    lives by the wall clock, and an order of tomorrow would never trade in a replay.
    """
    previous, state.halted, state.trading = state.trading, True, TradingState.HALTED
    if message.flatten:
        state.flatten = f"flatten: {message.reason}"
        demand_share(state, ZERO, state.flatten)
    return _changed(state, previous, message.reason, message.author)


def resume(state: State, ladders: Ladders, message: ResumeTrading) -> Iterator[Message]:
    """Ends halts of operators and ladders alike. All ladders begin new episodes: drawdown and daily loss are counted from the
    equity of now, and cuts that are not done are given up.
    """
    state.halted, state.flatten = False, ""
    state.demands.clear()
    for metric, stood in list(state.ladders.items()):
        yield move(state, ladder.move(getattr(ladders, metric), metric, stood.level, 0, stood.observed))
    if state.equity is not None:
        state.peak_equity = state.equity
        state.day = Day(number=state.day.number, opening=state.equity)
    yield from settle(state, TradingState.ACTIVE, message.reason, message.author)


def settle(state: State, wanted: TradingState, reason: str, author: str) -> Iterator[TradingStateChanged]:
    """The state that the ladders want, unless an operator's halt stands above it."""
    wanted = TradingState.HALTED if state.halted else wanted
    if wanted is not state.trading:
        previous, state.trading = state.trading, wanted
        yield _changed(state, previous, reason, author)


def move(state: State, step: Move) -> LadderChanged:
    """Books a ladder's move, and says it."""
    ladder.stand(state.ladders, step, state.ts)
    return LadderChanged(
        ts_event=state.ts,
        book=state.book,
        ladder=step.metric,
        level=step.level,
        previous=step.previous,
        observed=step.observed,
        threshold=step.threshold,
        actions=step.actions,
    )


def _changed(state: State, previous: TradingState, reason: str, author: str) -> TradingStateChanged:
    return TradingStateChanged(
        ts_event=state.ts, book=state.book, state=state.trading, previous=previous, reason=reason, author=author
    )
