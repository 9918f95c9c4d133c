"""Weeks of live prices: starts within a minute, clocks that are set, weekends, times and sizes that are none."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import pytest
from structlog.testing import capture_logs

from common.messages.base import Message
from common.messages.market_data import Bar, FeedChanged, MarketSlice, RowsQuarantined
from common.model.account import Account
from common.model.run import Run
from common.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from market_data.adapters.timestamps import rfc3339_ns
from market_data.feeds import LIVE
from market_data.live.connection import Connected, Disconnected, Heartbeat, Malformed, QuoteSeen, TradeSeen
from market_data.live.core import LiveMarketData
from market_data.live.settings import FeedSettings
from market_data.live.source import LiveSource
from market_data.live.state import State
from market_data.settings import Settings

S, MINUTE = NS_PER_SECOND, NS_PER_MINUTE
T0 = 1_700_000_000 * S // MINUTE * MINUTE  # the start of a minute, on a Tuesday
SATURDAY = rfc3339_ns("2023-11-18T12:00:00Z")
EUR, BTC, AAPL = "EUR-USD", "BTC-USD", "AAPL"
YEAR_1, YEAR_9999 = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"


def quote(now: int, mid: float = 1.1, *, symbol: str = EUR, **changes: float) -> QuoteSeen:
    sound = QuoteSeen(symbol=symbol, ts_received=now, ts_venue=now, bid=mid - 1e-5, ask=mid + 1e-5)
    return msgspec.structs.replace(sound, **changes)


class Desk:
    """A live core and the clock it is told. Feeds of one venue named a, b, …"""

    def __init__(self, now: int, *names: str, symbol: str = EUR, state: State | None = None) -> None:
        self.names, self.symbol, self.now = names or ("a",), symbol, now
        self.ahead_ns = 0  # of our clock
        feeds = tuple(
            FeedSettings(name=name, adapter="recorded", venue="X", symbols=(symbol,), heartbeat_s=6)
            for name in self.names
        )
        self.core = LiveMarketData(Settings(feeds=feeds), Run(data=LIVE), Account(), "{}")
        if state is not None:
            self.core.state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State)
        self.core.begin(now)
        self.said: list[Message] = []
        self.connect()

    def connect(self) -> None:
        for name in self.names:
            self.core.handle(name, Connected(ts_received=self.now))

    def quotes(self, seconds: int, mid: float = 1.1) -> list[Message]:
        """One of each feed every second, each a little away from the one before."""
        before = len(self.said)
        for _ in range(seconds):
            self.now += S
            for name in self.names:
                moved = mid * (1 + self.now // S % 2 * 1e-6)
                self.core.handle(name, quote(self.now, moved, symbol=self.symbol, ts_venue=self.now - self.ahead_ns))
            self.said += self.core.on_time(self.now)
        return self.said[before:]

    def rest(self, seconds: int) -> None:
        """Heartbeats alone."""
        for _ in range(0, seconds, 5):
            self.now += 5 * S
            for name in self.names:
                self.core.handle(name, Heartbeat(ts_received=self.now))
            self.said += self.core.on_time(self.now)

    def slices(self) -> list[MarketSlice]:
        return [one for one in self.said if isinstance(one, MarketSlice)]

    def minutes(self) -> list[tuple[int, Bar]]:
        return [(one.ts_event, bar) for one in self.slices() for bar in one.bars if bar.base]


def readable(said: list[Message]) -> None:
    """Every message can be read back as it was said, and its integers fit a database."""
    for message in said:
        assert msgspec.json.decode(msgspec.json.encode(message), type=type(message)) == message
        if isinstance(message, RowsQuarantined):
            assert all(abs(row.ts_row) < 2**63 for row in message.rows)


# --- minutes ----------------------------------------------------------------------------------------------------------
@pytest.mark.req("MKT-04")
def test_no_price_of_the_minute_in_which_it_began_is_in_the_first_bar() -> None:
    desk = Desk(T0 + 5 * S)
    desk.quotes(54, mid=1.0)
    desk.core.handle("a", TradeSeen(symbol=EUR, ts_received=desk.now, px=1.0, qty=100.0))
    desk.core.handle("a", quote(desk.now + 1, 1.0))
    desk.now += S
    desk.quotes(62, mid=1.01)
    ((ts, bar),) = desk.minutes()
    assert ts == T0 + 2 * MINUTE
    assert (bar.open, bar.low, bar.volume) == (pytest.approx(1.01, rel=1e-5), pytest.approx(1.01, rel=1e-5), 0.0)


@pytest.mark.req("MKT-04", "PLT-02")
def test_no_price_of_the_minute_in_which_it_came_back_is_in_a_bar() -> None:
    first = Desk(T0)
    first.quotes(150)
    second = Desk(first.now + 10 * S, state=first.core.state)  # T0 + 160 s
    second.quotes(15, mid=1.02)
    second.quotes(70, mid=1.01)
    assert [(ts - T0) // MINUTE for ts, _ in [*first.minutes(), *second.minutes()]] == [2, 4]
    assert second.minutes()[0][1].high == pytest.approx(1.01, rel=1e-5)


# --- the clock of this machine ----------------------------------------------------------------------------------------
@pytest.mark.req("MKT-04")
@pytest.mark.parametrize("back_s", [2, 90, 3600, 7200])
def test_a_clock_that_is_set_back_costs_bars_and_spoils_none(back_s: int) -> None:
    """Nothing is said until it is again where it was, no minute holds more than its own prices, and the feed is well."""
    desk = Desk(T0, "a", "b")
    desk.ahead_ns = back_s * S
    desk.quotes(150)
    desk.now, desk.ahead_ns = desk.now - back_s * S, 0
    desk.quotes(60, mid=1.02)
    assert [one.reason for one in desk.core._redundancy.state.groups[0].feeds] == ["well", "well"]
    kept = len(desk.core._rows)
    assert kept <= 60 * 2
    desk.quotes(back_s, mid=1.02)
    assert len(desk.core._rows) <= max(kept, 120)
    desk.quotes(180, mid=1.01)
    times = [one.ts_event for one in desk.slices()]
    assert all(earlier < later for earlier, later in pairwise(times))
    after = [bar for ts, bar in desk.minutes() if ts > T0 + 3 * MINUTE]
    assert after[-1].high == pytest.approx(1.01, rel=1e-5)
    assert all(bar.high / bar.low < 1.001 or back_s < 60 for bar in after[1:])


@pytest.mark.req("MKT-02")
def test_a_clock_that_is_set_forward_fails_nobody_for_long() -> None:
    desk = Desk(T0, "a", "b")
    desk.quotes(90)
    desk.now += 3 * NS_PER_HOUR
    desk.quotes(90)
    assert desk.core.supplied()
    assert desk.core.usable("a")
    assert desk.minutes()[-1][0] > T0 + 3 * NS_PER_HOUR


# --- closed markets ---------------------------------------------------------------------------------------------------
@pytest.mark.req("MKT-02", "MKT-07")
@pytest.mark.parametrize(("symbol", "rests"), [(EUR, True), (AAPL, True), (BTC, False)])
def test_a_market_that_is_closed_is_no_fault_of_a_feed_that_lives(symbol: str, rests: bool) -> None:
    """Reconnected on a Saturday, as brokers make one do, it has no price to say."""
    desk = Desk(SATURDAY - 2 * NS_PER_DAY + 4 * NS_PER_HOUR, symbol=symbol)
    desk.quotes(120)
    desk.now = SATURDAY
    desk.core.handle("a", Disconnected(ts_received=desk.now, reason="maintenance"))
    assert (desk.core.usable("a"), desk.core.supplied()) == (False, False)  # nobody knows whether it is there on Sunday
    desk.connect()
    desk.rest(120)
    assert (desk.core.usable("a"), desk.core.supplied()) == (rests, rests)


@pytest.mark.req("MKT-02", "MKT-07")
def test_when_the_market_opens_a_feed_without_a_price_is_a_fault_again() -> None:
    desk = Desk(SATURDAY)
    desk.rest(60)
    assert desk.core.supplied()
    desk.now = rfc3339_ns("2023-11-19T22:00:10Z")  # Sunday, 17:00 in New York
    desk.rest(10)
    assert not desk.core.supplied()
    desk.quotes(10)
    assert desk.core.supplied()


# --- what stood before the connection ---------------------------------------------------------------------------------
@pytest.mark.req("MKT-02")
def test_the_age_of_the_quote_that_stands_when_it_connects_is_no_skew() -> None:
    """OANDA says the last price at once, however old."""
    desk = Desk(T0, "a", "b")
    for name in ("a", "b"):
        desk.core.handle(name, quote(T0, ts_venue=T0 - 300 * S))
    desk.quotes(5)
    assert desk.core.usable("a")
    assert [one.active for one in desk.said if isinstance(one, FeedChanged)][:1] == [True]
    assert not [one for one in desk.said if isinstance(one, FeedChanged) and one.reason == "clock skew"]


@pytest.mark.req("MKT-02")
def test_the_quote_of_before_the_break_stands_when_the_venue_says_it_again() -> None:
    desk = Desk(T0)
    desk.quotes(70)
    last = quote(desk.now + 1)
    desk.core.handle("a", last)
    desk.core.handle("a", Disconnected(ts_received=desk.now + 2, reason="cut"))
    assert not desk.core.supplied()
    desk.now += S
    desk.connect()
    desk.core.handle("a", msgspec.structs.replace(last, ts_received=desk.now + 1))
    assert desk.core.supplied()
    desk.core.handle("a", msgspec.structs.replace(last, ts_received=desk.now + 2))
    desk.quotes(60)
    assert [row.reason.value for one in desk.said if isinstance(one, RowsQuarantined) for row in one.rows] == [
        "DUPLICATE"
    ]


# --- times and sizes that are none ------------------------------------------------------------------------------------
@pytest.mark.req("MKT-02", "MKT-03")
@pytest.mark.parametrize("text", [YEAR_1, YEAR_9999])
def test_a_time_that_is_none_costs_no_feed_its_turn_and_spoils_no_message(text: str) -> None:
    desk = Desk(T0, "a", "b")
    desk.quotes(70)
    began = len(desk.said)
    desk.core.handle("a", quote(desk.now + 1, ts_venue=rfc3339_ns(text)))
    desk.core.handle("a", quote(desk.now + 2, ts_venue=rfc3339_ns(text), bid=0.0))
    desk.quotes(60)
    readable(desk.said)
    assert not [one for one in desk.said[began:] if isinstance(one, FeedChanged)]
    (refused,) = [one for one in desk.said if isinstance(one, RowsQuarantined)]
    assert T0 < refused.rows[0].ts_row < desk.now


@pytest.mark.req("MKT-02")
def test_a_clock_that_is_years_off_costs_a_feed_its_turn_as_one_that_is_minutes_off() -> None:
    desk = Desk(T0, "a", "b")
    desk.quotes(70)
    for _ in range(5):
        desk.now += S
        desk.core.handle("a", quote(desk.now, ts_venue=desk.now - 700 * NS_PER_DAY))
        desk.core.handle("b", quote(desk.now))
        desk.said += desk.core.on_time(desk.now)
    changed = [one for one in desk.said if isinstance(one, FeedChanged) and not one.active]
    assert (changed[-1].feed, changed[-1].reason) == ("a", "clock skew")


@pytest.mark.req("MKT-03")
def test_sizes_and_volumes_that_are_none_spoil_no_message() -> None:
    desk = Desk(T0)
    desk.quotes(70)
    for bid_size, ask_size in ((math.nan, -3.0), (math.inf, 7.0)):
        desk.core.handle("a", TradeSeen(symbol=EUR, ts_received=desk.now, px=1.1, qty=math.inf))
        desk.now = (desk.now // MINUTE + 1) * MINUTE
        desk.core.handle("a", quote(desk.now, bid_size=bid_size, ask_size=ask_size))
        desk.now += S
        desk.said += desk.core.on_time(desk.now)
        desk.quotes(5)
    readable(desk.said)
    sizes = [(one.bid_size, one.ask_size) for slice_ in desk.slices() for one in slice_.quotes]
    assert sizes[-2:] == [(0.0, 0.0), (0.0, 7.0)]
    assert all(math.isfinite(bar.volume) for _, bar in desk.minutes())


@pytest.mark.req("MKT-01", "MKT-02")
def test_whatever_an_adapter_says_before_it_connects_opens_nothing() -> None:
    desk = Desk(T0)
    desk.core.handle("a", Disconnected(ts_received=T0, reason="HTTP 401: the token is refused"))
    desk.core.handle("a", Malformed(ts_received=T0, detail="not listed at this exchange", symbol=EUR))
    for _ in range(60):
        desk.now += S
        assert not desk.core.on_time(desk.now)


def test_a_clock_that_was_set_back_is_in_the_log_once() -> None:
    feeds = (FeedSettings(name="a", adapter="recorded", venue="X", symbols=(EUR,)),)
    source = LiveSource(Settings(feeds=feeds), Run(data=LIVE), Account())
    with capture_logs() as logs:
        for now in (T0, T0 - S // 2, T0 + S, T0 + S - NS_PER_HOUR, T0 + 2 * S - NS_PER_HOUR):
            assert source._at(now) == now
    (line,) = logs
    assert line["log_level"] == "warning"
    assert (line["event"], line["seconds"]) == ("this machine's clock was set back", 3600.0)
