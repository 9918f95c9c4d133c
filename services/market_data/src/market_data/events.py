"""The economic calendar (MKT-07): scheduled events from a file, said as time moves on.

A csv or csv.gz with the columns `timestamp` (ISO, UTC where it names no zone), `currency` (USD, ALL), `impact` and `event`; others are
not looked at, least of all `actual`: only the schedule is ever said. A column `announced` may say since when an event was known: one
that nobody expected must not be known before it happened.

A run's configuration names the events as well as the file (`pinned`): the same configuration is the same calendar.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.messages.base import Message
from common.messages.market_data import EconomicEvent, EventsScheduled, Impact, MarketSlice
from common.model.time import NS_PER_DAY, NS_PER_MINUTE, from_datetime, iso
from market_data.feeds.files import TIMESTAMP, column_names, csv_rows
from market_data.settings import Settings
from market_data.state import State

AHEAD_NS: Final = 7 * NS_PER_DAY
BEFORE_NS: Final = NS_PER_DAY  # what a run that begins now may still feel
MOST: Final = 2_000  # events within `AHEAD_NS`
RECURS: Final = 4
IMPACTS: Final[Mapping[str, Impact | None]] = {
    "low": Impact.LOW,
    "medium": Impact.MEDIUM,
    "high": Impact.HIGH,
    "non-economic": None,  # holidays: nothing is published
    "holiday": None,
}
_REQUIRED: Final = (TIMESTAMP, "currency", "impact", "event")
_ANNOUNCED: Final = "announced"
_ALIASES: Final = {"name": "event", "title": "event"}
T = TypeVar("T", int, NDArray[np.int64])
_HOUR, _DAY = 60, 1440  # in minutes
_CURRENCY: Final = re.compile(r"[A-Z0-9]{2,10}")
_YEARS: Final = range(1700, 2250)  # that 64 bits of nanoseconds hold with room around them
_PIN: Final = re.compile(r"(.+)#sha256=([0-9a-f]{64})", re.DOTALL)


class Scheduled(NamedTuple):
    """An event, and since when it was known; 0 is always."""

    event: EconomicEvent
    announced_ns: int


class Schedule(msgspec.Struct, frozen=True):
    """The whole calendar in order of time, for one book; `mark` is the digest of its entries."""

    book: str
    entries: tuple[Scheduled, ...]
    mark: str = ""

    def beside(self, messages: Sequence[Message], state: State) -> list[Message]:
        """`messages` with the calendar ahead in front of the first slice of every UTC day, and of a life with another calendar than
        the last; `state` remembers day and calendar.
        """
        said: list[Message] = []
        for message in messages:
            if isinstance(message, MarketSlice):
                day, other = day_of(message.ts_event), state.calendar != self.mark
                if other or day > state.events_day:
                    said.append(self.at(message.ts_event, first=other or state.events_day < 0))
                    state.events_day, state.calendar = day, self.mark
            said.append(message)
        return said

    def at(self, ts: int, *, first: bool = False) -> EventsScheduled:
        """What is known at `ts` of the `AHEAD_NS` from there on; the `first` time also of the `BEFORE_NS` up to there."""
        begin = ts - BEFORE_NS if first else ts
        start, stop = (bisect_left(self.entries, at, key=_when) for at in (begin, ts + AHEAD_NS))
        known = (entry.event for entry in self.entries[start:stop] if entry.announced_ns <= ts)
        return EventsScheduled(ts_event=ts, book=self.book, events=tuple(known))


def day_of(ts: T) -> T:
    """Number of the UTC day that a slice belongs to: one at midnight closes the day before."""
    return (ts - 1) // NS_PER_DAY


def schedule_of(settings: Settings) -> Schedule | None:
    """Of the file that the settings name; None where they name none. Raises DataError, also where they name other events."""
    if not settings.economic_calendar:
        return None
    path, expected = _named(settings.economic_calendar)
    entries = read(Path(path))
    mark = _digest(entries)
    if expected not in ("", mark):
        raise DataError(
            f"{path}: its events have the sha256 {mark}, expected {expected}: the calendar as it was when the run began"
        )
    times = [entry.event.ts_event for entry in entries]
    for first, ts in enumerate(times):
        if bisect_left(times, ts + AHEAD_NS) - first > MOST:
            raise DataError(f"{path}: more than {MOST} events in the week after {iso(ts)}")
    return Schedule(settings.book, entries, mark)


def pinned(calendar: str) -> str:
    """The setting with the digest of what is in the file behind its name, where it is not there yet. Only events count: `actual` may
    be filled in later. Raises DataError.
    """
    path, expected = _named(calendar)
    return f"{path}#sha256={expected or _digest(read(Path(path)))}"


def read(path: Path) -> tuple[Scheduled, ...]:
    """Events in order of time, each once; holidays are left out. Raises DataError naming the file, the row and what was expected."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected an economic calendar as csv or csv.gz")
    names = [_ALIASES.get(name, name) for name in column_names(path)]
    if absent := [name for name in _REQUIRED if name not in names]:
        raise DataError(f"{path}: an economic calendar has no column {', '.join(absent)}")
    places: dict[str, int] = {name: names.index(name) for name in (*_REQUIRED, _ANNOUNCED) if name in names}
    found: dict[EconomicEvent, int] = {}
    with csv_rows(path) as rows:
        next(rows)
        for number, row in enumerate(rows, start=2):
            if row and (entry := _entry(f"{path}: row {number}", row, places)) is not None:
                found[entry.event] = min(entry.announced_ns, found.get(entry.event, entry.announced_ns))
    return tuple(sorted((Scheduled(*entry) for entry in found.items()), key=_when))


def punctuality(events: Iterable[EconomicEvent]) -> float | None:
    """Share of what recurs (`RECURS` times or more under one name) that is stamped within an hour of its usual time of day in UTC,
    daylight saving included; None where nothing does. Releases keep their hour: far below 1 the times cannot be trusted.
    """
    times: dict[tuple[str, str], list[int]] = {}
    for event in events:
        times.setdefault((event.currency, event.name), []).append(event.ts_event // NS_PER_MINUTE % _DAY)
    recurring = [of for of in times.values() if len(of) >= RECURS]
    usual = [max(dict.fromkeys(of), key=of.count) for of in recurring]
    away = [(minute - mode) % _DAY for of, mode in zip(recurring, usual, strict=True) for minute in of]
    return sum(min(minutes, _DAY - minutes) <= _HOUR for minutes in away) / len(away) if away else None


def _entry(where: str, row: Sequence[str], places: Mapping[str, int]) -> Scheduled | None:
    cells = {name: row[place].strip() if place < len(row) else "" for name, place in places.items()}
    impact = cells["impact"].lower()
    if impact not in IMPACTS:
        raise DataError(f"{where}: impact {cells['impact']!r:.60}, expected one of {', '.join(IMPACTS)}")
    currency = cells["currency"].upper()
    if not _CURRENCY.fullmatch(currency):
        raise DataError(f"{where}: currency {cells['currency']!r:.60}, expected one such as USD, or ALL")
    if not cells["event"]:
        raise DataError(f"{where}: expected the name of an event, found none")
    ts = _instant(where, TIMESTAMP, cells[TIMESTAMP])
    announced = _instant(where, _ANNOUNCED, cells[_ANNOUNCED]) if cells.get(_ANNOUNCED) else 0
    of = IMPACTS[impact]
    if of is None:
        return None
    return Scheduled(EconomicEvent(ts_event=ts, currency=currency, impact=of, name=cells["event"]), announced)


def _instant(where: str, name: str, cell: str) -> int:
    try:
        instant = datetime.fromisoformat(cell)
    except ValueError:
        raise DataError(f"{where}: {name} {cell!r:.60}, expected a time such as 2020-03-06T13:30:00Z") from None
    if instant.year not in _YEARS:
        years = f"from {_YEARS.start} to {_YEARS.stop}"
        raise DataError(f"{where}: {name} {cell!r:.60}, expected a time such as 2020-03-06T13:30:00Z, {years}")
    return from_datetime(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


def _named(calendar: str) -> tuple[str, str]:
    """File, and digest of its events; empty where none is named."""
    found = _PIN.fullmatch(calendar)
    return (found[1], found[2]) if found else (calendar, "")


def _digest(entries: Sequence[Scheduled]) -> str:
    said = [(of.ts_event, of.currency, of.impact, of.name, announced) for of, announced in entries]
    return sha256(msgspec.msgpack.encode(said)).hexdigest()


def _when(entry: Scheduled) -> int:
    return entry.event.ts_event
