"""The verbs of research: each in a file of its own, registered here."""

from __future__ import annotations

import typer

from ballast_cli.backfill import backfill
from ballast_cli.data_quality import quality
from ballast_cli.events import report as events_report
from ballast_cli.optimize import optimize, walkforward
from ballast_cli.regime import regime
from ballast_cli.regime_evaluate import evaluate
from ballast_cli.runs import runs
from ballast_cli.sessions import sessions
from ballast_cli.stress_test import stress_test
from ballast_cli.sweep import sweep
from ballast_cli.truth import ab, lookahead, parity, warmup
from ballast_cli.updates import params

research = typer.Typer(no_args_is_help=True)
data = typer.Typer(help="Look at recorded prices.", no_args_is_help=True)
data.command("quality")(quality)
data.command("backfill")(backfill)
research.add_typer(data, name="data")
events = typer.Typer(help="Look at scheduled economic events.", no_args_is_help=True)
events.command("report")(events_report)
research.add_typer(events, name="events")
research.add_typer(runs, name="runs")
research.add_typer(params, name="params")
research.add_typer(evaluate, name="evaluate")
research.add_typer(regime, name="regime")
research.add_typer(sessions, name="sessions")
research.command("stress-test")(stress_test)
research.command("sweep")(sweep)
research.command("optimize")(optimize)
research.command("walkforward")(walkforward)
research.command("ab")(ab)
research.command("lookahead")(lookahead)
research.command("warmup")(warmup)
research.command("parity")(parity)
