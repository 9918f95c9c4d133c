"""The `ballast` command. Every verb takes `--json`; exit codes: 0 done, 1 the answer is no, 2 wrong arguments,
69 the system does not answer, 70 a bug, 78 wrong configuration or data.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from ballast_cli import output
from ballast_cli.arguments import Data, End, Json, LiveData, OrderId, Override, Profile, Reason, Start, confirmed, home
from ballast_cli.bench_commands import bench
from ballast_cli.by_hand import by_hand
from ballast_cli.readiness.command import readiness
from ballast_cli.research_commands import research
from ballast_cli.runs import Keep, Report, check_keeping
from ballast_cli.runs import check as check_report
from ballast_cli.safekeeping import safekeeping
from common.errors import BallastError, ConfigError, DataError, TapeError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
app = typer.Typer(
    help="Ballast: algorithmic trading with an independent risk guardian.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
config_app = typer.Typer(help="Look at the effective configuration.", no_args_is_help=True)
app.add_typer(by_hand)
app.add_typer(research)
app.add_typer(safekeeping)
app.add_typer(readiness)
app.add_typer(config_app, name="config")
app.add_typer(bench, name="bench")


@app.command()
def up(
    profile: Profile = "fx",
    data: LiveData = "builtin",
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
def prices(as_json: Json = False) -> None:
    """What every symbol is quoted at by each venue of the run, and the spread between them."""
    from ballast_cli.prices import prices as look
    from ballast_cli.prices import tables

    result = look(home())
    if as_json:
        output.answer(result, as_json)
        return
    for table in tables(result):
        output.out.print(table)


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
    if keep:
        check_keeping()
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
        if error.errno in _NO_ROOM:  # a write knows no file name
            _fail(f"{error.filename or 'the output'}: cannot be written: {error.strerror}", output.CONFIG)
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
    try:
        if "--json" in sys.argv:
            sys.stdout.write(json.dumps({"error": error}) + "\n")
        sys.stdout.flush()
    except OSError:  # what is left of it must not fail again when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
