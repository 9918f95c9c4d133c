"""`ballast data quality`: how good recorded prices are, by instrument and day (MKT-09)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer
from rich.table import Table

from ballast_cli import output
from ballast_cli.arguments import End, Json, Override, Profile, Start
from ballast_cli.progress import Bar
from common.errors import DataError
from common.model.time import iso

if TYPE_CHECKING:
    from market_data.quality import Counts, Quality

_EPOCH: Final = date(1970, 1, 1)
_COUNTED: Final = ("rows", "bars", "expected", "missing", "gaps", "longest_gap_s", "outside", "stale")


def quality(
    data: Annotated[Path, typer.Option(help="a directory of price files, or one of such directories")],
    symbols: Annotated[str, typer.Option(help="as EURUSD,BTC-USDT; all without it")] = "",
    profile: Profile = "fx",
    config: Override = None,
    start: Start = None,
    end: End = None,
    days: Annotated[int, typer.Option(min=0, max=100_000, help="worst days told of each instrument")] = 10,
    stale_bars: Annotated[int, typer.Option(min=2, help="a run of so many bars without any move is stale")] = 15,
    report: Annotated[Path | None, typer.Option(help="write an HTML page to this file")] = None,
    fail_below: Annotated[str, typer.Option(help="exit 1 if an instrument's grade is worse than this letter")] = "",
    as_json: Json = False,
) -> None:
    """Missing, refused, standing still, late: by instrument and day, graded, the worst days first. What is refused is what a run
    of the profile refuses.
    """
    from ballast_cli.configuration import effective
    from ballast_cli.runs import check
    from market_data.grades import GRADES

    wanted = fail_below.upper()
    if wanted and wanted not in GRADES:
        raise typer.BadParameter(f"--fail-below {fail_below!r}; expected one of {', '.join(GRADES)}")
    check(report)
    settings = effective(profile, override=config, start=start, end=end)
    asked = tuple(name.strip() for name in symbols.split(",") if name.strip())
    skipped: list[str] = []
    found = list(_examined(data, settings, asked, stale_bars, skipped, show=not as_json and sys.stderr.isatty()))
    if not found:
        raise DataError("; ".join(skipped) or f"{data}: holds no price files, nor does a directory in it")
    if report is not None:
        from ballast_cli.data_quality_page import page

        report.write_text(page(str(data), found, skipped, days), encoding="utf-8")
    if as_json:
        output.answer({"instruments": [_instrument(one, days) for one in found], "skipped": skipped}, as_json)
    else:
        _print(found, skipped, days)
    if wanted and any(GRADES.index(one.total.grade) > GRADES.index(wanted) for one in found):
        raise typer.Exit(output.FAILED)


def dated(day: int) -> str:
    """`2017-01-03` of a day's number since 1970."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def _examined(
    data: Path, config: Mapping[str, Any], asked: tuple[str, ...], stale_bars: int, skipped: list[str], *, show: bool
) -> Iterator[Quality]:
    """Symbol by symbol, so that the rows of no more than one are in memory."""
    from common.runtime.settings import section
    from market_data.quality import examine, symbols_in
    from market_data.settings import Settings

    settings, run = section(config, "market_data", Settings), config["run"]
    work: list[tuple[Path, str]] = []
    for directory in _directories(data):
        try:
            work += [(directory, name) for name in symbols_in(directory, asked)]
        except DataError as error:
            skipped.append(str(error))
    with Bar("symbols", total=len(work), show=show) as bar:
        for done, (directory, name) in enumerate(work):
            bar.to(done, name)
            try:
                yield from examine(
                    directory, settings, name, start_ns=run["start_ns"], end_ns=run["end_ns"], stale_bars=stale_bars
                )
            except DataError as error:
                skipped.append(str(error))


def _directories(data: Path) -> list[Path]:
    """The directory and those in it, as far as they hold files that may be prices."""
    from market_data.feeds.filenames import stem

    if not data.is_dir():
        raise DataError(f"{data}: no such directory; expected one of csv, csv.gz or parquet files")
    every = [data, *sorted(path for path in data.rglob("*") if path.is_dir())]
    return [path for path in every if any(file.is_file() and stem(file.name) for file in path.iterdir())]


def _instrument(one: Quality, days: int) -> dict[str, Any]:
    return {
        "instrument_id": one.instrument_id,
        "directory": one.directory,
        "timeframe": one.timeframe.value,
        "calendar": one.calendar and one.calendar.value,
        "first": iso(one.first_ns) if one.first_ns else None,
        "last": iso(one.last_ns) if one.last_ns else None,
        "days": len(one.days),
        "absent_days": one.absent_days,
        **_counts(one.total),
        "longest_gaps": [
            {"after": iso(gap.before_ns), "before": iso(gap.after_ns), "missing": gap.missing} for gap in one.longest
        ],
        "examples": [{"at": iso(row.ts_row), "reason": row.reason.value, "detail": row.detail} for row in one.examples],
        "worst_days": [{"day": dated(day), **_counts(one.days[day])} for day in one.worst(days)],
    }


def _counts(of: Counts) -> dict[str, Any]:
    return {
        "grade": of.grade,
        "completeness": of.completeness,
        **{name: getattr(of, name) for name in _COUNTED},
        "refused": {reason.value: count for reason, count in sorted(of.refused.items())},
        "latency": None if of.latency is None else msgspec.to_builtins(of.latency),
    }


def _print(found: list[Quality], skipped: list[str], days: int) -> None:
    table = Table(
        "instrument", "bars", "grade", "complete", "missing", "gaps", "longest", "refused", "stale", "latency"
    )
    for one in found:
        of = one.total
        table.add_row(one.instrument_id, one.timeframe.value, *in_words(of))
    output.out.print(table)
    worst = sorted(
        ((one, day) for one in found for day in one.worst(days)), key=lambda pair: pair[0].days[pair[1]].rank
    )[:days]
    lines = Table("worst days", "instrument", "grade", "complete", "missing", "gaps", "longest", "refused", "stale", "")
    for one, day in worst:
        if one.days[day].grade != "A":
            lines.add_row(dated(day), one.instrument_id, *in_words(one.days[day]))
    if lines.row_count:
        output.out.print(lines)
    for line in skipped:
        output.err.print(f"skipped: {line}", markup=False, soft_wrap=True)


def in_words(of: Counts) -> tuple[str, ...]:
    """Grade, completeness, missing bars, gaps, the longest, refusals by reason, stale bars, median latency."""
    refused = ", ".join(f"{count:,} {reason.value.lower()}" for reason, count in sorted(of.refused.items()))
    return (
        of.grade,
        "-" if of.completeness is None else f"{of.completeness:.3%}",
        f"{of.missing:,}",
        f"{of.gaps:,}",
        lasting(of.longest_gap_s) if of.gaps else "-",
        refused or "-",
        f"{of.stale:,}" if of.stale else "-",
        "-" if of.latency is None else f"{of.latency.median_ms:,.0f} ms",
    )


def lasting(seconds: float) -> str:
    """`4 h 42 min` of open market."""
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours / 24:,.1f} d"
