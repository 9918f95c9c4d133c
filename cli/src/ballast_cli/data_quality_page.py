"""The page of `ballast data quality --report FILE`: every instrument with a strip of its days, its worst days, its largest gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ballast_cli.data_quality import dated, in_words, lasting
from common.model.time import iso
from common.version import BUILD
from market_data.grades import BOUNDS, GRADES
from research.report.markup import Cell, card, number, table, text
from research.report.plain import Run, document, strip

if TYPE_CHECKING:
    from market_data.quality import Counts, Quality

_CELLS: Final = 366  # of a strip; where there are more days, a cell is the worst of several
_HEAD: Final = ("Grade", "Complete", "Missing", "Gaps", "Longest gap", "Refused", "Stale", "Latency")


def page(name: str, found: Sequence[Quality], skipped: Sequence[str], days: int) -> str:
    """The whole document; `days` worst days of each instrument."""
    grades = [one.total.grade for one in found]
    figures = {f"Grade {letter}": str(grades.count(letter)) for letter in GRADES if letter in grades}
    rows = sum(one.total.rows for one in found)
    refused = sum(sum(one.total.refused.values()) for one in found)
    return document(
        f"Data quality · {name}",
        f"{len(found)} instruments, {rows:,} rows, {refused:,} refused",
        [
            card("Instruments", _summary(found), wide="wide"),
            card("What a grade asks for", _grades(), quiet="of the worst of the three"),
            *(_card(one, days) for one in found),
        ],
        figures=figures,
        warnings=[f"skipped: {line}" for line in skipped],
        foot=f"Ballast {BUILD}",
    )


def _summary(found: Sequence[Quality]) -> str:
    rows = ([one.instrument_id, one.timeframe.value, number(f"{one.total.bars:,}"), *_row(one.total)] for one in found)
    return table(["Instrument", "Bars", "Count", *_HEAD], rows, nothing="no instrument")


def _grades() -> str:
    rows = (
        _cells(
            letter, *(number(f"{share:.2%}") for share in (of.complete_at_least, of.refused_at_most, of.stale_at_most))
        )
        for letter, of in BOUNDS.items()
    )
    return table(["Grade", "Complete", "Refused at most", "Stale at most"], rows, nothing="")


def _card(one: Quality, days: int) -> str:
    span = f"{iso(one.first_ns)} to {iso(one.last_ns)}" if one.first_ns else "no believed price"
    calendar = one.calendar.value.replace("_", " ") if one.calendar else "none: gaps are not counted"
    worst = [day for day in one.worst(days) if one.days[day].grade != GRADES[0]]
    parts = [
        f'<p class="note">{text(span)} · calendar: {text(calendar)} · {one.absent_days:,} days without a row</p>',
        strip(_strip(one)),
        table(
            ["Worst days", *_HEAD], ([dated(day), *_row(one.days[day])] for day in worst), nothing="every day is an A"
        ),
    ]
    if one.longest:
        gaps = (_cells(iso(gap.before_ns), iso(gap.after_ns), number(f"{gap.missing:,}")) for gap in one.longest)
        parts.append(table(["Largest gaps: after", "Before", "Missing"], gaps, nothing=""))
    if one.examples:
        shown = (_cells(iso(row.ts_row), row.reason.value.lower(), Cell(row.detail, "why")) for row in one.examples)
        parts.append(table(["Refused, for example", "Reason", "Values"], shown, nothing=""))
    return card(one.instrument_id, "".join(parts), quiet=f"{one.timeframe.value}, grade {one.total.grade}", wide="wide")


def _row(of: Counts) -> list[Cell | str]:
    grade, *rest = in_words(of)
    return [Cell(grade, heat=0.6 - 0.4 * GRADES.index(grade)), *map(number, rest)]


def _strip(one: Quality) -> list[Run]:
    """The days in order, thinned to the worst of as many as fall together; those of the best grade that follow one another are one."""
    numbers, runs = list(one.days), list[Run]()
    size = max(1, -(-len(numbers) // _CELLS))
    for start in range(0, len(numbers), size):
        day = min(numbers[start : start + size], key=lambda day: one.days[day].rank)
        of = one.days[day]
        badness = GRADES.index(of.grade) / (len(GRADES) - 1)
        if runs and badness == runs[-1].badness == 0.0:
            first = runs[-1].words.partition(" ")[0]
            runs[-1] = Run(f"{first} to {dated(day)}: {of.grade}", 0.0, runs[-1].cells + 1)
            continue
        missing = lasting(of.longest_gap_s) if of.gaps else "none"
        said = f"{dated(day)} {of.grade}" if not badness else f"{dated(day)}: {of.grade}, longest gap {missing}"
        runs.append(Run(said, badness))
    return runs


def _cells(*cells: Cell | str) -> list[Cell | str]:
    return list(cells)
