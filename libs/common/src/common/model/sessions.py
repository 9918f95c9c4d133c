"""When markets are open, by the clocks of New York. Tables and integers: nothing here reads a clock or a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from common.model.nyse import CLOSED, EARLY
from common.model.time import NEW_YORK, NS_PER_DAY, NS_PER_HOUR, NS_PER_WEEK, from_datetime, to_datetime

_SUNDAY_NOON_NS: Final = 3 * NS_PER_DAY + 12 * NS_PER_HOUR  # 1970-01-04
_SATURDAY: Final = 5
_OPENS: Final = time(9, 30)
_CLOSES_MINUTES: Final = 16 * 60


class Calendar(StrEnum):
    ALWAYS = "always"
    FX_WEEK = "fx_week"  # Sunday 17:00 to Friday 17:00 in New York
    US_EQUITIES = "us_equities"  # 9:30 to 16:00 on the days of the New York Stock Exchange


class Hours(NamedTuple):
    """One session, in ns UTC. A bar or an order of the very instant of the close still belongs to it."""

    opens: int
    closes: int


def is_open(calendar: Calendar, ts: int) -> bool:
    """Both ends included: what was decided at the last close can still be traded on."""
    if calendar is Calendar.ALWAYS:
        return True
    return any(one.opens <= ts <= one.closes for one in sessions(calendar, ts - 1, ts))


def sessions(calendar: Calendar, after: int, until: int) -> Iterator[Hours]:
    """Those that touch the span (`after`, `until`], in order of time; of ALWAYS there are none."""
    if calendar is Calendar.FX_WEEK:
        numbers = range((after - _SUNDAY_NOON_NS) // NS_PER_WEEK, (until - _SUNDAY_NOON_NS) // NS_PER_WEEK + 1)
        found: Iterator[Hours | None] = map(fx_week, numbers)
    elif calendar is Calendar.US_EQUITIES:
        found = map(us_day, range(after // NS_PER_DAY, until // NS_PER_DAY + 1))
    else:
        return
    yield from (one for one in found if one is not None and one.closes > after and one.opens <= until)


@lru_cache(maxsize=4096)
def fx_week(number: int) -> Hours:
    """The week that begins on a Sunday at noon UTC, well before New York's evening; number 0 is that of 1970-01-04."""
    sunday = to_datetime(_SUNDAY_NOON_NS + number * NS_PER_WEEK).date()
    opens, closes = (datetime.combine(day, time(17), NEW_YORK) for day in (sunday, sunday + timedelta(days=5)))
    return Hours(from_datetime(opens), from_datetime(closes))


@lru_cache(maxsize=16_384)
def us_day(number: int) -> Hours | None:
    """The session of the UTC day with this number since 1970, None for a day without one: it never spans midnight UTC. Where
    the table ends (before 1990, after 2032) every weekday is a full day.
    """
    day = date(1970, 1, 1) + timedelta(days=number)
    if day.weekday() >= _SATURDAY or f"{day:%m%d}" in CLOSED.get(day.year, ""):
        return None
    minutes = EARLY.get(day.isoformat(), _CLOSES_MINUTES)
    closes = time(*divmod(minutes, 60))
    return Hours(*(from_datetime(datetime.combine(day, at, NEW_YORK)) for at in (_OPENS, closes)))
