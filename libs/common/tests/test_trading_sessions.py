"""The sessions of the FX day against the time zones themselves and the exchanges' own calendars."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model import session_days
from common.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, from_datetime
from common.model.trading_sessions import (
    CLOSED,
    Edge,
    SessionHours,
    TradingSession,
    clock,
    edges_at,
    held,
    overlap,
    session,
    session_hours,
    sessions_at,
    upcoming,
)

SYDNEY, TOKYO, LONDON, NEW_YORK = TradingSession
# Written down once more, and not taken from the code: city, its zone, local opening and closing hour, exchange.
DESKS = (
    (SYDNEY, "Australia/Sydney", 7, 16, "XASX"),
    (TOKYO, "Asia/Tokyo", 9, 18, "XTKS"),
    (LONDON, "Europe/London", 8, 17, "XLON"),
    (NEW_YORK, "America/New_York", 8, 17, "XNYS"),
)
instants = st.integers(
    from_datetime(datetime(1998, 1, 1, tzinfo=UTC)), from_datetime(datetime(2032, 12, 1, tzinfo=UTC))
)


def ns(*moment: int) -> int:
    return from_datetime(datetime(*moment, tzinfo=UTC))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def exchanges() -> dict[str, dict[date, datetime]]:
    """Closing times by exchange and day, of the library's own."""
    library = pytest.importorskip("exchange_calendars", reason="needs the extra `calendars` of ballast-research")
    found: dict[str, dict[date, datetime]] = {}
    for _, zone, _, _, code in DESKS:
        calendar = library.get_calendar(code, start="1999-12-20", end="2031-01-10")
        closes: Any = calendar.schedule["close"].dt.tz_convert(zone)
        found[code] = {day.date(): at.to_pydatetime() for day, at in closes.items()}
    return found


def brute_force(at: datetime, exchanges: dict[str, dict[date, datetime]]) -> Iterator[TradingSession]:
    """By the clock on the wall of each city, and whether its exchange trades that day, and how long: before 15:00 is early."""
    for name, zone, opens, closes, code in DESKS:
        local = at.astimezone(ZoneInfo(zone))
        last = exchanges[code].get(local.date())
        if last is None or not opens <= local.hour < closes:
            continue
        early = (last.hour, last.minute) < (15, 0)
        if not early or (local.hour, local.minute) < (last.hour, last.minute):
            yield name


@pytest.mark.req("REG-10")
def test_every_hour_from_2000_to_2030_has_the_sessions_that_clocks_and_exchanges_say(
    exchanges: dict[str, dict[date, datetime]],
) -> None:
    at, wrong, hours = datetime(2000, 1, 1, tzinfo=UTC), [], 0
    while at.year <= 2030:
        if set(sessions_at(from_datetime(at))) != set(brute_force(at, exchanges)):
            wrong.append(at)
        at, hours = at + timedelta(hours=1), hours + 1
    assert hours == 271_752
    assert wrong == []


@pytest.mark.req("REG-10")
@given(instants)
def test_a_session_is_open_from_its_opening_to_just_before_its_close(ts: int) -> None:
    for one in clock(ts):
        assert one.is_open(ts) == (one.session in sessions_at(ts))
        assert one.session in sessions_at(one.opens)
        assert one.session not in sessions_at(one.opens - 1)
        assert one.session in sessions_at(one.closes - 1)
        assert one.session not in sessions_at(one.closes)
        assert ts < one.closes


@pytest.mark.req("REG-10")
@given(instants, st.integers(0, 40))
def test_the_sessions_of_a_span_come_once_each_in_order_and_chain_without_a_gap(start: int, days: int) -> None:
    middle, end = start + days * NS_PER_DAY // 2, start + days * NS_PER_DAY
    found = list(session_hours(start, end))
    assert found == sorted(set(found))
    assert set(found) == {*session_hours(start, middle), *session_hours(middle, end)}
    expected = {one for which in TradingSession for one in _by_day(which, start, end)}
    assert set(found) == expected


def _by_day(which: TradingSession, start: int, end: int) -> Iterator[SessionHours]:
    for number in range(start // NS_PER_DAY - 1, end // NS_PER_DAY + 2):
        one = held(which, number)
        if one is not None and one.opens < end and one.closes > start:
            yield one


@pytest.mark.req("REG-10")
@pytest.mark.parametrize(
    ("ts", "name"),
    [
        (ns(2024, 1, 10, 3), "Tokyo"),
        (ns(2024, 1, 10, 8), "London"),
        (ns(2024, 7, 10, 7), "London"),  # summer time: an hour earlier in UTC
        (ns(2024, 1, 10, 7), "Tokyo"),
        (ns(2024, 1, 10, 14), "New York"),
        (ns(2024, 7, 10, 12), "New York"),
        (ns(2024, 1, 10, 22), "Sydney"),
        (ns(2024, 1, 13, 12), CLOSED),  # a Saturday
        (ns(2024, 12, 25, 14), CLOSED),  # Christmas
        (ns(2024, 7, 4, 14), "London"),  # Independence Day
        (ns(2024, 7, 4, 18), CLOSED),
        (ns(2024, 12, 24, 12, 29), "London"),
        (ns(2024, 12, 24, 12, 31), CLOSED),  # half a day in London, and New York has not opened
    ],
)
def test_one_name_for_every_hour(ts: int, name: str) -> None:
    assert session(ts) == name


@pytest.mark.req("REG-10")
@pytest.mark.parametrize(
    ("ts", "name"),
    [
        (ns(2024, 1, 10, 14), "London+New York"),
        (ns(2024, 3, 20, 12), "London+New York"),  # New York is on summer time already, London is not
        (ns(2024, 7, 10, 7), "Tokyo+London"),
        (ns(2024, 1, 10, 3), "Sydney+Tokyo"),
        (ns(2024, 1, 10, 10), ""),
    ],
)
def test_overlaps_are_named_by_who_opened_first(ts: int, name: str) -> None:
    assert overlap(ts) == name


@pytest.mark.req("REG-10")
def test_windows_of_opening_and_close_are_as_long_as_asked() -> None:
    opens = ns(2024, 1, 10, 8)
    assert edges_at(opens) == ((TOKYO, Edge.CLOSE), (LONDON, Edge.OPEN))
    assert (LONDON, Edge.OPEN) in edges_at(opens + 59 * NS_PER_MINUTE)
    assert edges_at(opens + NS_PER_HOUR) == ()
    assert edges_at(opens - 1, 15) == ()
    assert edges_at(ns(2024, 1, 10, 16, 50), 15) == ((LONDON, Edge.CLOSE),)
    assert (LONDON, Edge.CLOSE) not in edges_at(ns(2024, 1, 10, 17), 15)


@pytest.mark.req("REG-10")
def test_the_next_session_is_found_beyond_the_longest_holidays_that_a_city_has_had() -> None:
    golden_week = upcoming(TOKYO, ns(2019, 4, 26, 9))  # ten days: the emperor abdicated
    assert golden_week.opens == ns(2019, 5, 7)
    for year in range(session_days.FIRST_YEAR, session_days.LAST_YEAR):
        for day in range(0, 366, 3):
            clock(ns(year, 1, 1) + day * NS_PER_DAY)
