"""Live feeds become slices by the clock: every period once, whole, in time; and who dies goes on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise

import msgspec
import pytest

from common.errors import ConfigError, DataError
from common.messages.base import Message
from common.messages.control import InstrumentsDefined, RunStarted
from common.messages.market_data import FeedChanged, MarketDataEnded, MarketSlice, RowsQuarantined
from common.model.account import Account
from common.model.run import Run
from common.model.time import NS_PER_MINUTE, NS_PER_SECOND, Timeframe
from common.runtime.settings import load, section
from market_data.feeds import LIVE, open_feed
from market_data.live.connection import Connected, Disconnected, FeedEvent, Heartbeat, QuoteSeen
from market_data.live.core import REFUSED_SHOWN, LiveMarketData
from market_data.live.faults import beating, inject, spans
from market_data.live.quotes import made_up
from market_data.live.registry import ADAPTERS, connect
from market_data.live.settings import Adapter, Fault, FaultSettings, FeedSettings, LiveSettings
from market_data.live.state import State
from market_data.redundancy.drill import drill, plan
from market_data.settings import Settings

S, MINUTE = NS_PER_SECOND, NS_PER_MINUTE
T0 = 1_700_000_000 * S // MINUTE * MINUTE  # the start of a minute
EUR, GBP = "EUR-USD", "GBP-USD"


def feed(name: str, *symbols: str, venue: str = "PAIR") -> FeedSettings:
    return FeedSettings(name=name, adapter="recorded", venue=venue, symbols=symbols or (EUR,))


def core(*feeds: FeedSettings, run: Run | None = None) -> LiveMarketData:
    settings = Settings(feeds=feeds or (feed("a"), feed("b")))
    return LiveMarketData(settings, run or Run(data=LIVE), Account(), "{}")


def quote(now: int, symbol: str = EUR, mid: float = 1.1, venue: int = 0) -> QuoteSeen:
    return QuoteSeen(symbol=symbol, ts_received=now, ts_venue=venue, bid=mid - 1e-5, ask=mid + 1e-5)


class Hand:
    """Drives a core by hand: `quotes` every second from each feed but those `without`."""

    def __init__(self, one: LiveMarketData, now: int, connected: tuple[str, ...] = ("a", "b")) -> None:
        self.core, self.now, self.said = one, now, list[Message]()
        one.begin(now)
        for name in connected:
            one.handle(name, Connected(ts_received=now))

    def quotes(self, seconds: int, *pairs: tuple[str, str]) -> list[Message]:
        before = len(self.said)
        for _ in range(seconds):
            self.now += S
            for name, symbol in pairs or (("a", EUR), ("b", EUR)):
                self.core.handle(name, quote(self.now, symbol))
            self.said += self.core.on_time(self.now)
        return self.said[before:]

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.said if isinstance(message, kind)]

    def slices(self) -> list[MarketSlice]:
        return [message for message in self.said if isinstance(message, MarketSlice)]


@pytest.mark.req("MKT-01", "MKT-04")
def test_a_run_opens_with_the_first_prices_and_says_a_slice_for_every_whole_minute() -> None:
    hand = Hand(core(), T0 + 20 * S)
    said = hand.quotes(200)
    assert [type(message) for message in said[:2]] == [RunStarted, InstrumentsDefined]
    slices = hand.slices()
    assert [one.ts_event for one in slices] == [T0 + 2 * MINUTE, T0 + 3 * MINUTE]
    assert [one.step for one in slices] == [1, 2]
    assert slices[0].bars[0].timeframe is Timeframe.M1
    assert slices[0].quotes[0].instrument_id == "EUR-USD.PAIR"


@pytest.mark.req("MKT-01", "MKT-02")
def test_a_minute_is_said_although_one_instrument_was_silent_in_it() -> None:
    hand = Hand(core(feed("a", EUR, GBP), feed("b", EUR)), T0)
    hand.quotes(61, ("a", EUR), ("b", EUR), ("a", GBP))
    hand.quotes(120, ("b", EUR))
    assert [len(one.quotes) for one in hand.slices()] == [2, 1]


@pytest.mark.req("MKT-01")
def test_without_a_price_of_one_instrument_the_run_opens_when_the_patience_is_over() -> None:
    hand = Hand(core(feed("a", EUR, GBP), feed("b", EUR)), T0)
    hand.quotes(29)
    assert not hand.said
    hand.quotes(2)
    defined = hand.of(InstrumentsDefined)
    assert [one.instrument_id for one in defined[0].instruments] == ["EUR-USD.PAIR", "GBP-USD.PAIR"]


@pytest.mark.req("MKT-04")
def test_what_arrives_within_the_grace_belongs_to_its_minute_and_later_to_the_next() -> None:
    one = core(feed("a"))
    hand = Hand(one, T0, ("a",))
    hand.quotes(119, ("a", EUR))
    end = T0 + 2 * MINUTE
    one.handle("a", quote(end + S // 5, mid=1.2, venue=end - 1))  # late, but in time
    first = next(m for m in one.on_time(end + S) if isinstance(m, MarketSlice))
    assert first.bars[0].close == pytest.approx(1.2)
    one.handle("a", quote(end + S, mid=1.3, venue=end - 1))
    hand.now = end + S
    hand.quotes(60, ("a", EUR))
    assert hand.slices()[-1].bars[0].open == pytest.approx(1.3)


@pytest.mark.req("MKT-02", "PLT-02")
def test_who_dies_says_the_rest_leaves_the_broken_minute_out_and_counts_the_gap() -> None:
    first = Hand(core(), T0)
    first.quotes(185)
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(first.core.state), type=State)
    second = core()
    second.state = kept
    hand = Hand(second, first.now + 90 * S)
    hand.quotes(180)
    steps = [*first.slices(), *hand.slices()]
    assert [one.step for one in steps] == list(range(1, len(steps) + 1))
    assert not hand.of(RunStarted)
    missed = [(b.ts_event - a.ts_event) // MINUTE - 1 for a, b in pairwise(steps)]
    assert second.state.slices.gaps == sum(missed) == 2
    assert [m.active for m in hand.of(FeedChanged)][:1] == [True]


@pytest.mark.req("PLT-02")
def test_without_a_snapshot_the_tape_tells_where_to_go_on() -> None:
    first = Hand(core(), T0)
    first.quotes(185)
    second = core()
    second.resume(77, first.of(InstrumentsDefined)[0], first.slices()[-1])  # type: ignore[arg-type]
    hand = Hand(second, first.now)
    hand.quotes(125)
    assert second.state.number == 77
    assert [one.step for one in hand.slices()] == [first.slices()[-1].step + 1]
    assert not hand.of(RunStarted)


@pytest.mark.req("MKT-03")
def test_rows_of_the_active_feed_that_are_refused_are_said_and_counted_however_many() -> None:
    one = core(feed("a"))
    hand = Hand(one, T0, ("a",))
    hand.quotes(70, ("a", EUR))
    for number in range(REFUSED_SHOWN + 50):
        one.handle("a", quote(hand.now + number, mid=-1.0))
    hand.quotes(60, ("a", EUR))
    (refused,) = hand.of(RowsQuarantined)
    assert len(refused.rows) == REFUSED_SHOWN
    assert refused.rows[-1].detail.endswith("and 50 more")
    assert one.state.slices.quarantined == REFUSED_SHOWN + 50


@pytest.mark.req("MKT-01")
def test_a_live_run_can_have_an_end() -> None:
    hand = Hand(core(run=Run(data=LIVE, end_ns=T0 + 3 * MINUTE)), T0)
    hand.quotes(181)
    assert hand.core.over
    assert isinstance(hand.said[-1], MarketDataEnded)
    assert hand.slices()[-1].ts_event == T0 + 3 * MINUTE


@pytest.mark.req("MKT-08")
def test_one_coin_at_three_venues_is_three_instruments() -> None:
    names = ("x", "y", "z")
    hand = Hand(core(*(feed(name, "BTC-USD", venue=name.upper()) for name in names)), T0, names)
    hand.quotes(121, *((name, "BTC-USD") for name in names))
    assert [one.instrument_id for one in hand.slices()[-1].quotes] == ["BTC-USD.X", "BTC-USD.Y", "BTC-USD.Z"]


@pytest.mark.parametrize(
    ("feeds", "complaint"),
    [
        ((), "at least one feed"),
        ((feed("a"), feed("a")), "another name"),
        ((feed("a", "eurusd"),), "expected BTC-USD"),
    ],
)
def test_feeds_that_make_no_sense_are_refused_with_what_was_expected(
    feeds: tuple[FeedSettings, ...], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        LiveMarketData(Settings(feeds=feeds), Run(data=LIVE), Account(), "{}")


def test_live_prices_cannot_be_read_as_recorded_ones() -> None:
    with pytest.raises(DataError, match="ballast up"):
        open_feed(LIVE, settings=Settings())


def test_a_real_venue_is_not_followed_on_a_fast_clock() -> None:
    real = FeedSettings(name="k", adapter="kraken", venue="KRAKEN", symbols=("BTC-USD",))
    with pytest.raises(ConfigError, match="clock_speed"):
        connect(real, lambda: T0, 1, fast=True)


def test_every_adapter_that_settings_may_name_is_there() -> None:
    assert set(ADAPTERS) == set(Adapter.__args__)  # type: ignore[attr-defined]


@pytest.mark.req("MKT-01")
def test_the_live_profile_that_ships_describes_feeds_that_make_sense() -> None:
    settings = section(load("crypto"), "market_data", Settings)
    one = LiveMarketData(settings, Run(data=LIVE), Account(), "{}")
    assert len({feed.venue for feed in settings.feeds}) == 3
    assert not one.over


# --- faults -------------------------------------------------------------------------------------------
def played(*faults: FaultSettings, seconds: int = 60) -> list[FeedEvent]:
    quotes = (one for one in made_up("a", EUR, 1))
    events = beating(quotes, S)
    return [one for one in islice(inject(events, spans(faults, 0)), 20_000) if one.ts_received < seconds * S]


def fault(kind: Fault, size: float = 20.0) -> FaultSettings:
    return FaultSettings(kind=kind, at_s=20, for_s=20, size=size)


def within(events: list[FeedEvent]) -> Iterator[FeedEvent]:
    return (one for one in events if 21 * S < one.ts_received < 40 * S)


def test_made_up_feeds_are_the_same_every_time_and_see_one_market() -> None:
    one, again = (list(islice(made_up("a", EUR, 1), 1000)) for _ in range(2))
    other = list(islice(made_up("b", EUR, 1), 1000))
    assert one == again
    assert one != other
    assert one[-1].bid == pytest.approx(other[-1].bid, rel=1e-3)


@pytest.mark.req("MKT-02")
@pytest.mark.parametrize("kind", Fault)
def test_a_fault_spoils_its_span_and_nothing_else(kind: Fault) -> None:
    sound, hurt = played(), played(fault(kind))
    assert [one for one in hurt if one.ts_received < 20 * S] == [one for one in sound if one.ts_received < 20 * S]
    assert [one for one in hurt if one.ts_received > 40 * S] == [one for one in sound if one.ts_received > 40 * S]
    assert list(within(hurt)) != list(within(sound))


def test_the_faults_are_what_they_are_called() -> None:
    quotes = {kind: [one for one in within(played(fault(kind))) if isinstance(one, QuoteSeen)] for kind in Fault}
    assert not list(within(played(fault(Fault.SILENCE))))
    assert not quotes[Fault.DISCONNECT]
    assert [type(one) for one in played(fault(Fault.DISCONNECT)) if isinstance(one, Connected | Disconnected)] == [
        Connected,
        Disconnected,
        Connected,
    ]
    assert len({(one.bid, one.ask) for one in quotes[Fault.FREEZE]}) == 1
    assert all(one.bid > one.ask for one in quotes[Fault.CROSSED])
    assert all(one.ts_received - one.ts_venue > 20 * S for one in quotes[Fault.SKEW])
    assert len(quotes[Fault.DUPLICATES]) == 21 * len(set(quotes[Fault.DUPLICATES]))
    truth = {one.ts_venue: one.bid for one in played() if isinstance(one, QuoteSeen)}
    last = quotes[Fault.DRIFT][-1]
    assert last.bid / truth[last.ts_venue] - 1 == pytest.approx(20e-4)


@pytest.mark.req("MKT-02", "MKT-03")
@pytest.mark.parametrize("kind", Fault)
def test_a_pair_of_feeds_keeps_a_fresh_price_through_every_fault_and_lets_no_bad_one_through(kind: Fault) -> None:
    seconds = 660
    one, two = ([*islice(made_up(name, EUR, 1), 4 * seconds)] for name in "ab")
    result = drill(one, two, kind, Settings().health, S)
    assert result.bad == 0
    assert result.rows > seconds
    assert 1.0 - result.unfresh_s / result.seconds > 0.999
    assert all(took < 2.0 for took in result.failover_s)
    assert result.faults == len(plan(kind, result.seconds)) or kind is Fault.FREEZE  # a still market harms nobody
    assert len(result.failover_s) >= result.faults - result.unnoticed - result.away


def test_a_pair_that_is_well_is_left_alone() -> None:
    one, two = ([*islice(made_up(name, EUR, 1), 2000)] for name in "ab")
    result = drill(one, two, None, Settings().health, S)
    assert (result.switches, result.left, result.bad, result.unfresh_s) == (0, {}, 0, 0.0)


def test_a_heartbeat_comes_wherever_there_was_nothing_for_so_long() -> None:
    quiet = [quote(T0), quote(T0 + 5 * S // 2)]
    beats = [one.ts_received - T0 for one in beating(quiet, S) if isinstance(one, Heartbeat)]
    assert beats == [S, 2 * S]


@pytest.mark.req("MKT-06")
def test_bars_too_coarse_to_keep_their_quotes_are_refused() -> None:
    settings = Settings(feeds=(feed("a"),), live=LiveSettings(base_timeframe=Timeframe.M30))
    with pytest.raises(ConfigError, match=r"base_timeframe = 30m: expected 15m or finer"):
        LiveMarketData(settings, Run(data=LIVE), Account(), "{}")
