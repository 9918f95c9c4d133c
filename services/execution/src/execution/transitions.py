"""The order state machine (EXE-01) as one table, after FIX. What is not in it cannot happen.

Whatever a venue reports, and in whatever order, the manager only takes steps of this table: what a report leaves out (a
fill before its acceptance) is said as well, what contradicts a final state is no transition (a late fill is booked).
"""

from __future__ import annotations

from typing import Final

from common.model.enums import OrderState as S

_ENDS: Final = frozenset({S.CANCELED, S.EXPIRED})
_TRADES: Final = frozenset({S.PARTIALLY_FILLED, S.FILLED})

TRANSITIONS: Final[dict[S, frozenset[S]]] = {
    S.APPROVED: frozenset({S.HELD, S.SUBMITTED, S.CANCELED, S.DENIED}),
    S.HELD: frozenset({S.SUBMITTED, S.DENIED, *_TRADES, *_ENDS}),  # trades: by the children that work it
    S.SUBMITTED: frozenset({S.UNKNOWN, S.ACCEPTED, S.REJECTED, S.DENIED, *_ENDS}),
    S.UNKNOWN: frozenset({S.SUBMITTED, S.ACCEPTED, S.REJECTED, S.DENIED, *_ENDS}),
    S.ACCEPTED: frozenset({S.REJECTED, *_TRADES, *_ENDS}),
    S.PARTIALLY_FILLED: frozenset({*_TRADES, *_ENDS}),
    S.FILLED: frozenset(),
    S.CANCELED: frozenset(),
    S.EXPIRED: frozenset(),
    S.REJECTED: frozenset(),
    S.DENIED: frozenset(),
}

WORKING: Final = frozenset({S.ACCEPTED, S.PARTIALLY_FILLED})
UNCONFIRMED: Final = frozenset({S.SUBMITTED, S.UNKNOWN})  # asked for, and the venue has not said that it has it
UNSENT: Final = frozenset({S.APPROVED, S.HELD})
FINAL: Final = frozenset(state for state, onward in TRANSITIONS.items() if not onward)


def advance(current: S, following: S) -> S:
    """The next state. Raises ValueError for a transition that does not exist: a bug, not an event."""
    if following not in TRANSITIONS[current]:
        raise ValueError(f"an order cannot go from {current} to {following}")
    return following
