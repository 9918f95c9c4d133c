"""`ballast sweep`: hundreds of configurations over the same prices, ranked, with what of it is luck (RES-04, SIG-02)."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ballast_cli import output
from ballast_cli.arguments import Json, home

if TYPE_CHECKING:
    from research.sweep.grid import Grid
    from research.sweep.measures import Span
    from research.sweep.ranking import Ranked
    from research.sweep.sweep import Swept

SHIPPED: Final = "384"


def sweep(
    grid: Annotated[str, typer.Option(help="384 for the shipped configurations, or your own TOML file")] = SHIPPED,
    profile: Annotated[str, typer.Option(help="fx, crypto, crypto-perp or multi-asset")] = "fx",
    data: Annotated[str, typer.Option(help="builtin, builtin-h1, synthetic:NAME or a directory")] = "builtin",
    config: Annotated[Path | None, typer.Option("--config", help="your own TOML file, over the profile")] = None,
    start: Annotated[str | None, typer.Option("--from", help="first bar closes after this date or time (UTC)")] = None,
    end: Annotated[str | None, typer.Option("--to", help="last bar closes by this date or time (UTC)")] = None,
    top: Annotated[int, typer.Option(min=1, help="how many are shown, with intervals")] = 20,
    out_of_sample: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="last fraction of the time that takes no part in the ranking")
    ] = 0.3,
    min_trades: Annotated[
        int, typer.Option(min=0, help="configurations with fewer trades in sample are ranked behind the others")
    ] = 30,
    resume: Annotated[bool, typer.Option("--resume", help="take what an interrupted sweep has finished")] = False,
    bench: Annotated[
        bool, typer.Option("--bench", help="measure speed next to a bare kernel, and nothing else")
    ] = False,
    as_json: Json = False,
) -> None:
    """Try a grid of strategies, parameters, pairs and timeframes in one compiled pass; rank by Sharpe in sample."""
    if bench:
        from research.sweep.bench import bench as measured

        output.answer(measured(), as_json)
        return
    from ballast_cli.configuration import effective
    from research.sweep.grid import BUNDLED, load

    settings = effective(profile, override=config, data=data, start=start, end=end)
    listed = load(BUNDLED if grid == SHIPPED else Path(grid), settings)
    begun = time.perf_counter()
    show = not as_json and sys.stderr.isatty()
    swept = _swept(settings, listed, resume, out_of_sample, top, min_trades, show=show)
    result = _result(swept, top, time.perf_counter() - begun)
    if as_json:
        output.answer(result, True)
    else:
        _print(swept, result, top)
    if swept.refused:
        raise typer.Exit(output.FAILED)


def _swept(
    settings: Mapping[str, Any],
    grid: Grid,
    resume: bool,
    out_of_sample: float,
    top: int,
    min_trades: int,
    *,
    show: bool,
) -> Swept:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from research.sweep.sweep import sweep as run

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=output.err, disable=not show, transient=True) as progress:
        task = progress.add_task("series", total=None)
        try:
            return run(
                settings,
                grid,
                home() / "sweeps",
                resume=resume,
                out_of_sample=out_of_sample,
                top=top,
                min_trades=min_trades,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
        except KeyboardInterrupt:
            output.err.print("interrupted; the same command with --resume goes on from here")
            raise


def _result(swept: Swept, top: int, wall_s: float) -> dict[str, Any]:
    import msgspec

    from common.model.time import iso

    ranking = swept.ranking
    return {
        "grid": swept.grid,
        "configurations": ranking.trials,
        "refused": [{"where": one.where, "reason": one.reason} for one in swept.refused],
        "costs": swept.costs,
        "config_bars": swept.config_bars,
        "config_bars_per_cpu_s": round(swept.computed_config_bars / swept.cpu_s) if swept.cpu_s > 0 else None,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "series": {"computed": swept.computed, "resumed": swept.taken},
        "in_sample_until": iso(swept.split_ns) if swept.split_ns else None,
        "pbo": ranking.pbo,
        "probability_of_loss": ranking.probability_of_loss,
        "effective_trials": ranking.effective_trials,
        "wall_s": round(wall_s, 2),
        "ranking": [_row(msgspec.to_builtins(one)) for one in ranking.ranked[:top]],
    }


def _row(ranked: dict[str, Any]) -> dict[str, Any]:
    return {"rank": ranked.pop("rank"), **ranked.pop("measured"), **ranked}


def _print(swept: Swept, result: Mapping[str, Any], top: int) -> None:
    from rich.table import Table

    table = Table(title=f"{swept.grid}: best {min(top, swept.ranking.trials)} of {swept.ranking.trials}")
    table.add_column("#", justify="right")
    table.add_column("configuration", overflow="fold")
    for name in (
        "Sharpe",
        "95 % interval",
        "deflated",
        "Sortino",
        "drawdown",
        "profit f.",
        "stress",
        "trades",
        "financing",
        "later",
    ):
        table.add_column(name, justify="right")
    for one in swept.ranking.ranked[:top]:
        table.add_row(*_cells(one))
    output.out.print(table)
    short = {key: value for key, value in result.items() if key not in ("ranking", "refused")}
    output.answer(short, False)
    for refused in swept.refused:
        output.err.print(f"refused  {refused.where}: {refused.reason}", markup=False, soft_wrap=True)


def _cells(one: Ranked) -> tuple[str, ...]:
    first, later = one.measured.in_sample, one.measured.out_of_sample
    low, high = _two(one.sharpe_low), _two(one.sharpe_high)
    return (
        str(one.rank),
        one.measured.name,
        _two(first.sharpe),
        f"{low} to {high}",
        _two(one.deflated_sharpe),
        *_rest(first, one.few_trades),
        _two(later.sharpe) if later else "-",
    )


def _rest(span: Span, few: bool) -> tuple[str, ...]:
    return (
        _two(span.sortino),
        f"{span.max_drawdown:.2%}",
        _two(span.profit_factor),
        _two(span.stress_resilience),
        f"{span.trades:,}{' few' if few else ''}",
        f"{span.financing:,.0f}",
    )


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
