"""What several commands ask for, and how those that wait for an answer end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ballast_cli import output

Json = Annotated[bool, typer.Option("--json", help="one JSON object instead of text")]
Profile = Annotated[str, typer.Option(help="fx, crypto, crypto-perp or multi-asset")]
Override = Annotated[Path | None, typer.Option("--config", help="your own TOML file, laid over the profile")]
_RECORDED = "builtin, builtin-h1, synthetic:NAME, paths:KIND:SEED:DATA or a directory of price files"
Data = Annotated[str, typer.Option(help=_RECORDED)]
LiveData = Annotated[str, typer.Option(help=f"live (feeds of the profile), {_RECORDED}")]
Start = Annotated[str | None, typer.Option("--from", help="first bar closes after this date or time (UTC)")]
End = Annotated[str | None, typer.Option("--to", help="last bar closes by this date or time (UTC)")]


def _not_empty(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("empty; expected why, for the audit log")
    return reason


OrderId = Annotated[str, typer.Argument(help="client order id")]
Reason = Annotated[str, typer.Option(callback=_not_empty, help="why; goes to the audit log")]


def home() -> Path:
    """Where state lives: `BALLAST_HOME`, by default `.ballast` here."""
    return Path(os.environ.get("BALLAST_HOME") or ".ballast").resolve()


def confirmed(result: dict[str, Any], as_json: bool) -> None:
    """Prints the answer; nobody having answered is an exit code."""
    output.answer(result, as_json)
    if not result["confirmed"]:
        raise typer.Exit(output.UNAVAILABLE)


def obeyed(result: dict[str, Any], as_json: bool) -> None:
    """As `confirmed`, and an answer of no is another one."""
    confirmed(result, as_json)
    if not result["done"]:
        raise typer.Exit(output.FAILED)
