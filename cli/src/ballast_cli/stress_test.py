"""`ballast stress-test`: a whole backtest over synthetic paths of its market and over crises that happened (RES-08)."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ballast_cli import output
from ballast_cli.arguments import Json


def stress_test(
    profile: Annotated[str, typer.Option(help="fx, crypto, crypto-perp or multi-asset")] = "fx",
    data: Annotated[str, typer.Option(help="what the paths are made after: as --data of a backtest")] = "builtin",
    config: Annotated[Path | None, typer.Option("--config", help="your own TOML file, over the profile")] = None,
    start: Annotated[str | None, typer.Option("--from", help="first bar closes after this date or time (UTC)")] = None,
    end: Annotated[str | None, typer.Option("--to", help="last bar closes by this date or time (UTC)")] = None,
    kind: Annotated[str, typer.Option(help="of paths, with commas")] = "garch,jumps,crash,bootstrap",
    paths: Annotated[int, typer.Option(min=1, help="of each kind")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="of the first path; the next ones count up")] = 1,
    episodes: Annotated[Path | None, typer.Option(help="also the real crises recorded below this directory")] = None,
    resume_after: Annotated[
        int | None, typer.Option(min=0, help="simulate an operator who resumes this many days after a halt")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    as_json: Json = False,
) -> None:
    """Run the whole system over paths that could have been; the worst ones can be replayed."""
    from ballast_cli.configuration import effective
    from research.stress.episodes import of_profile

    settings = effective(profile, override=config, data=data, start=start, end=end)
    if episodes is not None:
        of_profile(profile, episodes)  # before the paths: whether there are any
    kinds = [name.strip() for name in kind.split(",") if name.strip()]
    result: dict[str, Any] = {
        "data": data,
        "kinds": _paths(settings, kinds, paths, seed, resume_after, workers, show=not as_json and sys.stderr.isatty()),
    }
    span = [*(("--from", start) if start else ()), *(("--to", end) if end else ())]
    own = ["--config", str(config)] if config else []
    resumed = [] if resume_after is None else ["--resume-after", str(resume_after)]
    for found in result["kinds"].values():
        if worst := found.get("worst"):
            words = ["ballast", "backtest", "--profile", profile, *own, "--data", worst["data"], *span, *resumed]
            worst["replay"] = shlex.join(words)
    if episodes is not None:
        result["episodes"] = _episodes(profile, config, episodes, resume_after)
    output.answer(result if as_json else _in_words(result), as_json)
    if off := sorted({name for found in result["kinds"].values() for name in found["features_off"]}):
        output.err.print(f"off in some runs: {', '.join(off)}", markup=False, soft_wrap=True)
        raise typer.Exit(output.FAILED)


def _paths(
    settings: Mapping[str, Any],
    kinds: list[str],
    paths: int,
    seed: int,
    resume_after: int | None,
    workers: int,
    *,
    show: bool,
) -> dict[str, Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from research.stress.paths import outcomes, stress

    columns = (TextColumn("paths"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=output.err, disable=not show, transient=True) as progress:
        found = outcomes(settings, kinds=kinds, paths=paths, seed=seed, resume_after_days=resume_after, workers=workers)
        return stress(progress.track(found, total=1 + paths * len(kinds)))


def _episodes(profile: str, override: Path | None, data: Path, resume_after: int | None) -> dict[str, Any]:
    from ballast_cli.configuration import effective
    from research.stress.episodes import episodes

    def configure(directory: str, start: str, end: str) -> Mapping[str, Any]:
        return effective(profile, override=override, data=directory, start=start, end=end)

    return dict(episodes(profile, data, configure, resume_after_days=resume_after))


def _in_words(result: Mapping[str, Any]) -> dict[str, Any]:
    """A line for each measure of each kind: its quantiles from the 5th to the 95th percentile."""
    lines: dict[str, Any] = {"data": result["data"]}
    for kind, measures in result["kinds"].items():
        for name, value in measures.items():
            lines[f"{kind}.{name}"] = _line(name, value)
    return lines | ({"episodes": result["episodes"]} if "episodes" in result else {})


def _line(name: str, value: Any) -> Any:
    if name == "worst":
        return f"{value['total_return'] or 0.0:+.2%}: {value['replay']}"
    shape = {"return": "{:+.2%}", "halts": "{:g}"}.get(name, "{:.2%}").format
    if isinstance(value, Mapping):
        return "  ".join(f"{quantile} {shape(number)}" for quantile, number in value.items())
    return shape(value) if isinstance(value, float) else value
