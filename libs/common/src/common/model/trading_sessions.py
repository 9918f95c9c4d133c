"""The sessions of the FX day: Sydney, Tokyo, London and New York, by the clocks of these cities, and where they overlap (REG-10).

A session is held on the days on which the city's exchange is open, and ends early when the exchange does: banks' desks are thin
then, whatever the hour. Its instants are those from `opens` on and before `closes`. Tables and integers: nothing here reads a clock
or a file. Whether the FX market as a whole trades (Sunday to Friday) is `common.model.sessions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from common.model import nyse, session_days
from common.model.time import NEW_YORK, NS_PER_DAY, NS_PER_MINUTE, from_datetime

CLOSED: Final = "Closed"
_EPOCH: Final = date(1970, 1, 1)
_SATURDAY: Final = 5
_LONGEST_PAUSE_DAYS: Final = 14  # Tokyo's new year and golden week, with weekends on both sides, are shorter


class TradingSession(StrEnum):
    SYDNEY = "Sydney"
    TOKYO = "Tokyo"
    LONDON = "London"
    NEW_YORK = "New York"


class Edge(StrEnum):
    """The first and the last stretch of a session."""

    OPEN = "open"
    CLOSE = "close"


class SessionHours(NamedTuple):
    """One session of one day, in ns UTC: open while `opens` <= ts < `closes`. `early`: the exchange closed before its usual time."""

    opens: int
    closes: int
    session: TradingSession
    early: bool = False

    def is_open(self, ts: int) -> bool:
        return self.opens <= ts < self.closes


class _Center(NamedTuple):
    zone: ZoneInfo
    opens: int  # hours after midnight, local
    closes: int
    exchange: str


_CENTERS: Final = {
    TradingSession.SYDNEY: _Center(ZoneInfo("Australia/Sydney"), 7, 16, "XASX"),
    TradingSession.TOKYO: _Center(ZoneInfo("Asia/Tokyo"), 9, 18, "XTKS"),
    TradingSession.LONDON: _Center(ZoneInfo("Europe/London"), 8, 17, "XLON"),
    TradingSession.NEW_YORK: _Center(NEW_YORK, 8, 17, "XNYS"),
}
_NAMING: Final = tuple(reversed(TradingSession))


def sessions_at(ts: int) -> tuple[TradingSession, ...]:
    """Those that are open at `ts`, in the order in which they opened; empty at night and at weekends."""
    return tuple(one.session for one in _of_day(ts // NS_PER_DAY) if one.opens <= ts < one.closes)


def session(ts: int) -> str:
    """The one name of the hour. Where two overlap New York's comes first, then London's, then Tokyo's; `Closed` where none is
    open.
    """
    found = sessions_at(ts)
    return next((str(one) for one in _NAMING if one in found), CLOSED)


def overlap(ts: int) -> str:
    """`London+New York` where two are open at once, empty elsewhere. Three never are."""
    found = sessions_at(ts)
    return "+".join(found) if len(found) > 1 else ""


def edges_at(ts: int, minutes: int = 60) -> tuple[tuple[TradingSession, Edge], ...]:
    """Sessions that opened less than `minutes` ago, and those that close within them. The instant of an opening is in its window,
    that of a close is no more.
    """
    near = minutes * NS_PER_MINUTE
    found: list[tuple[TradingSession, Edge]] = []
    for one in _of_day(ts // NS_PER_DAY):
        if not one.is_open(ts):
            continue
        if ts < one.opens + near:
            found.append((one.session, Edge.OPEN))
        if ts >= one.closes - near:
            found.append((one.session, Edge.CLOSE))
    return tuple(found)


def clock(ts: int) -> tuple[SessionHours, ...]:
    """For each of the four, in the order of the enum: the session that is open at `ts`, or else its next one."""
    return tuple(upcoming(one, ts) for one in TradingSession)


def upcoming(which: TradingSession, ts: int) -> SessionHours:
    """The session of this city that has not closed at `ts`: open already, or the next."""
    found = session_hours(ts, ts + _LONGEST_PAUSE_DAYS * NS_PER_DAY)
    return next(one for one in found if one.session is which)


def session_hours(start: int, end: int) -> Iterator[SessionHours]:
    """All that are open at some instant from `start` on and before `end`, in the order of their openings."""
    for number in range(start // NS_PER_DAY, -(-end // NS_PER_DAY)):
        for one in _of_day(number):
            first = max(one.opens // NS_PER_DAY, start // NS_PER_DAY) == number  # Sydney's spans two days of UTC
            if first and one.closes > start and one.opens < end:
                yield one


@lru_cache(maxsize=16_384)
def held(which: TradingSession, number: int) -> SessionHours | None:
    """The session of the day with this number since 1970 by the city's own calendar; None at weekends and on holidays. Where the
    tables end (before 1997, after 2032) every weekday is a full day.
    """
    day, center = _EPOCH + timedelta(days=number), _CENTERS[which]
    if day.weekday() >= _SATURDAY or _is_holiday(center.exchange, day):
        return None
    opens = from_datetime(datetime.combine(day, time(center.opens), center.zone))
    usual = center.closes * 60
    minutes = min(_early_minutes(center.exchange, day) or usual, usual)
    closes = from_datetime(datetime.combine(day, time(*divmod(minutes, 60)), center.zone))
    return SessionHours(opens, closes, which, minutes < usual)


@lru_cache(maxsize=16_384)
def _of_day(number: int) -> tuple[SessionHours, ...]:
    """Of one day of UTC, those that began on the day before and are still open included."""
    start, end = number * NS_PER_DAY, (number + 1) * NS_PER_DAY
    found = (held(which, day) for which in TradingSession for day in (number, number + 1))
    return tuple(sorted(one for one in found if one is not None and one.opens < end and one.closes > start))


def _is_holiday(exchange: str, day: date) -> bool:
    closed = nyse.CLOSED if exchange == "XNYS" else session_days.CLOSED[exchange]
    return f"{day:%m%d}" in closed.get(day.year, "")


def _early_minutes(exchange: str, day: date) -> int | None:
    """When the exchange closed, in minutes after midnight, on a day on which it closed early."""
    if exchange == "XNYS":
        return nyse.EARLY.get(day.isoformat())
    early = f"{day:%m%d}" in session_days.EARLY.get(exchange, {}).get(day.year, "")
    return session_days.EARLY_MINUTES[exchange] if early else None
