"""Missing bars are those of hours in which the market was open."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.sessions import Calendar, sessions
from common.model.time import NS_PER_HOUR, NS_PER_MINUTE, Timeframe, from_datetime
from common.testing.builders import a
from market_data.calendars import calendar_of, missing, missing_in

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


@pytest.mark.req("MKT-07")
def test_every_market_has_its_calendar() -> None:
    def of(asset: AssetClass, base: Timeframe) -> Calendar | None:
        return calendar_of(a(Instrument, asset_class=asset), base)

    assert of(AssetClass.FX, Timeframe.M1) is Calendar.FX_WEEK
    assert of(AssetClass.FX, Timeframe.D1) is None
    assert of(AssetClass.CRYPTO, Timeframe.D1) is Calendar.ALWAYS
    assert of(AssetClass.EQUITY, Timeframe.D1) is Calendar.US_EQUITIES
