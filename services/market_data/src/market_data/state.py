"""Everything market data remembers between steps."""

from __future__ import annotations

from typing import Final

import msgspec

NEVER: Final = 2**63 - 1


class Partial(msgspec.Struct):
    """A bar under construction. `close_ns` is when its period ends; 0 while there is none."""

    close_ns: int = 0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0
    spread_open: float | None = None
    spread_close: float | None = None


class Seen(msgspec.Struct):
    """What the accepted rows of one instrument were like.

    `ts` is the last row's, `bar_ts` the last base bar's. `close` is the last price believed (0 before the first),
    `suspect` that of a row just refused as an outlier (0 none), `mean_move` the mean absolute relative move of the last
    `moves` rows. `partials` are the coarser bars under construction, finest first.
    """

    ts: int = 0
    bar_ts: int = 0
    close: float = 0.0
    suspect: float = 0.0
    mean_move: float = 0.0
    moves: int = 0
    partials: list[Partial] = msgspec.field(default_factory=list)


class State(msgspec.Struct):
    """`ts_event` is the last feed step handled: a restarted process goes on behind it. `seen` is in instrument order.

    `next_close_ns` is the earliest end of a bar under construction. `bars` counts accepted base bars, `gaps` the base
    bars missing while their market was open. `events_day` is the UTC day whose economic calendar was said last, -1 before the first,
    and `calendar` the digest of that calendar.
    """

    seen: list[Seen]
    ts_event: int = 0
    step: int = 0
    next_close_ns: int = NEVER
    bars: int = 0
    quarantined: int = 0
    gaps: int = 0
    events_day: int = -1
    calendar: str = ""
