"""The `ballast` command. Every verb takes `--json`; exit codes: 0 done, 1 the answer is no, 2 wrong arguments,
69 the system does not answer, 70 a bug, 78 wrong configuration or data.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ballast_cli import output
from ballast_cli.arguments import Json, OrderId, Reason, confirmed, home
from ballast_cli.by_hand import by_hand
from ballast_cli.readiness.command import readiness
from ballast_cli.research_commands import research
from ballast_cli.runs import Keep, Report
from ballast_cli.runs import check as check_report
from ballast_cli.safekeeping import safekeeping
from common.errors import BallastError, ConfigError, DataError, TapeError

app = typer.Typer(
    help="Ballast: algorithmic trading with an independent risk guardian.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
config_app = typer.Typer(help="Look at the effective configuration.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure.", no_args_is_help=True)
app.add_typer(by_hand)
app.add_typer(research)
app.add_typer(safekeeping)
app.add_typer(readiness)
app.add_typer(config_app, name="config")
app.add_typer(bench_app, name="bench")

Profile = Annotated[str, typer.Option(help="fx, crypto, crypto-perp or multi-asset")]
Override = Annotated[Path | None, typer.Option("--config", help="your own TOML file, laid over the profile")]
Data = Annotated[
    str, typer.Option(help="builtin, builtin-h1, synthetic:NAME, paths:KIND:SEED:DATA or a directory of price files")
]
Start = Annotated[str | None, typer.Option("--from", help="first bar closes after this date or time (UTC)")]
End = Annotated[str | None, typer.Option("--to", help="last bar closes by this date or time (UTC)")]


@app.command()
def up(
    profile: Profile = "fx",
    data: Data = "builtin",
    config: Override = None,
    start: Start = None,
    end: End = None,
    speed: Annotated[str, typer.Option(help="max, 5 (slices a second) or 60x (real time)")] = "max",
    until_end: Annotated[bool, typer.Option("--until-end", help="begin anew, stop when the data is over")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="begin anew, whatever was running in this home")] = False,
    standby: Annotated[bool, typer.Option("--standby", help="second guardian and execution that take over")] = False,
    traces: Annotated[str, typer.Option(help="OTLP/HTTP URL where sampled traces of ticks and orders go")] = "",
    as_json: Json = False,
) -> None:
    """Start servers and services and trade on paper; Ctrl-C stops all of it."""
    from ballast_cli.configuration import effective
    from ballast_cli.live import up as run
    from research.updates.store import in_force

    settings = effective(profile, override=config, data=data, start=start, end=end, speed=speed)
    settings = in_force(home(), settings)
    home().mkdir(parents=True, exist_ok=True)
    result = asyncio.run(
        run(home(), settings, until_end=until_end, fresh=fresh, quiet=as_json, standby=standby, traces=traces)
    )
    output.answer(result, as_json)
    if until_end and not result["complete"]:
        raise typer.Exit(output.FAILED)


@app.command()
def down(as_json: Json = False) -> None:
    """Stop what `ballast up` started here."""
    from common.runtime.supervisor import stop_running

    output.answer({"stopped": stop_running(home())}, as_json)


@app.command()
def status(as_json: Json = False) -> None:
    """Processes, health and memory of the system running here."""
    from ballast_cli.status import status as look

    result = look(home())
    output.answer(result, as_json)
    if not result["running"]:
        raise typer.Exit(output.UNAVAILABLE)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Whether this machine can run Ballast."""
    from ballast_cli.status import doctor as examine

    result = examine(home())
    rows = {check["check"]: f"{'ok ' if check['ok'] else 'NO '} {check['found']}" for check in result["checks"]}
    output.answer(result if as_json else rows, as_json)
    if not result["ok"]:
        raise typer.Exit(output.FAILED)


@app.command()
def halt(
    reason: Reason = "halted by the operator",
    flatten: Annotated[bool, typer.Option("--flatten", help="also close every position")] = False,
    as_json: Json = False,
) -> None:
    """Emergency stop: no new orders, working orders canceled."""
    from ballast_cli.operator import halt as command

    confirmed(asyncio.run(command(home(), reason, flatten=flatten)), as_json)


@app.command()
def resume(reason: Reason, as_json: Json = False) -> None:
    """Trade again after a halt."""
    from ballast_cli.operator import resume as command

    confirmed(asyncio.run(command(home(), reason)), as_json)


@app.command()
def stress(as_json: Json = False) -> None:
    """What the book would lose in every stress scenario, by the running guardian."""
    from ballast_cli.stress import in_words
    from ballast_cli.stress import stress as ask

    result = asyncio.run(ask(home()))
    output.answer(result if as_json else in_words(result), as_json)
    if not result["confirmed"]:
        raise typer.Exit(output.UNAVAILABLE)


@app.command()
def explain(order_id: OrderId, as_json: Json = False) -> None:
    """Why an order came to be: tick, regime, signal, target, risk decision, order, fills."""
    from ballast_cli.explain import explain as look
    from ballast_cli.explain import in_words

    found = look(home(), order_id)
    if as_json:
        output.answer(found, as_json)
        return
    for line in in_words(found):
        output.out.print(line, markup=False, soft_wrap=True)


@app.command()
def backtest(
    profile: Profile = "fx",
    data: Data = "builtin",
    config: Override = None,
    start: Start = None,
    end: End = None,
    resume_after: Annotated[
        int | None, typer.Option(min=0, help="simulate an operator who resumes this many days after a halt")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="every step message by message; slower, with the same orders")
    ] = False,
    report: Report = None,
    keep: Keep = True,
    as_json: Json = False,
) -> None:
    """All cores in one process over recorded data: the same orders as a live run."""
    from ballast_cli.backtest import backtest as run
    from ballast_cli.backtest import say
    from ballast_cli.configuration import effective

    check_report(report)
    settings = effective(profile, override=config, data=data, start=start, end=end)
    show = not as_json and sys.stderr.isatty()
    result = run(settings, resume_after_days=resume_after, show_progress=show, report=report, keep=keep, plain=plain)
    say(result, as_json)
    if result["features_off"]:  # a result, but not of what was asked for
        for name, reason in result["features_off"].items():
            output.err.print(f"{name} is off: {reason}", markup=False, soft_wrap=True)
        raise typer.Exit(output.FAILED)


@app.command()
def replay(
    check: Annotated[bool, typer.Option("--check", help="compare what every service says with what it said")] = False,
    as_json: Json = False,
) -> None:
    """Run every service again over the recorded tape."""
    from ballast_cli.replay import replay as run

    if not check:
        raise typer.BadParameter("say --check: comparing is what a replay is for", param_hint="replay")
    result = run(home())
    output.answer(result, as_json)
    if not all(service["identical"] for service in result["services"].values()):
        raise typer.Exit(output.FAILED)


@config_app.command("check")
def config_check(profile: Profile = "fx", config: Override = None, as_json: Json = False) -> None:
    """Validate a profile with your file over it, and the strategies it names."""
    from ballast_cli.configuration import effective
    from research.backtest import cores

    cores(effective(profile, override=config))
    output.answer({"valid": True, "profile": profile, "config": str(config) if config else None}, as_json)


@config_app.command("show")
def config_show(profile: Profile = "fx", config: Override = None, as_json: Json = False) -> None:
    """Every key with its effective value."""
    from ballast_cli.configuration import effective

    output.answer(effective(profile, override=config), as_json)


@bench_app.command("latency")
def bench_latency(
    steps: Annotated[int, typer.Option(min=50, help="slices to measure")] = 1000, as_json: Json = False
) -> None:
    """Tick to order through all services and NATS, next to a bare five-hop relay of the same messages."""
    from ballast_cli.latency import latency

    output.answer(asyncio.run(latency(steps)), as_json)


@bench_app.command("risk")
def bench_risk(
    steps: Annotated[int, typer.Option(min=100, max=6600, help="decisions to measure")] = 3000, as_json: Json = False
) -> None:
    """One decision of the guardian with 50 positions and every control on, next to the bare arithmetic of a VaR."""
    from ballast_cli.risk_bench import risk

    output.answer(risk(steps), as_json)


@bench_app.command("api")
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


@bench_app.command("resilience")
def bench_resilience(
    data: Annotated[Path, typer.Option(help="directory with the recorded episodes")],
    write: Annotated[Path | None, typer.Option(help="also write the tables to this Markdown file")] = None,
    as_json: Json = False,
) -> None:
    """Real stress episodes with the guardian and without it."""
    from ballast_cli.resilience import in_markdown, resilience

    result = resilience(data)
    if write is not None:
        write.write_text(in_markdown(result))
    output.answer(result, as_json)


@bench_app.command("engines")
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


@bench_app.command("execution")
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


def main() -> None:
    """Entry point: what a user can mend is one line and an exit code, never a traceback."""
    try:
        app()
    except SystemExit as end:  # of a command that is over, or of typer, which has said what is wrong with the arguments
        if end.code == output.USAGE:
            _as_json("wrong arguments; --help lists them")
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except BallastError as error:
        _fail(str(error), _exit_code(error))
    except OSError as error:
        if error.filename is None:
            _bug()
        _fail(f"{error.filename}: {error.strerror}", output.CONFIG)
    except Exception:  # noqa: BLE001 (whatever else it is, it is ours)
        _bug()


def _exit_code(error: BallastError) -> int:
    match error:
        case output.WrongArgumentError():
            return output.USAGE
        case TapeError():
            return output.UNAVAILABLE
        case ConfigError() | DataError():
            return output.CONFIG
    return output.FAILED


def _fail(message: str, code: int) -> NoReturn:
    _as_json(message)
    output.err.print(f"ballast: {message}", markup=False, soft_wrap=True)
    sys.exit(code)


def _bug() -> NoReturn:
    traceback.print_exc()
    _fail("this is a bug; please report it with the lines above", output.BUG)


def _as_json(error: str) -> None:
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps({"error": error}) + "\n")
