"""What recorded prices lack, what stands still in them and how late they came is counted by instrument and day (MKT-09)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import MarketDataEnded
from common.messages.market_data import QuarantineReason
from common.model.instrument import Instrument
from common.model.sessions import Calendar
from common.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, Timeframe, from_datetime
from common.testing.builders import a
from market_data.feed import RawBar
from market_data.feeds.column_feed import ColumnFeed
from market_data.feeds.rows import Rows, arrivals
from market_data.grades import BOUNDS, GRADES, grade
from market_data.quality import Quality, examine, judge, stale_in
from market_data.settings import Settings
from market_data.source import FeedSource

SETTINGS = Settings()


def day(*of: int) -> int:
    return (date(*of) - date(1970, 1, 1)).days


# --- what is not there ---------------------------------------------------------------------------------------------------

FRIDAY = from_datetime(datetime(2017, 6, 2, 12, tzinfo=UTC))


def minutes(ts: list[int], px: list[float] | None = None) -> ColumnFeed:
    at, close = np.array(ts, dtype=np.int64), np.array(px or [1.1] * len(ts))
    values = dict.fromkeys(("open", "high", "low", "close"), close)
    rows = Rows(RawBar, at, arrivals(at, repeats=False), values)
    return ColumnFeed((a(Instrument),), (Timeframe.M1,), (), (rows,))


def told(ts: list[int]) -> Quality:
    (found,) = judge(minutes(ts), SETTINGS, stale_bars=10**6)
    return found


@pytest.mark.req("MKT-09")
def test_an_instrument_of_which_every_row_was_refused_is_told_with_the_worst_grade() -> None:
    (found,) = judge(minutes([FRIDAY, FRIDAY + NS_PER_MINUTE], [-1.0, 0.0]), SETTINGS, stale_bars=15)
    assert (found.total.rows, found.total.bars, found.total.refused) == (2, 0, {QuarantineReason.NOT_POSITIVE: 2})
    assert (found.total.grade, found.total.completeness, found.first_ns) == ("F", None, 0)


@pytest.mark.req("MKT-09", "MKT-07")
def test_a_weekend_is_no_gap_and_an_hour_of_it_that_was_open_is_one_on_its_own_day() -> None:
    friday = [FRIDAY + i * NS_PER_MINUTE for i in range(8 * 60 + 60)]  # to 20:59 UTC, a minute before the week ends
    sunday = FRIDAY + 2 * NS_PER_DAY + 9 * NS_PER_HOUR
    found = told([*friday, *(sunday + i * NS_PER_MINUTE for i in range(31, 240))])
    assert found.calendar is Calendar.FX_WEEK
    assert (found.total.missing, found.total.gaps, found.total.longest_gap_s) == (31, 1, 31 * 60.0)
    assert found.total.completeness == 1 - 31 / (540 + 209 + 31)
    assert {number: of.missing for number, of in found.days.items() if of.missing} == {
        day(2017, 6, 2): 1,
        day(2017, 6, 4): 30,
    }
    assert [(gap.missing, gap.before_ns) for gap in found.longest] == [(31, friday[-1])]


@pytest.mark.req("MKT-09")
def test_a_day_without_a_row_is_told_and_is_not_among_the_worst_of_those_that_have_some() -> None:
    monday = FRIDAY + 3 * NS_PER_DAY
    found = told([monday + i * NS_PER_MINUTE for i in (*range(100), *range(2 * 1440, 2 * 1440 + 50))])
    assert found.absent_days == 1
    assert found.days[day(2017, 6, 6)].completeness == 0.0
    assert found.days[day(2017, 6, 6)].grade == "F"
    assert found.worst(5) == [day(2017, 6, 7), day(2017, 6, 5)]  # 50 minutes of 770, 100 of 720


@pytest.mark.req("MKT-09", "MKT-07")
@given(st.lists(st.integers(0, 6000), min_size=2, max_size=80, unique=True), st.integers(0, 3))
def test_missing_minutes_of_days_and_of_all_are_those_that_a_loop_counts(kept: list[int], shift: int) -> None:
    """Property: against brute force over every minute, and equal to the gaps that a run counts."""
    start = FRIDAY + shift * 7 * NS_PER_HOUR
    ts = [start + minute * NS_PER_MINUTE for minute in sorted(kept)]
    found = told(ts)
    closes = range(ts[0], ts[-1] + 1, NS_PER_MINUTE)
    week = FRIDAY + 9 * NS_PER_HOUR, FRIDAY + 57 * NS_PER_HOUR  # closes Friday 21:00 UTC, opens Sunday 21:00
    should = [at for at in closes if at <= week[0] or at > week[1]]
    there = set(ts)
    expected = Counter((at - 1) // NS_PER_DAY for at in should if at not in there)
    assert {number: of.missing for number, of in found.days.items() if of.missing} == dict(expected)
    assert found.total.missing == sum(expected.values())
    assert found.total.expected == len(should)
    assert found.total.outside == sum(at not in set(should) for at in ts)
    ended = list(FeedSource(msgspec.structs.replace(SETTINGS, timeframes=()), minutes(ts)).messages())[-1]
    assert isinstance(ended, MarketDataEnded)
    assert ended.gaps == found.total.missing


# --- what stands still, and grades ----------------------------------------------------------------------------------------


@pytest.mark.req("MKT-09")
def test_a_run_without_any_move_is_stale_and_a_shorter_one_is_not() -> None:
    close = [1.0, *[1.1] * 4, 1.2, *[1.3] * 3, 1.4, 1.4, 1.4, 1.4]
    high = list(close)
    high[11] = 1.5  # moved within the bar
    low = list(close)
    assert stale_in(high, low, close, 3).tolist() == [False] * 2 + [True] * 3 + [False] * 8
    assert stale_in(high, low, close, 2).tolist() == [False] * 2 + [True] * 3 + [False] * 2 + [True] * 2 + [False] * 4
    assert stale_in([], [], [], 2).tolist() == []


@pytest.mark.req("MKT-09")
@given(*(st.floats(0, 1) for _ in range(6)))
def test_a_grade_never_rises_when_something_gets_worse(
    c: float, r: float, s: float, dc: float, dr: float, ds: float
) -> None:
    worse = grade(c * (1 - dc), min(1, r + dr), min(1, s + ds))
    assert GRADES.index(worse) >= GRADES.index(grade(c, r, s))


@pytest.mark.req("MKT-09")
def test_grades_end_at_their_bounds() -> None:
    for letter, bounds in BOUNDS.items():
        assert grade(*bounds) == letter
        below = GRADES[GRADES.index(letter) + 1]
        assert grade(bounds.complete_at_least - 1e-9, 0, 0) == below
        assert grade(1, bounds.refused_at_most + 1e-9, 0) == below
        assert grade(1, 0, bounds.stale_at_most + 1e-9) == below
    assert grade(None, 0, 0) == "A"


# --- recorded data -------------------------------------------------------------------------------------------------------


@pytest.mark.req("MKT-09", "MKT-03")
def test_the_bad_print_of_google_is_found(shared_data: Path) -> None:
    (found,) = examine(shared_data / "equities/stocks_daily", SETTINGS, "GOOG", stale_bars=15)
    bad = found.days[day(2008, 9, 30)]
    assert (bad.refused, bad.grade) == ({QuarantineReason.OUTLIER: 1}, "F")
    assert day(2008, 9, 30) in found.worst(3)
    assert found.calendar is Calendar.US_EQUITIES
    assert found.total.missing == 3  # the three refused days; no holiday of ten years is one of them


@pytest.mark.req("MKT-09")
def test_minutes_in_which_nobody_traded_are_counted(shared_data: Path) -> None:
    found = {
        one.instrument_id: one for one in examine(shared_data / "crypto/venues_m1", SETTINGS, "BTC-USDT", stale_bars=15)
    }
    total = 14 * 1440
    for venue, there in (("BINANCE", total), ("COINBASE", 15_815), ("KRAKEN", 13_277)):  # rows of the files
        one = found[f"BTC-USDT.{venue}"]
        edges = total - (one.last_ns - one.first_ns) // NS_PER_MINUTE - 1  # before the first and after the last row
        assert (one.total.bars, one.total.missing) == (there, total - there - edges)


@pytest.mark.req("MKT-09", "MKT-03")
def test_crossed_quotes_of_a_broker_are_counted(shared_data: Path) -> None:
    (found,) = examine(shared_data / "fx/ticks", SETTINGS, "EUR-USD", stale_bars=15)
    assert found.total.refused == {QuarantineReason.CROSSED: 28_132}  # bid > ask in so many of its 256,970 rows
    assert found.total.grade == "F"


@pytest.mark.req("MKT-09", "MKT-07")
def test_a_year_of_minutes_has_no_gap_on_a_saturday(shared_data: Path) -> None:
    (found,) = examine(shared_data / "fx/m1", SETTINGS, "EUR-USD", stale_bars=15)
    saturdays = {number for number in found.days if (date(1970, 1, 1) + timedelta(days=number)).weekday() == 5}
    assert not saturdays
    assert (found.total.bars, found.total.outside) == (371_635, 0)
    assert found.longest[0].missing == 1440  # Christmas: brokers close, the week of the market does not
    assert found.worst(1) == [day(2017, 12, 25)]


@pytest.mark.req("MKT-09")
def test_two_clocks_tell_the_latency_and_that_the_recorders_is_behind(shared_data: Path) -> None:
    found = {
        one.instrument_id: one for one in examine(shared_data / "crypto/ticks", SETTINGS, "BTC-USDT", stale_bars=15)
    }
    latency = found["BTC-USDT.BINANCE-SPOT"].total.latency
    assert latency is not None
    assert latency.rows == 9757
    assert latency.median_ms == pytest.approx(-1270, abs=5)
    assert latency.behind == 1.0
    assert 0 < latency.jitter_ms < 300
    (of_day,) = found["BTC-USDT.BINANCE-SPOT"].days.values()
    assert of_day.latency == latency
