"""One feed is believed at a time: the best one, for as long as it is; and no bad price gets past it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages.market_data import FeedChanged, QuarantinedRow, QuarantineReason
from common.model.time import NS_PER_SECOND
from market_data.feed import RawTick
from market_data.live.connection import (
    Connected,
    Disconnected,
    FeedEvent,
    Heartbeat,
    Malformed,
    QuoteSeen,
    TradeSeen,
)
from market_data.live.settings import HealthSettings
from market_data.redundancy.core import Group, Member, Redundancy, Said
from market_data.redundancy.rules import RULES
from market_data.redundancy.state import NONE

S = NS_PER_SECOND
T0 = 1_700_000_000 * S
LIMITS = HealthSettings()
SYMBOL = "EUR-USD"
PAIR = Group("EUR-USD.PAIR", (Member("a", SYMBOL, S), Member("b", SYMBOL, S)))
TRIO = Group("EUR-USD.TRIO", tuple(Member(name, SYMBOL, S) for name in "abc"))


def quote(now: int, mid: float = 1.1, **changes: float) -> QuoteSeen:
    sound = QuoteSeen(symbol=SYMBOL, ts_received=now, ts_venue=now - 1_000_000, bid=mid - 1e-5, ask=mid + 1e-5)
    return msgspec.structs.replace(sound, **changes)


Spoil = Callable[[QuoteSeen], Sequence[FeedEvent]]


class Market:
    """Feeds that quote four times a second, all the same wandering price, unless told otherwise; a tick every 100 ms."""

    def __init__(self, group: Group = PAIR, limits: HealthSettings = LIMITS) -> None:
        self.core = Redundancy("test", limits, [group])
        self.names = [member.feed for member in group.members]
        self.now = T0
        self.said: list[Said] = []
        for name in self.names:
            self.say(name, Connected(ts_received=self.now))

    def say(self, feed: str, event: FeedEvent) -> list[Said]:
        said = self.core.handle(feed, event)
        self.said += said
        return said

    def price(self) -> float:
        return 1.1 * (1 + 2e-5 * math.sin((self.now - T0) / S))

    def run(self, seconds: float, *, without: Sequence[str] = (), **spoiled: object) -> list[Said]:
        """`spoiled` says by feed what becomes of its quotes: a function to a list of events."""
        before, end = len(self.said), self.now + round(seconds * S)
        while self.now < end:
            self.now += S // 10
            for place, name in enumerate(self.names):
                if name not in without and (self.now // (S // 10) + place) % 3 == 0:
                    spoil = spoiled.get(name, lambda seen: [seen])
                    for event in spoil(quote(self.now, self.price())):  # type: ignore[operator]
                        self.say(name, event)
            self.said += self.core.tick(self.now)
        return self.said[before:]

    @property
    def active(self) -> str | None:
        place = self.core.state.groups[0].active
        return None if place == NONE else self.names[place]


def changes(said: Sequence[Said]) -> list[tuple[str, bool]]:
    return [(one.feed, one.active) for one in said if isinstance(one, FeedChanged)]


def rows(said: Sequence[Said]) -> list[RawTick]:
    return [one for one in said if isinstance(one, RawTick)]


@pytest.mark.req("MKT-02")
def test_the_preferred_feed_of_two_that_are_well_is_believed_and_said_to_be() -> None:
    market = Market()
    said = market.run(60)
    assert market.active == "a"
    assert changes(said)[0] == ("a", True)
    assert len(changes(said)) == 2  # the other one is well too
    assert len(rows(said)) == pytest.approx(60 * 10 / 3, abs=2)


FAULTS = {
    "silence": (lambda seen: [], 1.7),
    "zero": (lambda seen: [msgspec.structs.replace(seen, bid=0.0)], 1.5),
    "nan": (lambda seen: [msgspec.structs.replace(seen, ask=math.nan)], 1.5),
    "crossed": (lambda seen: [msgspec.structs.replace(seen, bid=seen.ask, ask=seen.bid)], 1.5),
    "malformed": (lambda seen: [Malformed(ts_received=seen.ts_received, detail="{", symbol=SYMBOL)], 1.5),
    "drift": (lambda seen: [msgspec.structs.replace(seen, bid=seen.bid * 1.002, ask=seen.ask * 1.002)], 0.9),
    "skew": (lambda seen: [msgspec.structs.replace(seen, ts_venue=seen.ts_venue - 60 * S)], 0.9),
}


@pytest.mark.req("MKT-02", "MKT-03")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_other_feed_takes_over_within_two_seconds_and_nothing_bad_is_handed_on(fault: str) -> None:
    spoil, within_s = FAULTS[fault]
    market = Market()
    market.run(30)
    began = market.now
    said = market.run(within_s, a=spoil)
    assert market.active == "b"
    later = market.run(60, a=spoil)
    assert market.active == "b"
    assert not [name for name, active in changes(later) if active]
    for row in rows([*said, *later]):
        assert row.bid is not None
        assert row.bid <= row.ask
        assert (row.bid + row.ask) / 2 == pytest.approx(1.1, rel=5e-5)
    assert rows(later)[0].ts > began


@pytest.mark.req("MKT-02")
def test_a_feed_whose_price_stands_still_while_it_beats_is_left_once_the_market_has_moved() -> None:
    market = Market()
    market.run(30)
    still = market.price()
    frozen = lambda seen: [quote(seen.ts_received, still), Heartbeat(ts_received=seen.ts_received)]  # noqa: E731
    market.price = lambda: still * (1 + 1e-5 * min(20, (market.now - T0) / S - 30))  # type: ignore[method-assign]
    market.run(3.5, a=frozen)  # a tenth of a basis point a second: half a basis point is the least that counts
    assert market.active == "a"
    market.run(2.5, a=frozen)
    assert market.active == "b"


def slow(market: Market, every: int) -> Spoil:
    """A feed that says another price only with every so manieth quote, for it looks at the market no more often."""
    told: list[QuoteSeen] = []

    def say(seen: QuoteSeen) -> list[FeedEvent]:
        told.append(seen)
        last = told[(len(told) - 1) // every * every]
        return [quote(seen.ts_received, (last.bid + last.ask) / 2)]

    return say


@pytest.mark.req("MKT-02")
@pytest.mark.parametrize(("every", "left"), [(1, True), (30, False)])
def test_how_long_a_feed_may_stand_still_depends_on_how_often_it_changes(every: int, *, left: bool) -> None:
    market = Market()
    market.run(every * 64 * 0.3 + 30, a=slow(market, every))
    still, began = market.price(), market.now
    market.price = lambda: still * (1 + 2e-5 * (market.now - began) / S)  # type: ignore[method-assign]
    market.run(6, a=lambda seen: [quote(seen.ts_received, still)])  # twenty changes of the other one, a basis point
    assert (market.active == "b") is left


@pytest.mark.req("MKT-02")
def test_a_feed_that_is_frozen_stays_so_until_its_price_changes_wherever_the_others_go() -> None:
    market = Market()
    market.run(30)
    still, wander = market.price(), market.price
    frozen = lambda seen: [quote(seen.ts_received, still)]  # noqa: E731
    market.price = lambda: still * 1.0002  # type: ignore[method-assign]
    market.run(1, a=frozen)
    market.price = lambda: still * (1 + 2e-5 * ((market.now // (S // 10)) % 9))  # type: ignore[method-assign]
    market.run(9, a=frozen)
    market.price = lambda: still + 1e-9 * ((market.now // (S // 10)) % 9)  # type: ignore[method-assign]
    market.run(60, a=frozen)
    assert market.active == "b"
    market.price = wander  # type: ignore[method-assign]
    market.run(LIMITS.recover_s + LIMITS.hold_s + 1)
    assert market.active == "a"


@pytest.mark.req("MKT-02", "MKT-03")
@pytest.mark.parametrize("ramp_s", [0.1, 10])
@pytest.mark.parametrize(("quiet_s", "both"), [(3, False), (62, False), (90, True)])
def test_who_leaves_a_feed_that_is_only_quiet_is_not_believed_for_that(
    quiet_s: float, ramp_s: float, *, both: bool
) -> None:
    """Of two feeds: one is quiet, perhaps for so long that it counts as frozen, and the other goes away by 20 basis points."""
    market = Market()
    market.run(600, b=slow(market, 30))
    beats = lambda seen: [Heartbeat(ts_received=seen.ts_received)]  # noqa: E731
    market.run(quiet_s, a=beats if both else lambda seen: [seen], b=beats)
    began = market.now

    def drifts(seen: QuoteSeen) -> list[FeedEvent]:
        factor = 1 + 2e-3 * min(1.0, (seen.ts_received - began) / (ramp_s * S))
        return [msgspec.structs.replace(seen, bid=seen.bid * factor, ask=seen.ask * factor)]

    said = market.run(30, a=drifts, b=beats)
    allowed = LIMITS.drift_bps * 1e-4 + 5e-5
    assert all(row.ask == pytest.approx(1.1, rel=allowed) for row in rows(said))


@pytest.mark.req("MKT-02")
def test_a_feed_that_failed_and_is_sound_again_is_better_than_one_that_fails_now() -> None:
    market = Market()
    market.run(30)
    crossed = lambda seen: [msgspec.structs.replace(seen, bid=seen.ask, ask=seen.bid)]  # noqa: E731
    market.run(5, b=crossed)
    market.run(1)
    assert market.core.state.groups[0].feeds[1].reason == "recovering"
    market.run(0.5, a=lambda seen: [seen] * 20)
    assert market.active == "b"


@pytest.mark.req("MKT-02")
@pytest.mark.parametrize(("crossed", "active"), [(LIMITS.bad_rows - 1, "b"), (LIMITS.bad_rows, None)])
def test_where_there_is_no_other_feed_a_crossed_quote_or_two_do_not_end_the_last_sound_one(
    crossed: int, active: str | None
) -> None:
    market = Market()
    market.run(30)
    for _ in range(crossed):
        market.say("b", quote(market.now, bid=1.2))
    market.run(2, b=lambda seen: [Heartbeat(ts_received=seen.ts_received)])
    said = market.say("a", Disconnected(ts_received=market.now, reason="reset"))
    assert market.active == active
    assert all(row.bid is not None and row.bid <= row.ask for row in rows(said))


@pytest.mark.req("MKT-02")
def test_a_connection_that_breaks_costs_no_time_at_all() -> None:
    market = Market()
    market.run(30)
    said = market.say("a", Disconnected(ts_received=market.now, reason="reset"))
    assert changes(said) == [("a", False), ("b", True)]
    assert [one.reason for one in said if isinstance(one, FeedChanged)] == ["disconnected", "well"]


@pytest.mark.req("MKT-02")
def test_the_preferred_feed_is_gone_back_to_after_it_has_been_well_for_long_enough_and_not_before() -> None:
    market = Market()
    market.run(30)
    market.say("a", Disconnected(ts_received=market.now, reason="reset"))
    market.say("a", Connected(ts_received=market.now))
    market.run(LIMITS.recover_s + LIMITS.hold_s - 1)
    assert market.active == "b"
    market.run(2)
    assert market.active == "a"


@pytest.mark.req("MKT-02")
def test_when_the_only_feed_left_fails_nothing_is_believed_until_one_comes_back() -> None:
    market = Market()
    market.run(30)
    market.run(5, without=["a"])
    assert market.active == "b"
    assert market.core.supplied()
    said = market.run(5, without=["a", "b"])
    assert market.active is None
    assert not market.core.supplied()
    assert changes(said)[-1] == ("b", False)
    assert rows(market.run(0.5, without=["a"]))
    assert market.active == "b"


@pytest.mark.req("MKT-02", "MKT-03")
def test_of_three_feeds_the_median_tells_which_one_drifts_however_slowly() -> None:
    market = Market(TRIO)
    market.run(30)
    began = market.now

    def drifts(seen: QuoteSeen) -> list[QuoteSeen]:
        factor = 1 + 1e-5 * (seen.ts_received - began) / S  # a basis point in ten seconds
        return [msgspec.structs.replace(seen, bid=seen.bid * factor, ask=seen.ask * factor)]

    said = market.run(180, a=drifts)
    assert market.active == "b"
    allowed = LIMITS.drift_bps * 1e-4 + 5e-5
    assert all(row.ask == pytest.approx(1.1, rel=allowed) for row in rows(said))


@pytest.mark.req("MKT-02", "MKT-03")
def test_a_burst_of_duplicates_is_handed_on_once_and_costs_the_feed_its_turn() -> None:
    market = Market()
    market.run(30)
    said = market.run(10, a=lambda seen: [seen] * 20)
    assert market.active == "b"
    stamps = [row.ts for row in rows(said)]
    assert stamps == sorted(stamps)
    times = [(row.ts, row.bid) for row in rows(said)]
    assert len(times) == len(set(times))
    refused = {one.reason for one in said if isinstance(one, QuarantinedRow)}
    assert refused == {QuarantineReason.DUPLICATE}


@pytest.mark.req("MKT-02")
def test_the_first_row_that_comes_a_dozen_times_costs_the_turn_and_is_forgotten_within_seconds() -> None:
    market = Market()
    market.run(30)
    market.run(0.3, a=lambda seen: [seen] * 12)
    assert market.active == "b"
    market.run(LIMITS.recover_s + LIMITS.duplicate_s + LIMITS.hold_s)
    assert market.active == "a"


@pytest.mark.req("MKT-02")
def test_a_row_that_comes_twice_now_and_then_costs_no_feed_its_turn() -> None:
    market = Market()
    said = market.run(60, a=lambda seen: [seen, seen] if (seen.ts_received // (S // 10)) % 4 == 0 else [seen])
    assert changes(said) == [("a", True), ("b", False)]


@pytest.mark.req("MKT-02")
def test_a_trade_is_a_price_where_nothing_quotes_and_volume_where_something_does() -> None:
    market = Market()
    trade = TradeSeen(symbol=SYMBOL, ts_received=T0 + 1, px=1.1, qty=2.0, trade_id="1")
    (row,) = rows(market.say("a", trade))
    assert (row.bid, row.ask, row.volume) == (None, 1.1, 2.0)
    assert rows(market.say("a", trade)) == []  # the same trade again
    market.say("a", quote(T0 + 2))
    market.say("a", msgspec.structs.replace(trade, ts_received=T0 + 3, trade_id="2"))
    (row,) = rows(market.say("a", quote(T0 + 4_000_000)))
    assert (row.bid, row.volume) == (1.1 - 1e-5, 2.0)


@pytest.mark.req("MKT-02")
def test_a_venue_whose_clock_is_wrong_is_read_by_ours() -> None:
    alone = Group("EUR-USD.ONE", (Member("a", SYMBOL),))
    market = Market(alone)
    said = market.run(20, a=lambda seen: [msgspec.structs.replace(seen, ts_venue=seen.ts_venue - 3600 * S)])
    assert market.active == "a"
    assert all(T0 < row.ts <= market.now for row in rows(said))


def test_every_rule_costs_a_feed_that_is_well_next_to_nothing() -> None:
    market = Market()
    market.run(60)
    assert len({name for name, _ in RULES}) == len(RULES)
    assert all(feed.score > 0.9 and feed.reason == "well" for feed in market.core.state.groups[0].feeds)


def test_symbols_nobody_asked_for_and_feeds_nobody_named_are_passed_over() -> None:
    market = Market()
    assert market.say("a", quote(T0 + 1, symbol="GBP-USD")) == []  # type: ignore[arg-type]
    assert market.say("x", quote(T0 + 1)) == []
    assert market.say("x", Disconnected(ts_received=T0, reason="")) == []


# --- laws -------------------------------------------------------------------------------------------
NAMES = "abc"
kinds = st.sampled_from(["quote", "bad", "far", "nothing", "beat", "cut", "up", "again", "skewed"])
stories = st.lists(st.tuples(st.sampled_from(NAMES), kinds, st.integers(1, 30)), max_size=60)


def tell(story: Sequence[tuple[str, str, int]]) -> tuple[Redundancy, list[tuple[int, list[Said], list[bool]]]]:
    """What is said at every instant (ns), and whether each feed was usable right before it."""
    core, now, log = Redundancy("test", LIMITS, [TRIO]), T0, []
    group = core.state.groups[0]

    def keep(said: Sequence[Said]) -> None:
        log.append((now, list(said), usable))

    for name in NAMES:
        usable = [feed.usable for feed in group.feeds]
        keep(core.handle(name, Connected(ts_received=now)))
    for name, kind, tenths in story:
        for _ in range(tenths):
            now += S // 10
            usable = [feed.usable for feed in group.feeds]
            keep(core.tick(now))
        event = {
            "quote": quote(now),
            "bad": quote(now, bid=1.2),
            "far": quote(now, 1.3),
            "nothing": quote(now, bid=math.nan),
            "beat": Heartbeat(ts_received=now),
            "cut": Disconnected(ts_received=now, reason="cut"),
            "up": Connected(ts_received=now),
            "again": quote(now, ts_venue=T0 - 1),
            "skewed": quote(now, ts_venue=now - 100 * S),
        }[kind]
        usable = [feed.usable for feed in group.feeds]
        keep(core.handle(name, event))
    return core, log


@pytest.mark.req("MKT-02")
@given(stories)
def test_never_are_two_feeds_active_and_what_is_said_tells_which_one_is(story: list[tuple[str, str, int]]) -> None:
    core, log = tell(story)
    active: set[str] = set()
    for _, said, _ in log:
        for one in said:
            if isinstance(one, FeedChanged):
                (active.add if one.active else active.discard)(one.feed)
                assert len(active) <= 1
                assert 0.0 <= one.score <= 1.0
    place = core.state.groups[0].active
    assert active == (set() if place == NONE else {NAMES[place]})


@pytest.mark.req("MKT-02")
@given(stories)
def test_a_feed_that_fails_is_never_believed_while_another_one_is_well(story: list[tuple[str, str, int]]) -> None:
    core, _ = tell(story)
    group = core.state.groups[0]
    if group.active != NONE and any(feed.usable for feed in group.feeds):
        assert group.feeds[group.active].score >= LIMITS.fail_below or not group.feeds[group.active].usable
    core.tick(max(feed.event_ns for feed in group.feeds) + 1)
    if any(feed.usable for feed in group.feeds):
        assert group.feeds[group.active].usable


@pytest.mark.req("MKT-02", "MKT-03")
@given(stories)
def test_no_bad_price_is_handed_on_and_time_never_goes_back(story: list[tuple[str, str, int]]) -> None:
    _, log = tell(story)
    handed_on = [row for _, said, _ in log for row in rows(said)]
    assert all(row.bid is not None and 0 < row.bid <= row.ask for row in handed_on)
    assert [row.ts for row in handed_on] == sorted(row.ts for row in handed_on)


@pytest.mark.req("MKT-02")
@given(stories)
def test_a_feed_that_is_well_is_left_no_more_often_than_the_hysteresis_allows(
    story: list[tuple[str, str, int]],
) -> None:
    """Between a change and the next one that nothing forced lie at least `hold_s`."""
    _, log = tell(story)
    changed: int | None = None
    for now, said, usable in log:
        for one in said:
            if not isinstance(one, FeedChanged):
                continue
            left = not one.active and usable[NAMES.index(one.feed)] and one.score >= LIMITS.fail_below
            taken_from = changed is not None and any(
                isinstance(other, FeedChanged) and other.active and other.feed != one.feed for other in said
            )
            if left and taken_from and changed is not None:
                assert now - changed >= LIMITS.hold_s * S
        if any(isinstance(one, FeedChanged) and one.active for one in said):
            changed = now


@given(stories)
def test_the_same_events_lead_to_the_same_state_also_through_a_snapshot(story: list[tuple[str, str, int]]) -> None:
    first, log = tell(story)
    second, again = tell(story)
    assert log == again
    packed = msgspec.msgpack.encode(first.state)
    assert packed == msgspec.msgpack.encode(second.state)
    assert msgspec.msgpack.decode(packed, type=type(first.state)) == first.state
