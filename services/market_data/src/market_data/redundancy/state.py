"""What is remembered of every feed of an instrument."""

from __future__ import annotations

from typing import Final

import msgspec

NONE: Final = -1  # no feed
LONG_AGO: Final = -(2**62)
FIRST_USUAL: Final = 8.0  # changes of the others between two of a feed, before anything has been learned
SILENT: Final = "silent"
FROZEN: Final = "frozen"
RECOVERING: Final = "recovering"
_FEED_TIMES: Final = (
    "event_ns", "price_ns", "change_ns", "bad_ns", "counted_ns", "away_ns", "frozen_ns", "failed_ns", "well_ns",
)  # fmt: skip
_GROUP_TIMES: Final = ("switched_ns", "agreed_ns", "ts")


class FeedState(msgspec.Struct, gc=False):
    """One feed of one instrument. Times are ours, ns; 0 where it has not happened since the feed connected.

    `event_ns` is the last sign of life, `price_ns` the last sound price and `mid` what it was, `change_ns` when it last became
    another one, `venue_ns` the venue's time of it. Gaps (ns), `bad_share` and `skew` (ns, positive: its times lie behind ours)
    are exponential averages; so is `others_usual`, how often the others change between two changes of this one.
    `others_prices` is what they have said since its last sign of life, `others_changes` how often they have changed since its
    last change, when their median was `others_mid`; 0 where there was none. `bad_ns` is since when it has said only bad rows,
    `bad_rows` how many. `repeated` of the `counted` rows were said before, both as of `counted_ns` and forgotten with time.
    `away_ns` is since when it contradicts the others, `frozen_ns` since when it is frozen, `failed_ns` when it last was a
    failure, `well_ns` since when it has been none.
    """

    connected: bool = False
    event_ns: int = 0
    price_ns: int = 0
    change_ns: int = 0
    venue_ns: int = 0
    mid: float = 0.0
    bid: float = 0.0
    ask: float = 0.0
    quotes: bool = False
    trade_ids: list[str] = msgspec.field(default_factory=list)
    event_gap: float = 0.0
    change_gap: float = 0.0
    bad_share: float = 0.0
    bad_ns: int = 0
    bad_rows: int = 0
    repeated: float = 0.0
    counted: float = 0.0
    counted_ns: int = 0
    skew: float = 0.0
    others_prices: int = 0
    others_changes: int = 0
    others_usual: float = FIRST_USUAL
    others_mid: float = 0.0
    away_ns: int = 0
    frozen_ns: int = 0
    failed_ns: int = LONG_AGO
    well_ns: int = 0
    score: float = 0.0
    reason: str = "no price yet"
    usable: bool = False


class GroupState(msgspec.Struct, gc=False):
    """The feeds of one instrument, the preferred one first. `active` is the place of the one that is believed.

    `agreed` is the last price on which the feeds agreed closely, at `agreed_ns`; 0 for none. `ts` is the time of the last row
    handed on, `volume` what has traded since the last quote.
    """

    feeds: list[FeedState]
    active: int = NONE
    switched_ns: int = LONG_AGO
    agreed: float = 0.0
    agreed_ns: int = 0
    ts: int = 0
    volume: float = 0.0


class State(msgspec.Struct):
    """`groups` are in the order of the instruments, `now_ns` is the latest that was heard of."""

    groups: list[GroupState] = msgspec.field(default_factory=list)
    now_ns: int = 0


def set_back(group: GroupState, now: int) -> None:
    """This machine's clock was: nothing has happened later than now, and what lay between it and the venues' is not known."""
    for one, names in ((group, _GROUP_TIMES), *((feed, _FEED_TIMES) for feed in group.feeds)):
        for name in names:
            setattr(one, name, min(getattr(one, name), now))
    for feed in group.feeds:
        feed.skew = 0.0
