"""When a candidate becomes the stable regime (REG-04), and how long regimes have lasted."""

from __future__ import annotations

import msgspec

from common.model.enums import Regime


class Persistence(msgspec.Struct):
    """How often a regime was stable, and for how long in all, counting finished episodes."""

    episodes: int = 0
    held_ns: int = 0


class Holding(msgspec.Struct):
    """The stable regime of one series since `since_ns`, and the other one that has been the candidate since
    `pending_ns` (the stable one itself where there is none).
    """

    since_ns: int
    pending_ns: int
    stable: Regime = Regime.UNCERTAIN
    pending: Regime = Regime.UNCERTAIN
    past: dict[Regime, Persistence] = msgspec.field(default_factory=dict)


def observe(holding: Holding, candidate: Regime, ts_event: int, hold_ns: int) -> None:
    """One verdict. A new candidate is stable once it has been the verdict of every bar for `hold_ns`, CRISIS at once.

    Time is the bars': on a timeframe longer than `hold_ns` the next bar confirms.
    """
    if candidate is not holding.pending:
        holding.pending, holding.pending_ns = candidate, ts_event
    if candidate is holding.stable:
        return
    if candidate is Regime.CRISIS or ts_event - holding.pending_ns >= hold_ns:
        ended = holding.past.setdefault(holding.stable, Persistence())
        ended.episodes += 1
        ended.held_ns += ts_event - holding.since_ns
        holding.stable, holding.since_ns = candidate, ts_event


def persistence(holding: Holding, ts_event: int) -> dict[Regime, Persistence]:
    """Episodes and time held up to `ts_event`, the episode that goes on included. The times sum to the age of the series."""
    total = {regime: Persistence(episodes=p.episodes, held_ns=p.held_ns) for regime, p in holding.past.items()}
    current = total.setdefault(holding.stable, Persistence())
    current.episodes += 1
    current.held_ns += ts_event - holding.since_ns
    return total
