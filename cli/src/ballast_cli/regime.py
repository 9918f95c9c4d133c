"""`ballast regime`: fit models, look at regimes in recorded prices, set a regime by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from ballast_cli import output
from ballast_cli.arguments import End, Json, Override, Profile, Reason, Start, home, obeyed
from common.model.enums import Regime
from common.model.time import Timeframe

regime = typer.Typer(help="What kind of market it is: models, history, a regime set by hand.", no_args_is_help=True)
LABELED: Final = "labeled"
Frames = Annotated[list[Timeframe] | None, typer.Option("--timeframe", help="may be repeated")]
Prices = Annotated[str, typer.Option("--data", help="as for `ballast backtest`")]


@regime.command("fit")
def fit(
    write: Annotated[Path, typer.Option(help="file of models, for `models` in [regime]")],
    profile: Profile = "fx",
    data: Annotated[
        str, typer.Option(help=f"as for `ballast backtest`, or `{LABELED}`: the markets that regimes are evaluated in")
    ] = "builtin",
    config: Override = None,
    start: Start = None,
    end: End = None,
    timeframe: Frames = None,
    each: Annotated[bool, typer.Option("--each", help="a model of each instrument as well as one of any")] = False,
    unlabeled: Annotated[
        bool, typer.Option("--unlabeled", help="labels by hidden Markov models instead of turning points")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fit models of regimes to recorded prices, and write them to a file."""
    from ballast_cli.configuration import effective
    from ballast_cli.regime_views import written
    from ballast_cli.runs import check
    from research.regimes.fit_data import fit_data, fit_worlds

    check(write, "--write")

    def progress(said: str) -> None:
        output.err.print(f"fitting {said}", markup=False)

    if data == LABELED:
        found = fit_worlds(progress)
    else:
        settings = effective(profile, override=config, data=data, start=start, end=end)
        wanted = timeframe or [Timeframe.D1]
        found = fit_data(settings, wanted, each=each, labeled=not unlabeled, progress=progress)
    output.answer(written(found, write), as_json)


@regime.command("show")
def show(
    profile: Profile = "fx",
    data: Prices = "builtin",
    config: Override = None,
    start: Start = None,
    end: End = None,
    timeframe: Frames = None,
    as_json: Json = False,
) -> None:
    """The regime of every instrument at the end of recorded prices, how long regimes last there, and what the models say."""
    from ballast_cli.configuration import effective
    from ballast_cli.regime_views import tables, views

    settings = effective(profile, override=config, data=data, start=start, end=end)
    result = views(settings, timeframe or [Timeframe.D1])
    if as_json:
        output.answer(result, as_json)
        return
    for table in tables(result):
        output.out.print(table)


@regime.command("override")
def override(
    reason: Reason,
    set_to: Annotated[str, typer.Option("--set", help=f"{', '.join(Regime)}, or nothing to lift what was set")] = "",
    instrument: Annotated[str, typer.Option(help="instrument id or symbol; left out: all")] = "",
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 366, help="of data time, until it reverts")] = 24.0,
    as_json: Json = False,
) -> None:
    """Set the regime of the running system by hand, or lift that; it reverts by itself."""
    from ballast_cli.regime_override import override as command

    wanted = set_to.upper()
    if wanted and wanted not in set(Regime):
        raise output.WrongArgumentError(f"--set {set_to}: expected one of {', '.join(Regime)}")
    obeyed(asyncio.run(command(home(), instrument, Regime(wanted) if wanted else None, hours, reason)), as_json)
