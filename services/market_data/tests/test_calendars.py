"""Missing bars are those of hours in which the market was open."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.sessions import Calendar, sessions
from common.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, Timeframe, from_datetime
from common.testing.builders import a
from market_data.calendars import calendar_of, in_session, missing, missing_by_day, missing_in

CALENDARS = st.sampled_from([Calendar.ALWAYS, Calendar.FX_WEEK, Calendar.US_EQUITIES])


def ny(day: int, hour: int, minute: int = 0, month: int = 7) -> int:
    """2018; 1 July is a Sunday, the 4th a holiday, and the 3rd ends at 13:00."""
    return from_datetime(datetime(2018, month, day, hour, minute, tzinfo=ZoneInfo("America/New_York")))


@pytest.mark.req("MKT-03", "MKT-07")
@pytest.mark.parametrize(
    ("calendar", "before", "ts", "base", "expected"),
    [
        (Calendar.FX_WEEK, ny(6, 17), ny(8, 17, 1), Timeframe.M1, 0),  # a weekend
        (Calendar.FX_WEEK, ny(6, 16, 58), ny(8, 17, 3), Timeframe.M1, 4),
        (Calendar.FX_WEEK, ny(2, 23, 59), ny(3, 0, 3), Timeframe.M1, 3),  # over midnight
        (Calendar.US_EQUITIES, ny(2, 16), ny(3, 9, 31), Timeframe.M1, 0),  # a night
        (Calendar.US_EQUITIES, ny(3, 13), ny(5, 9, 31), Timeframe.M1, 0),  # half a day and a holiday
        (Calendar.US_EQUITIES, ny(2, 15, 58), ny(3, 9, 35), Timeframe.M1, 2 + 4),
        (Calendar.US_EQUITIES, ny(2, 16), ny(3, 10), Timeframe.H1, 0),
        (Calendar.US_EQUITIES, ny(2, 16), ny(3, 12), Timeframe.H1, 2),  # 9:00 to 10:00 was partly open
        (Calendar.ALWAYS, ny(6, 17), ny(8, 17), Timeframe.H1, 47),
        (None, ny(2, 0), ny(6, 0), Timeframe.H1, 0),
    ],
)
def test_missing_bars_are_counted_while_the_market_is_open(
    calendar: Calendar | None, before: int, ts: int, base: Timeframe, expected: int
) -> None:
    assert missing(calendar, before, ts, base.ns) == expected


@pytest.mark.req("MKT-07")
def test_a_daily_series_of_shares_misses_the_days_of_the_exchange_and_no_holiday() -> None:
    day = Timeframe.D1.ns
    tuesday = from_datetime(datetime(2018, 7, 4, tzinfo=ZoneInfo("UTC")))  # the close of the bar of the 3rd
    assert missing(Calendar.US_EQUITIES, tuesday, tuesday + 2 * day, day) == 0  # the 4th
    assert missing(Calendar.US_EQUITIES, tuesday, tuesday + 3 * day, day) == 1  # the 5th


@pytest.mark.req("MKT-07")
@given(
    CALENDARS,
    st.sampled_from([Timeframe.M1, Timeframe.M15, Timeframe.H1, Timeframe.H4, Timeframe.D1]),
    st.integers(0, 10_000),
    st.integers(1, 400),
    st.integers(0, 59),
)
def test_missing_bars_are_those_that_a_loop_over_all_bars_finds(
    calendar: Calendar, base: Timeframe, start: int, steps: int, phase: int
) -> None:
    """Property: closed form against brute force, also for bars off the full hour."""
    before = ny(1, 0) + start * 30 * NS_PER_MINUTE + phase * NS_PER_MINUTE
    ts = before + steps * base.ns
    hours = list(sessions(calendar, before - base.ns, ts + base.ns))
    closes = range(before + base.ns, ts, base.ns)
    expected = sum(
        calendar is Calendar.ALWAYS or any(one.opens < close and close - base.ns < one.closes for one in hours)
        for close in closes
    )
    assert missing(calendar, before, ts, base.ns) == expected


@pytest.mark.req("MKT-07")
@given(CALENDARS, st.integers(0, 5000), st.lists(st.sampled_from([1, 1, 1, 2, 3, 17, 40, 70]), max_size=60))
def test_counting_a_column_at_once_is_the_sum_of_its_steps(calendar: Calendar, start: int, jumps: list[int]) -> None:
    ts = ny(1, 0) + start * NS_PER_HOUR + np.cumsum([0, *jumps]) * NS_PER_HOUR
    each = [missing(calendar, int(b), int(e), NS_PER_HOUR) for b, e in pairwise(ts)]
    assert missing_in(calendar, ts, NS_PER_HOUR) == sum(each)


@pytest.mark.req("MKT-07", "MKT-09")
@given(
    CALENDARS,
    st.sampled_from([Timeframe.M1, Timeframe.M15, Timeframe.H1, Timeframe.H4, Timeframe.D1]),
    st.integers(0, 10_000),
    st.integers(1, 400),
    st.integers(0, 59),
    st.integers(0, 59),
)
def test_what_is_missing_falls_on_the_days_in_which_it_would_have_closed(
    calendar: Calendar, base: Timeframe, start: int, steps: int, phase: int, off: int
) -> None:
    """Property: against a loop over all bars, also where the bar before the gap is off the grid of the one behind it."""
    before = ny(1, 0) + start * 30 * NS_PER_MINUTE + phase * NS_PER_MINUTE
    ts = before + steps * base.ns + off * NS_PER_MINUTE
    hours = list(sessions(calendar, before - base.ns, ts + base.ns))
    expected: dict[int, int] = {}
    for close in range(ts - base.ns, before, -base.ns):
        if calendar is Calendar.ALWAYS or any(
            one.opens < close and max(close - base.ns, before) < one.closes for one in hours
        ):
            number = (close - 1) // NS_PER_DAY
            expected[number] = expected.get(number, 0) + 1
    found = dict(missing_by_day(calendar, before, ts, base.ns))
    assert sum(found.values()) == missing(calendar, before, ts, base.ns)
    assert found == dict(sorted(expected.items()))


@pytest.mark.req("MKT-07", "MKT-09")
@given(CALENDARS, st.integers(0, 5000), st.lists(st.integers(1, 90), min_size=1, max_size=60))
def test_bars_of_closed_markets_are_told_from_those_of_open_ones(
    calendar: Calendar, start: int, jumps: list[int]
) -> None:
    base = Timeframe.M30.ns
    ts = ny(1, 0) + start * NS_PER_HOUR + np.cumsum(jumps) * 10 * NS_PER_MINUTE
    hours = list(sessions(calendar, int(ts[0]) - base, int(ts[-1])))
    open_ = [
        calendar is Calendar.ALWAYS or any(one.opens < close and close - base < one.closes for one in hours)
        for close in ts.tolist()
    ]
    assert in_session(calendar, ts, base).tolist() == open_


@pytest.mark.req("MKT-07")
def test_every_hour_of_2000_to_2030_is_in_the_fx_week_as_new_yorks_clock_says() -> None:
    zone = ZoneInfo("America/New_York")
    first, last = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) // 3600 for year in (2000, 2031))
    weeks: list[list[int]] = []
    for hour in range(first, last):  # the hour that begins there: New York's offset is whole hours
        local = datetime.fromtimestamp(hour * 3600, zone)
        week = local.weekday()
        if week < 4 or (week == 4 and local.hour < 17) or (week == 6 and local.hour >= 17):
            if weeks and weeks[-1][1] == hour:
                weeks[-1][1] = hour + 1
            else:
                weeks.append([hour, hour + 1])
    ours = [
        [max(one.opens // NS_PER_HOUR, first), min(one.closes // NS_PER_HOUR, last)]
        for one in sessions(Calendar.FX_WEEK, first * NS_PER_HOUR, last * NS_PER_HOUR - 1)
    ]
    assert ours == weeks
    assert len(weeks) == 1618
    assert list(sessions(Calendar.ALWAYS, first * NS_PER_HOUR, last * NS_PER_HOUR)) == []


@pytest.mark.req("MKT-07")
def test_every_market_has_its_calendar() -> None:
    def of(asset: AssetClass, base: Timeframe) -> Calendar | None:
        return calendar_of(a(Instrument, asset_class=asset), base)

    assert of(AssetClass.FX, Timeframe.M1) is Calendar.FX_WEEK
    assert of(AssetClass.FX, Timeframe.D1) is None
    assert of(AssetClass.CRYPTO, Timeframe.D1) is Calendar.ALWAYS
    assert of(AssetClass.EQUITY, Timeframe.D1) is Calendar.US_EQUITIES
