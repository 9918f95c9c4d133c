"""Time is an integer: nanoseconds since 1970, UTC. Nothing here reads a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

NS_PER_SECOND: Final = 1_000_000_000
NS_PER_MINUTE: Final = 60 * NS_PER_SECOND
NS_PER_HOUR: Final = 60 * NS_PER_MINUTE
NS_PER_DAY: Final = 24 * NS_PER_HOUR
NS_PER_WEEK: Final = 7 * NS_PER_DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MONDAY_NS: Final = 4 * NS_PER_DAY  # 1970-01-05; the epoch was a Thursday
NEW_YORK: Final = ZoneInfo("America/New_York")


class Timeframe(StrEnum):
    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"
    W1 = "1w"

    @property
    def ns(self) -> int:
        """Length in nanoseconds."""
        return _LENGTH[self]


_LENGTH: Final = {
    Timeframe.M1: NS_PER_MINUTE,
    Timeframe.M5: 5 * NS_PER_MINUTE,
    Timeframe.M15: 15 * NS_PER_MINUTE,
    Timeframe.M30: 30 * NS_PER_MINUTE,
    Timeframe.H1: NS_PER_HOUR,
    Timeframe.H4: 4 * NS_PER_HOUR,
    Timeframe.D1: NS_PER_DAY,
    Timeframe.W1: NS_PER_WEEK,
}


class DayClose(StrEnum):
    """Where a day ends: 00:00 UTC, or 17:00 in New York as the FX market counts (MKT-04)."""

    UTC = "utc"
    NEW_YORK_17 = "new_york_17"


def from_datetime(value: datetime) -> int:
    """Nanoseconds of an aware datetime, exact to the microsecond. Raises ValueError on a naive one."""
    if value.tzinfo is None:
        raise ValueError(f"datetime without a time zone: {value!r}")
    return ((value - _EPOCH) // timedelta(microseconds=1)) * 1000


def to_datetime(ts_ns: int) -> datetime:
    """Aware UTC datetime, truncated to the microsecond."""
    return _EPOCH + timedelta(microseconds=ts_ns // 1000)


def iso(ts_ns: int) -> str:
    """`2017-01-03T14:15:00Z`; fractions only where there are any."""
    return to_datetime(ts_ns).isoformat().replace("+00:00", "Z")


def period_close(ts_ns: int, timeframe: Timeframe, day_close: DayClose = DayClose.UTC) -> int:
    """End of the period of `timeframe` that contains the instant just before `ts_ns`.

    A bar that closes exactly at a boundary belongs to the period that ends there. Weeks end with the day
    that ends on Monday 00:00 UTC, or on Friday 17:00 in New York.
    """
    if timeframe in (Timeframe.D1, Timeframe.W1) and day_close is DayClose.NEW_YORK_17:
        return _new_york_close(ts_ns, timeframe)
    length, origin = timeframe.ns, _FIRST_MONDAY_NS if timeframe is Timeframe.W1 else 0
    return origin - (-(ts_ns - origin) // length) * length


def _new_york_close(ts_ns: int, timeframe: Timeframe) -> int:
    close = _new_york_day_close((ts_ns - 1) // NS_PER_HOUR)
    while timeframe is Timeframe.W1 and to_datetime(close).astimezone(NEW_YORK).weekday() != 4:
        close = _new_york_day_close(close // NS_PER_HOUR)
    return close


@lru_cache(maxsize=4096)
def _new_york_day_close(hour: int) -> int:
    """First 17:00 in New York after the start of UTC hour number `hour`. New York's offset is whole hours."""
    local = to_datetime(hour * NS_PER_HOUR).astimezone(NEW_YORK)
    day = local.date() if local.hour < 17 else local.date() + timedelta(days=1)
    return from_datetime(datetime(day.year, day.month, day.day, 17, tzinfo=NEW_YORK))
