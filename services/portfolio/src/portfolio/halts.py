"""Which strategies and instruments the guardian has halted, as the portfolio understands it."""

from __future__ import annotations

from common.messages.risk import ScopeHalted
from common.messages.signals import Signal
from common.model.parties import BOOK
from portfolio.state import State


def on_scope(state: State, message: ScopeHalted) -> None:
    """To the guardian the whole book is one strategy: what it halts of that is an instrument, or all of them."""
    strategy_id = "" if message.strategy_id == BOOK else message.strategy_id
    scope = f"{strategy_id}|{message.instrument_id}"
    if message.halted:
        state.halted[scope] = message.reason
    else:
        state.halted.pop(scope, None)


def of_strategy(state: State, signal: Signal) -> str | None:
    """Why the strategy is halted, everywhere or in this instrument; None when it is not."""
    if not state.halted:
        return None
    everywhere = state.halted.get(f"{signal.strategy_id}|")
    return state.halted.get(f"{signal.strategy_id}|{signal.instrument_id}") if everywhere is None else everywhere


def takes_no_risk(state: State, instrument_id: str) -> bool:
    """Whether nobody may open or grow a position there."""
    return bool(state.halted) and ("|" in state.halted or f"|{instrument_id}" in state.halted)
