"""The verb `readiness`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ballast_cli import output
from ballast_cli.arguments import Json, home
from ballast_cli.runs import check as check_report
from common.errors import ConfigError
from common.runtime import environment as names

if TYPE_CHECKING:  # what it takes is loaded when the verb is used
    from ballast_cli.readiness.checks import Check
    from ballast_cli.readiness.evidence import Finding

readiness = typer.Typer()
WEBHOOK: Final = "127.0.0.1:9095"
_QUESTION: Final = (
    "{names} disturb trading: it is halted and resumed (working orders are canceled, ladders begin anew) and services are killed or "
    "frozen for seconds. Do them"
)


@readiness.command("readiness")
def command(
    only: Annotated[list[str] | None, typer.Option(help="one check by its name; may be said more than once")] = None,
    disruptive: Annotated[
        bool | None, typer.Option("--disruptive/--no-disruptive", help="also what disturbs trading; else it is asked")
    ] = None,
    at_home: Annotated[Path | None, typer.Option("--home", help="state directory; else BALLAST_HOME")] = None,
    report: Annotated[Path | None, typer.Option(help="also an HTML page, to this file")] = None,
    alertmanager: Annotated[str, typer.Option(help="URL of the Alertmanager that is to tell --webhook")] = "",
    webhook: Annotated[str, typer.Option(help="HOST:PORT to listen at for what Alertmanager tells")] = WEBHOOK,
    as_json: Json = False,
) -> None:
    """Exercise every control of the paper system that runs here, with evidence."""
    from ballast_cli.readiness.checks import CHECKS
    from ballast_cli.readiness.page import page
    from ballast_cli.readiness.run import run, verdict
    from ballast_cli.readiness.system import System

    if os.environ.get(names.NATS_URL):
        raise ConfigError(f"{names.NATS_URL}: set; readiness exercises the system of a home, unset it")
    check_report(report)
    chosen = _chosen(CHECKS, only or [])
    system = System((at_home or home()).resolve(), alertmanager=alertmanager, webhook=_address(webhook))
    system.require_paper()
    wanted = _wanted(chosen, disruptive, ask=not as_json and sys.stdin.isatty())
    result = run(system, chosen, disruptive=wanted, say=(lambda finding: None) if as_json else _say)
    if report is not None:
        report.write_text(page(result), encoding="utf-8")
    if as_json:
        output.answer(result, as_json)
    else:
        counts = f"{result['passed']} passed, {result['failed']} failed, {result['left_out']} left out"
        output.out.print(f"{verdict(result)}: {counts}, {result['took_s']:g} s", markup=False)
        for what in result["not_restored"]:
            output.err.print(f"not left as it was found: {what}", markup=False, soft_wrap=True)
    if not result["ok"]:
        raise typer.Exit(output.FAILED)


def _chosen(checks: Sequence[Check], only: Sequence[str]) -> list[Check]:
    known = [check.name for check in checks]
    if strange := [name for name in only if name not in known]:
        raise output.WrongArgumentError(f"--only {strange[0]}: expected one of {', '.join(known)}")
    return [check for check in checks if not only or check.name in only]


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 2**16):
        raise output.WrongArgumentError(f"--webhook {text!r}: expected HOST:PORT")
    return host, int(port)


def _wanted(chosen: Sequence[Check], disruptive: bool | None, *, ask: bool) -> bool:
    """One question, at a terminal only; nobody there is a no."""
    found = ", ".join(check.name for check in chosen if check.disruptive)
    if disruptive is not None or not found or not ask:
        return bool(disruptive)
    return typer.confirm(_QUESTION.format(names=found), default=False)


def _say(finding: Finding) -> None:
    evidence = finding.evidence
    word = {True: "pass", False: "FAIL", None: "    "}[evidence.passed]
    output.out.print(f"{word}  {finding.title} ({finding.check}), {finding.took_s:.1f} s", markup=False)
    if evidence.passed is None:
        output.out.print(f"        {evidence.saw}", markup=False, soft_wrap=True)
        return
    output.out.print(f"        did    {evidence.did}", markup=False, soft_wrap=True)
    output.out.print(f"        saw    {evidence.saw}", markup=False, soft_wrap=True)
    output.out.print(f"        limit  {evidence.limit or '-'}", markup=False, soft_wrap=True)
