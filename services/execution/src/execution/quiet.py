"""When execution has to be asked again, and how it catches up with slices in which it had nothing to do: for a backtest that skips
such slices.
"""

from __future__ import annotations

from typing import Final

from execution.financing import Financing, is_ripe
from execution.settings import Settings
from execution.state import State
from execution.venue_settings import PAPER

NEVER_NS: Final = 2**62


def quiet(state: State, settings: Settings) -> int | None:
    """The first instant at which slices change something before somebody else says something: on paper, without orders, and
    without a view of the market to keep. None: the next slice may.
    """
    if settings.venue != PAPER or settings.algorithms.enabled:
        return None
    if state.orders or state.waiting or state.paper.orders or is_ripe(state.accrual, state.ts):
        return None
    held = any(position.signed_qty for position in state.ledger.positions.values())
    until_ns = state.accrual.next_ns if settings.financing.enabled and held else NEVER_NS
    return min([until_ns, *(due.ripe_ns for due in state.accrual.due.values())])


def catch_up(state: State, financing: Financing | None, step: int, ts: int) -> None:
    """With slices up to number `step` at `ts` in which nothing was under way."""
    if financing is not None:
        financing.accrue(state.accrual, ts, state.ledger, state.instruments)
    state.step, state.ts = step, ts
