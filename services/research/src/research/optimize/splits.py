"""Which stretches of time a search may look at and on which it is judged. Pure: time in, time out.

A span holds the bars that close after `begin_ns` and by `end_ns`, as `--from` and `--to` do. The gap is purge plus embargo:
no training time lies nearer to a test span than that, on either side. Purging keeps positions that were opened on training
data from being marked with test prices, the embargo keeps features that look back from reaching over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final

import msgspec

from common.errors import ConfigError
from common.model.time import NS_PER_DAY, from_datetime, to_datetime

_MONTHS: Final = {"m": 1, "y": 12}
_DAYS: Final = {"d": 1, "w": 7}


class Scheme(StrEnum):
    ANCHORED = "anchored"  # training always begins with the data and grows
    ROLLING = "rolling"  # training has a fixed length and moves along
    CROSS = "cross"  # purged cross-validation: training on both sides of the test


class Period(msgspec.Struct, frozen=True):
    """A length on the calendar: months and days, one of them zero."""

    months: int = 0
    days: int = 0

    def after(self, ts_ns: int, times: int = 1) -> int:
        """`ts_ns` plus `times` this length. Months keep the day of the month, or take the last one of a shorter month."""
        if not self.months:
            return ts_ns + times * self.days * NS_PER_DAY
        moment = to_datetime(ts_ns)
        years, month = divmod(moment.month - 1 + times * self.months, 12)
        first = moment.replace(year=moment.year + years, month=month + 1, day=1)
        last_day = (_next_month(first) - first).days
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        return from_datetime(
            first.replace(day=min(moment.day, last_day), hour=0, minute=0, second=0, microsecond=0)
        ) + (ts_ns - from_datetime(midnight))


class Span(msgspec.Struct, frozen=True):
    """After `begin_ns`, up to and including `end_ns`."""

    begin_ns: int
    end_ns: int


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """Numbered from 1 in order of the test spans."""

    number: int
    train: tuple[Span, ...]
    test: Span


def period(option: str, text: str) -> Period:
    """Of "8y", "18m", "6w" or "90d". Raises ConfigError naming the option."""
    found = re.fullmatch(r"([1-9]\d{0,4})([ymwd])", text)
    if found is None:
        raise ConfigError(f"{option} {text}: expected a length such as 8y, 18m, 6w or 90d")
    count, unit = int(found[1]), found[2]
    return Period(months=count * _MONTHS[unit]) if unit in _MONTHS else Period(days=count * _DAYS[unit])


def walk_forward(
    whole: Span, *, train: Period, test: Period, gap_ns: int, scheme: Scheme = Scheme.ANCHORED
) -> tuple[Fold, ...]:
    """Test spans that tile the data from `train` after its begin to its end; the last may be shorter than `test`.

    Training ends the gap before its test. Raises ConfigError where the data is too short for one fold or the gap for training.
    """
    first = train.after(whole.begin_ns)
    if first >= whole.end_ns:
        raise ConfigError(f"{_days(whole)} days of data: expected more than what is trained on before the first test")
    edges = [first, *_steps(first, test, whole.end_ns)]
    folds = []
    for number, (begin, end) in enumerate(pairwise(edges)):
        start = whole.begin_ns if scheme is Scheme.ANCHORED else test.after(whole.begin_ns, number)
        if start >= begin - gap_ns:
            raise ConfigError(f"purge and embargo of {gap_ns // NS_PER_DAY} days: expected less than is trained on")
        folds.append(Fold(number=number + 1, train=(Span(start, begin - gap_ns),), test=Span(begin, end)))
    return tuple(folds)


def purged_cross_validation(whole: Span, *, folds: int, gap_ns: int) -> tuple[Fold, ...]:
    """`folds` test spans of equal length that tile the data; training is all the rest but the gaps beside the test.

    Raises ConfigError for fewer than 2 folds and where the gaps leave nothing to train on.
    """
    if folds < 2:
        raise ConfigError(f"{folds} folds: expected at least 2")
    length = whole.end_ns - whole.begin_ns
    edges = [whole.begin_ns + length * k // folds for k in range(folds + 1)]
    made = []
    for number, (begin, end) in enumerate(pairwise(edges), start=1):
        sides = (Span(whole.begin_ns, begin - gap_ns), Span(end + gap_ns, whole.end_ns))
        train = tuple(side for side in sides if side.begin_ns < side.end_ns)
        if not train or begin == end:
            raise ConfigError(f"{_days(whole)} days of data in {folds} folds: expected more between purge and embargo")
        made.append(Fold(number=number, train=train, test=Span(begin, end)))
    return tuple(made)


def holdout(whole: Span, *, fraction: float, gap_ns: int) -> Fold:
    """The last `fraction` of the data is the test. Raises ConfigError where the gap leaves nothing to train on."""
    cut = whole.end_ns - int((whole.end_ns - whole.begin_ns) * fraction) // NS_PER_DAY * NS_PER_DAY
    if cut - gap_ns <= whole.begin_ns or cut >= whole.end_ns:
        raise ConfigError(f"--holdout {fraction:g} of {_days(whole)} days: expected something left on both sides")
    return Fold(number=1, train=(Span(whole.begin_ns, cut - gap_ns),), test=Span(cut, whole.end_ns))


def _steps(first: int, length: Period, end: int) -> Iterator[int]:
    times = 1
    while (edge := length.after(first, times)) < end:
        yield edge
        times += 1
    yield end


def _next_month(first: datetime) -> datetime:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def _days(whole: Span) -> int:
    return (whole.end_ns - whole.begin_ns) // NS_PER_DAY
