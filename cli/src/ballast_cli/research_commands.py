"""The verbs of research: each in a file of its own, registered here."""

from __future__ import annotations

import typer

from ballast_cli.optimize import optimize, walkforward
from ballast_cli.runs import runs
from ballast_cli.stress_test import stress_test
from ballast_cli.sweep import sweep
from ballast_cli.truth import ab, lookahead, parity, warmup
from ballast_cli.updates import params

research = typer.Typer(no_args_is_help=True)
research.add_typer(runs, name="runs")
research.add_typer(params, name="params")
research.command("stress-test")(stress_test)
research.command("sweep")(sweep)
research.command("optimize")(optimize)
research.command("walkforward")(walkforward)
research.command("ab")(ab)
research.command("lookahead")(lookahead)
research.command("warmup")(warmup)
research.command("parity")(parity)
