"""The commands `backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ballast_cli import output
from ballast_cli.arguments import Json, home

safekeeping = typer.Typer()


@safekeeping.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="new file, or a directory to make one in")],
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="also the secrets of this home; keep such a file as one")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tape, history, order intents and configuration into one file; a running system trades on."""
    from ballast_cli.backup import backup as command

    output.answer(command(home(), target, with_secrets=with_secrets), as_json)


@safekeeping.command()
def restore(
    file: Annotated[Path, typer.Argument(help="made by `ballast backup`")],
    replace: Annotated[bool, typer.Option("--replace", help="move what is there aside first")] = False,
    as_json: Json = False,
) -> None:
    """Everything back from a file of `ballast backup`; start it with `ballast up` afterwards."""
    from ballast_cli.restore import restore as command

    output.answer(command(home(), file, replace=replace), as_json)
