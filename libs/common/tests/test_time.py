"""Periods end where the calendar says, through every change of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.run import pace
from common.model.time import DayClose, Timeframe, from_datetime, iso, period_close, to_datetime

ZONE = ZoneInfo("America/New_York")
START = datetime(2016, 1, 1, tzinfo=UTC)
NY = DayClose.NEW_YORK_17
instants = st.integers(0, 4_102_444_800_000_000_000)


@pytest.mark.req("MKT-04")
@pytest.mark.parametrize("timeframe", [Timeframe.D1, Timeframe.W1])
def test_new_york_days_and_weeks_end_at_five_in_the_afternoon_there(timeframe: Timeframe) -> None:
    """Every hour of two leap-containing years against a search hour by hour in the zone's own clock."""
    hours = [START + timedelta(hours=n) for n in range(2 * 366 * 24)]
    ends, following = {}, None
    for hour in reversed(hours):
        local = hour.astimezone(ZONE)
        if local.hour == 17 and (timeframe is Timeframe.D1 or local.weekday() == 4):
            following = from_datetime(hour)
        ends[from_datetime(hour)] = following
    for ts, end in ends.items():
        if end is not None:
            assert period_close(ts, timeframe, NY) == end
            assert period_close(ts - 1, timeframe, NY) == end
            assert period_close(end + 1, timeframe, NY) > end


@pytest.mark.req("MKT-04")
@given(instants, st.sampled_from(Timeframe))
def test_other_periods_are_whole_multiples_that_end_at_or_after_the_instant(ts: int, timeframe: Timeframe) -> None:
    end = period_close(ts, timeframe)
    assert 0 <= end - ts < timeframe.ns
    assert period_close(end, timeframe) == end
    if timeframe is Timeframe.W1:
        assert (to_datetime(end).weekday(), to_datetime(end).hour) == (0, 0)
    else:
        assert end % timeframe.ns == 0


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 (hypothesis adds it)
def test_a_datetime_survives_to_the_microsecond(moment: datetime) -> None:
    assert to_datetime(from_datetime(moment)) == moment


def test_a_datetime_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="datetime without a time zone"):
        from_datetime(datetime(2020, 1, 1))  # noqa: DTZ001 (that is the point)


def test_time_reads_as_iso_8601() -> None:
    assert iso(1_483_452_900_000_000_000) == "2017-01-03T14:15:00Z"


@pytest.mark.parametrize(
    ("speed", "paced"),
    [
        ("max", (None, None)),
        ("5", (0.2, None)),
        ("0.5", (2.0, None)),
        ("60x", (None, 1 / 60e9)),
        ("1.5x", (None, 1 / 1.5e9)),
    ],
)
def test_a_speed_is_slices_a_second_or_a_multiple_of_real_time(speed: str, paced: tuple[float | None, ...]) -> None:
    assert pace(speed) == pytest.approx(paced)


@pytest.mark.parametrize("speed", ["", "fast", "-1", "0", "0x", "5 x", "nan", "1e3", "x"])
def test_a_speed_that_is_none_is_refused_with_what_was_expected(speed: str) -> None:
    with pytest.raises(ValueError, match=f'Expected a speed such as "max", .* got {speed!r}'):
        pace(speed)
