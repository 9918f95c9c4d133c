"""Which of the four FX sessions was open, by the local hours of its city."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from common.model.time import NEW_YORK, NS_PER_HOUR, to_datetime

CLOSED: Final = "Closed"
# The session that opened last names the hour: where London and New York overlap, it is New York's.
_OPEN: Final = (
    ("New York", NEW_YORK, 8, 17),
    ("London", ZoneInfo("Europe/London"), 8, 17),
    ("Tokyo", ZoneInfo("Asia/Tokyo"), 9, 18),
    ("Sydney", ZoneInfo("Australia/Sydney"), 7, 16),
)


def session(ts_ns: int) -> str:
    """Name of the session at `ts_ns`; `Closed` at weekends and between New York's close and Sydney's opening."""
    return _of_hour(ts_ns // NS_PER_HOUR)


@lru_cache(maxsize=65536)
def _of_hour(hour: int) -> str:
    """All openings and closings fall on whole hours of UTC."""
    utc = to_datetime(hour * NS_PER_HOUR)
    for name, zone, opens, closes in _OPEN:
        local = utc.astimezone(zone)
        if local.weekday() < 5 and opens <= local.hour < closes:
            return name
    return CLOSED
