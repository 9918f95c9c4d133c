"""Sessions are those of the exchanges' own calendars, daylight saving and holidays included."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model import nyse
from common.model.sessions import Calendar, fx_week, is_open, sessions, us_day
from common.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_WEEK, from_datetime, to_datetime

NEW_YORK = ZoneInfo("America/New_York")


def local(*moment: int) -> int:
    return from_datetime(datetime(*moment, tzinfo=NEW_YORK))  # type: ignore[arg-type]


def number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


@pytest.mark.req("MKT-07")
def test_every_session_of_new_york_from_1990_to_2032_is_that_of_exchange_calendars() -> None:
    library = pytest.importorskip("exchange_calendars", reason="needs the extra `calendars` of ballast-research")
    calendar = library.get_calendar("XNYS", start=f"{nyse.FIRST_YEAR}-01-01", end=f"{nyse.LAST_YEAR}-12-31")
    frame = calendar.schedule[["open", "close"]].map(lambda at: from_datetime(at.to_pydatetime()))
    theirs = list(frame.itertuples(index=False, name=None))
    first, last = (from_datetime(datetime(year, 1, 1, tzinfo=UTC)) for year in (nyse.FIRST_YEAR, nyse.LAST_YEAR + 1))
    assert [tuple(one) for one in sessions(Calendar.US_EQUITIES, first, last)] == theirs


@pytest.mark.req("MKT-07")
@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ((2018, 7, 3, 12, 59), True),
        ((2018, 7, 3, 13, 1), False),  # the day before Independence Day
        ((2018, 7, 4, 12, 0), False),
        ((2018, 12, 5, 12, 0), False),  # mourning for George H. W. Bush
        ((2018, 12, 6, 9, 29), False),
        ((2018, 12, 6, 16, 0), True),
        ((2018, 12, 8, 12, 0), False),
    ],
)
def test_shares_trade_when_the_exchange_says_so(moment: tuple[int, ...], open_: bool) -> None:
    assert is_open(Calendar.US_EQUITIES, local(*moment)) is open_


@pytest.mark.req("MKT-07")
@given(st.integers(number(date(1971, 1, 1)), number(date(2040, 1, 1))), st.integers(0, 23), st.integers(0, 59))
def test_the_fx_week_is_sunday_to_friday_at_five_by_new_yorks_clock(day: int, hour: int, minute: int) -> None:
    ts = day * NS_PER_DAY + hour * NS_PER_HOUR + minute * NS_PER_MINUTE
    there = to_datetime(ts).astimezone(NEW_YORK)
    week, past = there.weekday(), (there.hour, there.minute)
    opened = week < 4 or (week == 4 and past <= (17, 0)) or (week == 6 and past >= (17, 0))
    assert is_open(Calendar.FX_WEEK, ts) is opened


@pytest.mark.req("MKT-07")
def test_the_fx_week_is_an_hour_later_in_utc_in_winter() -> None:
    hours = {(one.closes // NS_PER_HOUR) % 24 for one in map(fx_week, range(2500, 2560))}
    assert hours == {21, 22}
    assert all(one.closes - one.opens == 5 * NS_PER_DAY for one in map(fx_week, range(2500, 2560)))


@pytest.mark.req("MKT-07")
@given(st.sampled_from([Calendar.FX_WEEK, Calendar.US_EQUITIES]), st.integers(0, 3000), st.integers(1, 40))
def test_sessions_of_a_span_are_those_that_touch_it_in_order(calendar: Calendar, start: int, days: int) -> None:
    after, until = start * 6 * NS_PER_DAY, (start * 6 + days) * NS_PER_DAY
    wide = list(sessions(calendar, after - NS_PER_WEEK, until + NS_PER_WEEK))
    assert wide == sorted(wide)
    assert list(sessions(calendar, after, until)) == [one for one in wide if one.closes > after and one.opens <= until]


def test_beyond_the_table_every_weekday_is_a_full_day() -> None:
    assert us_day(number(date(2040, 12, 25)))  # a Tuesday
    assert us_day(number(date(2040, 12, 29))) is None
