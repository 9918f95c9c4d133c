"""Everything there is to say of sessions on one piece of data, as rows; and what follows from it, with what it rests on (REG-13)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from common.errors import ConfigError
from common.model.time import NS_PER_HOUR, iso
from research.sessions.activity import (
    ALL,
    HOURS,
    PARTS,
    Cell,
    Occurrences,
    cells,
    hours,
    occurrences,
    sessions_and_overlaps,
)
from research.sessions.estimates import Estimate
from research.sessions.outcomes import Outcome, Result, results, tables
from research.sessions.relations import (
    Carry,
    Impact,
    Strength,
    Together,
    carries,
    impacts,
    strengths,
    together,
)
from research.sessions.series import Prices
from research.sessions.windows import By, Part, parts_of

ENOUGH: Final = 100  # occurrences or entries that a recommendation rests on, at least


class Report(NamedTuple):
    """Tables of rows; `source` says what `results` are of. Of several timeframes, hours and relations are of the finest."""

    start: int
    end: int
    source: str
    cells: list[Cell]
    hours: list[Cell]
    carries: list[Carry]
    together: list[Together]
    strengths: list[Strength]
    impacts: list[Impact]
    results: list[Result]
    earned: list[Part]
    recommendations: list[str]


TABLES: Final = ("cells", "hours", "carries", "together", "strengths", "impacts", "results", "earned")


def build(prices: Sequence[Prices], outcomes: Sequence[Outcome], source: str) -> Report:
    """Of bars and of what entries came to, of which there may be none. Raises ConfigError for bars longer than an hour."""
    coarse = sorted({str(one.timeframe) for one in prices if one.timeframe.ns > NS_PER_HOUR})
    if coarse:
        raise ConfigError(f"timeframes {', '.join(coarse)}: sessions are hours long; expected 1m to 1h")
    finest = _finest(prices)
    found = {name: _occurrences(of) for name, of in finest.items()}
    made = Report(
        start=min(int(one.opens[0]) for one in prices),
        end=max(int(one.closes[-1]) for one in prices),
        source=source,
        cells=[cell for one in prices for cell in cells(one, _occurrences(one), PARTS)],
        hours=[cell for one in finest.values() for cell in _hours(one)],
        carries=[row for name, of in found.items() for row in carries(finest[name], of)],
        together=list(together(found)),
        strengths=list(strengths([one.instrument for one in finest.values()], found)),
        impacts=[row for name, of in found.items() for row in impacts(finest[name], of)],
        results=list(results(outcomes)),
        earned=[part for table in tables(outcomes) for part in parts_of(table, By.HOUR) if part.n],
        recommendations=[],
    )
    return made._replace(recommendations=list(_recommended(made)))


def plain(report: Report) -> dict[str, Any]:
    """As JSON has it: estimates as objects with `n`, `value`, `low`, `high`."""
    rows = {name: [_plain(row) for row in getattr(report, name)] for name in TABLES}
    head = {"from": iso(report.start), "to": iso(report.end), "source": report.source}
    return {**head, "recommendations": report.recommendations, **rows}


def export(report: Report, folder: Path) -> list[str]:
    """A csv file per table, an estimate in four columns; empty where undefined. Gives the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in TABLES:
        rows = [dict(_flat(row)) for row in getattr(report, name)]
        if rows:
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            written.append(f"{name}.csv")
    return written


def _finest(prices: Sequence[Prices]) -> dict[str, Prices]:
    found: dict[str, Prices] = {}
    for one in sorted(prices, key=lambda of: -of.timeframe.ns):
        found[one.instrument.instrument_id] = one
    return {name: found[name] for name in sorted(found)}


def _occurrences(one: Prices) -> Occurrences:
    return occurrences(one, sessions_and_overlaps(int(one.opens[0]), int(one.closes[-1])))


def _hours(one: Prices) -> Iterator[Cell]:
    return cells(one, occurrences(one, hours(int(one.opens[0]), int(one.closes[-1]))), HOURS, by_regime=False)


# --- what follows ------------------------------------------------------------------------------------------------------


def _recommended(report: Report) -> Iterator[str]:
    """Sentences; each names its sample. Correlations and results are named where they stand at 5 % over all of their table."""
    yield from _busiest(report.hours)
    yield from _openings(report.impacts)
    yield from _carried(report.carries)
    yield from _paid(report.results, report.source)


def _busiest(rows: Iterable[Cell]) -> Iterator[str]:
    by_name: dict[str, list[Cell]] = {}
    for row in rows:
        if row.n >= ENOUGH:
            by_name.setdefault(row.instrument_id, []).append(row)
    for name, cells_of in by_name.items():
        most, least = (pick(cells_of, key=lambda row: row.move_bps.value or 0.0) for pick in (max, min))
        yield (
            f"{name} moves most from {most.part}:00 UTC, {_size(most.move_bps)} an hour (n = {most.n}), and least from "
            f"{least.part}:00, {_size(least.move_bps)} (n = {least.n}): costs weigh most there."
        )


def _openings(rows: Iterable[Impact]) -> Iterator[str]:
    for row in rows:
        opened, middle = row.open_bps, row.middle_bps
        if opened.n >= ENOUGH and opened.low is not None and middle.high and opened.low > 1.25 * middle.high:
            times = (opened.value or 0.0) / (middle.value or 1.0)
            yield (
                f"{row.instrument_id}: the first hour of {row.session} moves {times:.1f} times as much as the hours between the first "
                f"and the last (n = {opened.n}): wider stops or smaller size at the opening."
            )


def _carried(rows: Sequence[Carry]) -> Iterator[str]:
    for row in rows:
        of = row.correlation
        if of.n >= ENOUGH and of.value is not None and of.stands(len(rows)):
            verb = "goes on in the direction of" if of.value > 0.0 else "turns against"
            yield f"{row.instrument_id}: {row.second} {verb} {row.first}, rank correlation {of.value:+.2f} (n = {of.n})."


def _paid(rows: Sequence[Result], source: str) -> Iterator[str]:
    """A sentence per instrument and timeframe, of the sessions whose results stand."""
    of_all = [row for row in rows if row.regime == ALL and row.signals >= ENOUGH]
    said: dict[tuple[str, str], list[str]] = {}
    for row in of_all:
        if row.bps.value is not None and row.bps.stands(len(of_all)):
            key = row.instrument_id, row.timeframe
            said.setdefault(key, []).append(f"{row.session} {row.bps.value:+.1f} bps (n = {row.signals})")
    for (name, timeframe), sessions in said.items():
        yield (
            f"{name} {timeframe}, {source}: {', '.join(sessions)} an entry, in sample; ballast sessions learn says whether leaving "
            "hours out pays out of sample."
        )


def _size(of: Estimate) -> str:
    return f"{of.value or 0.0:.1f} bps"


# --- rows as values ----------------------------------------------------------------------------------------------------


def _plain(row: Any) -> dict[str, Any]:
    return {key: value._asdict() if isinstance(value, Estimate) else value for key, value in row._asdict().items()}


def _flat(row: Any) -> Iterator[tuple[str, Any]]:
    for key, value in row._asdict().items():
        if not isinstance(value, Estimate):
            yield key, "" if value is None else value
            continue
        yield key, "" if value.value is None else value.value
        for part in ("low", "high", "n"):
            inner = getattr(value, part)
            yield f"{key}_{part}", "" if inner is None else inner
