"""The order state machine (EXE-01) as one table, after FIX. What is not in it cannot happen."""

from __future__ import annotations

from typing import Final

from common.model.enums import OrderState as S

TRANSITIONS: Final[dict[S, frozenset[S]]] = {
    S.APPROVED: frozenset({S.SUBMITTED, S.DENIED}),
    S.SUBMITTED: frozenset({S.ACCEPTED, S.REJECTED}),
    S.ACCEPTED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED}),
    S.PARTIALLY_FILLED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED}),
    S.FILLED: frozenset(),
    S.CANCELED: frozenset(),
    S.EXPIRED: frozenset(),
    S.REJECTED: frozenset(),
    S.DENIED: frozenset(),
}

WORKING: Final = frozenset({S.ACCEPTED, S.PARTIALLY_FILLED})


def advance(current: S, following: S) -> S:
    """The next state. Raises ValueError for a transition that does not exist: a bug, not an event."""
    if following not in TRANSITIONS[current]:
        raise ValueError(f"an order cannot go from {current} to {following}")
    return following
