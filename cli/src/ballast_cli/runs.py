"""`ballast runs`: the backtests that were kept; and what `ballast backtest` does to keep one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ballast_cli import output
from ballast_cli.arguments import Json, home
from common.errors import ConfigError

if TYPE_CHECKING:
    from research.chronicle import Chronicle
    from research.summary import Summary

runs = typer.Typer(help="Backtests that were kept.", no_args_is_help=True)

Report = Annotated[Path | None, typer.Option("--report", help="write the run as one HTML page to this file")]
Keep = Annotated[bool, typer.Option("--keep/--no-keep", help="keep the run for `ballast runs`")]
_Run = Annotated[str, typer.Argument(help="id, a part of it that only one has, or latest")]


@runs.command("list")
def list_(as_json: Json = False) -> None:
    """Every kept run, oldest first, with what it takes on disk."""
    from research.runs import listing

    found = listing(home())
    if as_json:
        output.answer({"runs": found, "size_kb": round(sum(one["size_kb"] for one in found), 1)}, as_json)
        return
    rows = {one["id"]: _in_words(one) for one in found}
    output.answer(rows or {"runs": "none is kept here"}, as_json)


@runs.command()
def show(run: _Run = "latest", as_json: Json = False) -> None:
    """The result of one run, and where its files are."""
    from research import runs as kept

    output.answer(kept.show(home(), run), as_json)


@runs.command()
def compare(
    chosen: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="two runs or more, as in `show`")],
    as_json: Json = False,
) -> None:
    """Runs side by side, and in what their configurations differ."""
    from research import runs as kept

    if len(chosen) < 2:
        raise typer.BadParameter(f"got {len(chosen)}; expected two runs or more", param_hint="RUN")
    result = kept.compare(home(), chosen)
    if as_json:
        output.answer(result, as_json)
        return
    _print(result)


def finish(
    config: Mapping[str, Any],
    result: Mapping[str, Any],
    summary: Summary,
    chronicle: Chronicle,
    *,
    report: Path | None,
    keep: bool,
) -> dict[str, Any]:
    """Keeps the run and writes its page, as asked; gives what to add to the answer: `kept` and `report`.

    A run that is kept with a report has the page in its folder too.
    """
    from research import runs as kept
    from research.report.page import write

    added: dict[str, Any] = {}
    tried = kept.trials(home(), config, kept.sharpe_per_day(summary)) if report else []
    folder = kept.keep(home(), config, result, summary, chronicle, datetime.now(UTC)) if keep else None
    if folder is not None:
        added["kept"] = folder.name
    if report is not None:
        write(report, config, summary, chronicle, trials=tried)
        added["report"] = str(report)
        if folder is not None:
            (folder / "report.html").write_bytes(report.read_bytes())
    return added


def check(file: Path | None, option: str = "--report") -> None:
    """Before a long run: what `option` names can be written where it shall be. Raises ConfigError."""
    if file is None:
        return
    if file.is_dir():
        raise ConfigError(f"{option} {file}: a directory; expected a file")
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"{option} {file}: no such directory; expected a file in a directory that is there")
    if not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        raise ConfigError(f"{option} {file}: may not be written; expected a file that may")


def check_keeping() -> None:
    """Before a long run: it can be kept. Raises ConfigError."""
    folder = home() / "runs"
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        found = "may not be written" if there.is_dir() else "no directory"
        raise ConfigError(f"{there}: {found}; expected a BALLAST_HOME in which runs can be kept, or --no-keep")


def _in_words(one: Mapping[str, Any]) -> str:
    span = f"{one['from'] or 'start'} to {one['to'] or 'end'}"
    sharpe = "-" if one["sharpe_ratio"] is None else f"{one['sharpe_ratio']:.2f}"
    drawdown = "-" if one["max_drawdown"] is None else f"{one['max_drawdown']:.1%}"
    equity = "-" if one["equity"] is None else f"{one['equity']:,.2f}"
    return f"{one['data']} {span}: equity {equity}, Sharpe {sharpe}, drawdown {drawdown}; {one['size_kb']:,} kB"


def _print(result: Mapping[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    for part in ("figures", "configuration"):
        table = Table("", *map(escape, result["runs"]), title=part, title_justify="left")
        for key, values in result[part].items():
            table.add_row(key, *(Text(_cell(values[name])) for name in result["runs"]))
        if result[part]:
            output.out.print(table)
    if not result["configuration"]:
        output.out.print("The configurations are the same.")
    output.out.print("They trade the same." if result["same_trading"] else "They do not trade the same.")


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:,.4f}" if abs(value) < 100 else f"{value:,.2f}"
        case list():
            return ", ".join(map(str, value))
    return str(value)
