"""`ballast events report`: what markets did before and after scheduled events (REG-12)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from ballast_cli import output
from ballast_cli.arguments import Data, End, Json, Override, Profile, Start

if TYPE_CHECKING:
    from research.events import Behaviour

_PUNCTUAL: Final = 0.7  # below this share the times of a calendar explain nothing
Minutes = Annotated[float, typer.Option(min=1, max=1440, help="minutes looked at on this side of an event")]


def report(
    data: Data,
    calendar: Annotated[Path, typer.Option(help="csv with timestamp, currency, impact and event")],
    symbols: Annotated[str, typer.Option(help="as EURUSD,GBP-USD; all without it")] = "",
    profile: Profile = "fx",
    config: Override = None,
    start: Start = None,
    end: End = None,
    before: Minutes = 60.0,
    after: Minutes = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="of the resampling")] = 1,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="write the rows to this file")] = None,
    as_json: Json = False,
) -> None:
    """Volatility, spread and drift around events by currency and impact, against the same hours of other days."""
    import msgspec

    from ballast_cli.configuration import effective
    from ballast_cli.runs import check
    from common.runtime.settings import section
    from market_data.events import read
    from market_data.feeds import open_feed
    from market_data.settings import Settings
    from research.events import behaviour

    check(csv_file, "--csv")
    made = effective(profile, override=config, data=data, start=start, end=end)
    asked = tuple(name.strip() for name in symbols.split(",") if name.strip())
    settings, run = section(made, "market_data", Settings), made["run"]
    events = [entry.event for entry in read(calendar)]
    feed = open_feed(run["data"], settings=settings, start_ns=run["start_ns"], end_ns=run["end_ns"], symbols=asked)
    found = behaviour(feed, settings, events, before_minutes=before, after_minutes=after, seed=seed)
    rows = [msgspec.to_builtins(row) for row in found.rows]
    if csv_file is not None:
        _write(csv_file, rows)
    if as_json:
        output.answer({**msgspec.to_builtins(found), "notes": list(feed.notes)}, as_json)
        return
    output.out.print(_table(found.rows))
    if found.punctual is not None and found.punctual < _PUNCTUAL:
        output.err.print(
            f"only {found.punctual:.0%} of what recurs in {calendar} is stamped at its usual time of day: its times cannot be trusted",
            markup=False,
            soft_wrap=True,
        )
    output.out.print(
        f"{found.events:,} instants in the calendar, {found.untimed:,} of them without a time of day; {found.covered:,} lie in the "
        f"data undisturbed. {before:g} minutes before, {after:g} after. Ratios and drift against other days at the same time.",
        markup=False,
        soft_wrap=True,
    )


def _write(path: Path, rows: list[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _table(rows: tuple[Behaviour, ...]) -> Table:
    table = Table(
        "currency", "impact", "measure", "phase", "events", "against other days", "95 % interval", "p", "p (Holm)"
    )
    for row in rows:
        shape = "{:+.2%}" if row.measure == "drift" else "{:.2f}x"
        interval = (
            "-" if row.low is None or row.high is None else f"{shape.format(row.low)} to {shape.format(row.high)}"
        )
        table.add_row(
            row.currency,
            row.impact.lower(),
            row.measure,
            row.phase,
            f"{row.events:,}",
            shape.format(row.estimate),
            interval,
            *("-" if p is None else f"{p:.3f}" for p in (row.p_value, row.p_corrected)),
        )
    return table
