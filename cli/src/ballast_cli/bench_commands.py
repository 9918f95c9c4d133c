"""`ballast bench`: what things cost and what they are worth, each next to a floor."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ballast_cli import output
from ballast_cli.arguments import Data, End, Json, Override, Profile, Start, home

bench = typer.Typer(help="Measure.", no_args_is_help=True)


@bench.command("latency")
def bench_latency(
    steps: Annotated[int, typer.Option(min=50, help="slices to measure")] = 1000, as_json: Json = False
) -> None:
    """Tick to order through all services and NATS, next to a bare five-hop relay of the same messages."""
    from ballast_cli.latency import latency

    output.answer(asyncio.run(latency(steps)), as_json)


@bench.command("risk")
def bench_risk(
    steps: Annotated[int, typer.Option(min=100, max=6600, help="decisions to measure")] = 3000, as_json: Json = False
) -> None:
    """One decision of the guardian with 50 positions and every control on, next to the bare arithmetic of a VaR."""
    from ballast_cli.risk_bench import risk

    output.answer(risk(steps), as_json)


@bench.command("regime")
def bench_regime(
    slices: Annotated[int, typer.Option(min=50, max=20_000, help="slices to measure")] = 500, as_json: Json = False
) -> None:
    """One slice of 50 instruments on all timeframes through the regime detector, everything on; one bar of one instrument."""
    from ballast_cli.regime_bench import regime

    output.answer(regime(slices), as_json)


@bench.command("api")
def bench_api(
    users: Annotated[int, typer.Option(min=1, max=500, help="open pages; 10 are expected")] = 100,
    seconds: Annotated[float, typer.Option(min=5, max=600, help="how long they stay open")] = 20,
    as_json: Json = False,
) -> None:
    """The gateway of the system here, else of one of its own, with many pages open; and whether trading notices."""
    from ballast_cli.api_load import api

    result = asyncio.run(api(home(), users=users, seconds=seconds))
    output.answer(result, as_json)
    if not result["within_limit"]:
        raise typer.Exit(output.FAILED)


@bench.command("memory")
def bench_memory(
    data: Data,
    profile: Profile = "fx",
    config: Override = None,
    start: Start = None,
    end: End = None,
    as_json: Json = False,
) -> None:
    """What all cores hold in memory over a long replay, and whether that grows."""
    from ballast_cli.configuration import effective
    from ballast_cli.memory_bench import memory

    result = memory(effective(profile, override=config, data=data, start=start, end=end))
    output.answer(result, as_json)
    if not result["within_limit"]:
        raise typer.Exit(output.FAILED)


@bench.command("resilience")
def bench_resilience(
    data: Annotated[Path, typer.Option(help="directory with the recorded episodes")],
    write: Annotated[Path | None, typer.Option(help="also write the tables to this Markdown file")] = None,
    as_json: Json = False,
) -> None:
    """Real stress episodes with the guardian and without it."""
    from ballast_cli.resilience import in_markdown, resilience
    from ballast_cli.runs import check

    check(write, "--write")
    result = resilience(data)
    if write is not None:
        write.write_text(in_markdown(result))
    output.answer(result, as_json)


@bench.command("engines")
def bench_engines(
    data: Annotated[Path | None, typer.Option(help="recorded prices, with fx/m1 and fx/h1; else a random walk")] = None,
    checkout: Annotated[
        Path, typer.Option(help="checkout of Ballast, with what `make bench-engines` installs")
    ] = Path(),
    bars: Annotated[int, typer.Option(min=0, help="at most so many bars of each case; 0: all")] = 0,
    cold: Annotated[bool, typer.Option("--cold/--no-cold", help="also time fresh processes")] = True,
    as_json: Json = False,
) -> None:
    """The same rule through vectorbt, backtesting.py, backtrader and NautilusTrader, where they are installed."""
    from ballast_cli.engines_bench import engines, tables

    result = engines(checkout, data, bars=bars, cold=cold, show=not as_json and sys.stderr.isatty())
    if as_json:
        output.answer(result, as_json)
        return
    for table in tables(result):
        output.out.print(table)
    for name in result["not_installed"]:
        output.out.print(f"{name} is not installed; make bench-engines does it", markup=False)


@bench.command("execution")
def bench_execution(
    data: Data,
    profile: Profile = "crypto",
    config: Override = None,
    start: Start = None,
    end: End = None,
    orders: Annotated[int, typer.Option(min=1, help="of each size in each instrument")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="decides when they arrive, and their sides")] = 1,
    as_json: Json = False,
) -> None:
    """What the execution algorithms save against market orders at once, through the paper venue."""
    from ballast_cli.configuration import effective
    from ballast_cli.execution_costs import execution

    settings = effective(profile, override=config, data=data, start=start, end=end)
    output.answer(execution(settings, orders=orders, seed=seed), as_json)


@bench.command("feeds")
def bench_feeds(
    data: Annotated[
        Path | None, typer.Option(help="directory with quotes of one instrument by two brokers; else made-up ones")
    ] = None,
    hours: Annotated[float, typer.Option(min=0.1, help="of data")] = 1.0,
    start: Annotated[datetime | None, typer.Option("--from", help="the data from this date or time (UTC) on")] = None,
    as_json: Json = False,
) -> None:
    """A redundant pair of feeds through every fault: failover time, availability, bad prices that came through."""
    from ballast_cli.feeds_bench import feeds, tables

    result = feeds(data, hours, start)
    if as_json:
        output.answer(result, as_json)
        return
    for table in tables(result):
        output.out.print(table)
