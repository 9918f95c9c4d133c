"""The economic calendar is said day by day, a week ahead, and never more than was known (MKT-07)."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path

import pytest
from conftest import SHARED_DATA
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DataError
from common.messages import EventsScheduled, MarketSlice
from common.messages.market_data import EconomicEvent, Impact
from common.model.time import NS_PER_DAY, NS_PER_HOUR, from_datetime
from market_data.events import (
    AHEAD_NS,
    BEFORE_NS,
    Schedule,
    Scheduled,
    day_of,
    pinned,
    punctuality,
    read,
    schedule_of,
)
from market_data.feeds import open_feed
from market_data.settings import Settings
from market_data.source import FeedSource
from market_data.state import State

HEADER = "timestamp,currency,impact,event\n"
CALENDAR = SHARED_DATA / "calendar" / "economic_calendar_201911-202005.csv.gz"
START = from_datetime(datetime(2017, 1, 2, tzinfo=UTC))


def written(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "calendar.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows))
    return path


@pytest.mark.req("MKT-07")
def test_events_are_read_in_order_of_time_each_once_without_holidays(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2020-03-18T18:00:00Z,USD,high,Federal Funds Rate",
        "2020-03-06 08:30:00-05:00,usd,High,Non-Farm Employment Change",
        "",
        "2020-04-10,USD,non-economic,Bank Holiday",
        "2020-03-18T18:00:00,USD,high,Federal Funds Rate",
    )
    payrolls, fed = (entry.event for entry in read(path))
    assert payrolls == EconomicEvent(
        ts_event=from_datetime(datetime(2020, 3, 6, 13, 30, tzinfo=UTC)),
        currency="USD",
        impact=Impact.HIGH,
        name="Non-Farm Employment Change",
    )
    assert fed.ts_event == from_datetime(datetime(2020, 3, 18, 18, tzinfo=UTC))


@pytest.mark.req("MKT-07")
@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "2020-13-06,USD,high,Payrolls",
            r"row 2: timestamp '2020-13-06', expected a time such as 2020-03-06T13:30:00Z",
        ),
        (
            "2020-03-06,USD,huge,Payrolls",
            r"row 2: impact 'huge', expected one of low, medium, high, non-economic, holiday",
        ),
        ("2020-03-06,U$,high,Payrolls", r"row 2: currency 'U\$', expected one such as USD, or ALL"),
        (
            "9999-12-31,USD,high,Payrolls",
            r"row 2: timestamp '9999-12-31', expected a time such as .* from 1700 to 2250",
        ),
        ("0001-01-01T00:00:00+14:00,USD,high,Payrolls", r"row 2: timestamp .* from 1700 to 2250"),
        ("2020-03-06,USD,high", r"row 2: expected the name of an event, found none"),
    ],
)
def test_a_bad_row_is_named_with_its_value_and_what_was_expected(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(written(tmp_path, row))


@pytest.mark.req("MKT-07")
def test_a_file_that_is_no_calendar_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no column impact, event"):
        read(written(tmp_path, header="date,currency\n"))
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "nowhere.csv")


@pytest.mark.req("MKT-07")
def test_more_events_than_a_message_should_hold_are_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, *(f"2020-03-06T13:30:00Z,USD,low,event {i}" for i in range(2001)))
    with pytest.raises(DataError, match="more than 2000 events in the week after 2020-03-06T13:30:00Z"):
        schedule_of(Settings(economic_calendar=str(path)))
    assert schedule_of(Settings()) is None


@pytest.mark.req("MKT-07")
def test_a_run_says_the_week_ahead_in_front_of_the_first_slice_of_every_day(tmp_path: Path) -> None:
    days = [f"2017-01-{day:02}T13:30:00Z,USD,high,number {day}" for day in range(1, 29)]
    settings = Settings(economic_calendar=str(written(tmp_path, *days)))
    feed = open_feed("builtin-h1", settings=settings, start_ns=START, end_ns=START + 10 * NS_PER_DAY)
    plain = list(FeedSource(Settings(), feed).messages())
    said = list(FeedSource(settings, feed).messages())
    assert [message for message in said if not isinstance(message, EventsScheduled)] == plain
    pairs = [(one, after) for one, after in pairwise(said) if isinstance(one, EventsScheduled)]
    assert len(pairs) == len({day_of(one.ts_event) for one in plain if isinstance(one, MarketSlice)}) == 9
    assert all(isinstance(after, MarketSlice) and after.ts_event == one.ts_event for one, after in pairs)
    first, second = pairs[0][0], pairs[1][0]
    assert [event.name for event in first.events] == [f"number {day}" for day in (1, *range(2, 9))]
    assert [event.name for event in second.events] == [f"number {day}" for day in range(3, 10)]


@pytest.mark.req("MKT-07")
def test_a_restarted_source_says_the_calendar_of_a_day_only_once(tmp_path: Path) -> None:
    settings = Settings(economic_calendar=str(written(tmp_path, "2017-01-05T13:30:00Z,USD,high,Claims")))
    feed = open_feed("builtin-h1", settings=settings, start_ns=START, end_ns=START + 4 * NS_PER_DAY)
    whole = list(FeedSource(settings, feed).steps(0))
    before, after = FeedSource(settings, feed), FeedSource(settings, feed)
    begun = list(islice(before.steps(0), 30))
    after.state = before.state
    assert [*begun, *after.steps(30)] == whole


@pytest.mark.req("MKT-07", "REG-12")
def test_a_source_restarted_with_a_newer_calendar_says_it_at_once_and_not_tomorrow(tmp_path: Path) -> None:
    claims = "2017-01-05T13:30:00Z,USD,high,Claims"
    settings = Settings(economic_calendar=str(written(tmp_path, claims)))
    feed = open_feed("builtin-h1", settings=settings, start_ns=START, end_ns=START + 4 * NS_PER_DAY)
    before = FeedSource(settings, feed)
    list(islice(before.steps(0), 6))
    written(tmp_path, "2017-01-03T01:00:00Z,USD,high,Just over", claims, "2017-01-03T15:00:00Z,EUR,high,Speech")
    after = FeedSource(settings, feed)
    after.state = before.state
    said = [message for messages in islice(after.steps(6), 12) for message in messages]
    scheduled = [message for message in said if isinstance(message, EventsScheduled)]
    assert isinstance(said[0], EventsScheduled)
    assert len(scheduled) == 1
    assert [event.name for event in scheduled[0].events] == ["Just over", "Speech", "Claims"]


@pytest.mark.req("MKT-07")
def test_an_event_that_stands_there_twice_is_known_since_the_earlier_of_both_announcements(tmp_path: Path) -> None:
    event = "2020-03-03T15:00:00Z,USD,high,Emergency cut"
    rows = (f"{event},2020-03-03T14:59:00Z", f"{event},2020-03-02T09:00:00+01:00", f"{event},2020-03-03T10:00:00Z")
    (entry,) = read(written(tmp_path, *rows, header=HEADER.strip() + ",announced\n"))
    assert entry.announced_ns == from_datetime(datetime(2020, 3, 2, 8, tzinfo=UTC))


@pytest.mark.req("MKT-07")
def test_a_run_that_names_the_events_of_its_calendar_is_refused_others(tmp_path: Path) -> None:
    path = written(tmp_path, "2020-03-06T13:30:00Z,USD,high,Payrolls")
    settings = Settings(economic_calendar=pinned(str(path)))
    first = schedule_of(settings)
    path.write_text(
        "event,timestamp,currency,impact,actual\nPayrolls,2020-03-06T08:30:00-05:00,usd,High,275K\n"
    )  # the same events otherwise written, with what came of them
    assert schedule_of(settings) == first
    assert pinned(pinned(str(path))) == pinned(str(path)) == settings.economic_calendar
    for changed in (
        "2020-03-06T13:31:00Z,USD,high,Payrolls",
        "2020-03-06T13:30:00Z,EUR,high,Payrolls",
        "2020-03-06T13:30:00Z,USD,medium,Payrolls",
        "2020-03-06T13:30:00Z,USD,high,Payroll",
    ):
        written(tmp_path, changed)
        assert pinned(str(path)) != settings.economic_calendar
        with pytest.raises(DataError, match=r"calendar\.csv: its events have the sha256 .* expected .*as it was"):
            schedule_of(settings)
    written(tmp_path, "2020-03-06T13:30:00Z,USD,high,Payrolls,2020-03-01", header=HEADER.strip() + ",announced\n")
    with pytest.raises(DataError, match="as it was"):
        schedule_of(settings)


@pytest.mark.req("MKT-07")
def test_what_was_announced_late_is_not_said_before(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2020-03-03T15:00:00Z,USD,high,Emergency cut,2020-03-03T14:59:00Z",
        "2020-03-03T16:00:00Z,USD,high,Known for weeks,",
        header=HEADER.strip() + ",announced\n",
    )
    schedule = schedule_of(Settings(economic_calendar=str(path)))
    assert schedule is not None
    morning = from_datetime(datetime(2020, 3, 3, 1, tzinfo=UTC))
    assert [event.name for event in schedule.at(morning).events] == ["Known for weeks"]
    assert len(schedule.at(morning + 14 * NS_PER_HOUR).events) == 2


def made(*hours: int) -> Schedule:
    event = EconomicEvent(ts_event=0, currency="USD", impact=Impact.LOW, name="x")
    times = (START + hour * NS_PER_HOUR for hour in sorted(hours))
    entries = (
        Scheduled(EconomicEvent(ts_event=ts, currency=event.currency, impact=event.impact, name="x"), 0) for ts in times
    )
    return Schedule("fx", tuple(entries))


@pytest.mark.req("MKT-07")
@given(
    st.lists(st.integers(-100, 1000), max_size=40),
    st.lists(st.integers(1, 30), min_size=1, max_size=60),
)
def test_at_every_slice_the_next_six_days_and_the_day_before_have_been_said(hours: list[int], steps: list[int]) -> None:
    """Property: whatever the pace of slices, and nothing beyond the week ahead is ever said."""
    schedule, state, ts, heard = made(*hours), State(seen=[]), START, set[int]()
    for step in steps:
        ts += step * NS_PER_HOUR
        one = MarketSlice(ts_event=ts, book="fx", step=1)
        for message in schedule.beside([one], state):
            if isinstance(message, EventsScheduled):
                assert len(message.events) == len([e for e in message.events if e.ts_event < ts + AHEAD_NS])
                heard |= {event.ts_event for event in message.events}
        within = {START + hour * NS_PER_HOUR for hour in hours}
        begin = max(ts - BEFORE_NS, START + steps[0] * NS_PER_HOUR - BEFORE_NS)
        assert {at for at in within if begin <= at < ts + 6 * NS_PER_DAY} <= heard


@pytest.mark.req("MKT-07")
def test_a_calendar_whose_releases_wander_through_the_day_is_told_from_one_that_keeps_its_hours() -> None:
    def weekly(*hours: int) -> list[EconomicEvent]:
        return [
            EconomicEvent(
                ts_event=START + (7 * 24 * i + hour) * NS_PER_HOUR, currency="USD", impact=Impact.LOW, name="Claims"
            )
            for i, hour in enumerate(hours)
        ]

    assert punctuality(weekly(13, 13, 12, 14, 13, 12)) == 1.0  # an hour is daylight saving
    assert punctuality(weekly(0, 23, 0, 0)) == 1.0
    assert punctuality(weekly(13, 13, 3, 20)) == 0.5
    assert punctuality(weekly(13, 13, 3)) is None


@pytest.mark.req("MKT-07")
@pytest.mark.skipif(not CALENDAR.exists(), reason="needs ../shared/data")
def test_half_a_year_of_real_events_is_read() -> None:
    entries = read(CALENDAR)
    assert len(entries) == 2482 - 86 - 4  # without holidays, and what is there twice
    payrolls = [entry.event.ts_event for entry in entries if entry.event.name == "Non-Farm Employment Change"]
    assert from_datetime(datetime(2019, 12, 6, 13, 30, tzinfo=UTC)) in payrolls
    schedule = schedule_of(Settings(economic_calendar=str(CALENDAR)))
    assert schedule is not None
    events = [entry.event for entry in entries]
    until = from_datetime(
        datetime(2019, 12, 18, 12, tzinfo=UTC)
    )  # from then on weekly claims wander through day and night
    early, late = ([event for event in events if (event.ts_event < until) is first] for first in (True, False))
    assert (punctuality(early) or 0) > 0.9
    assert 0 < (punctuality(late) or 0) < 0.4
    times = [event.ts_event for event in events]
    assert max(len(schedule.at(ts).events) for ts in times) < 150
