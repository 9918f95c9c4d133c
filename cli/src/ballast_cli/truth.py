"""`ballast ab|lookahead|warmup|parity`: what a backtest must stand before it is believed (RES-01, RES-03)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ballast_cli import output
from ballast_cli.arguments import Data, End, Json, Override, Profile, Start, home
from ballast_cli.progress import Bar

if TYPE_CHECKING:
    from common.quant.bootstrap import Interval
    from research.truth.ab import Comparison, Outcome

Folder = Annotated[Path | None, typer.Option("--strategy-folder", help="your own strategies, beside the shipped ones")]

SPAN: Final = 1500  # slices looked at where no span is named


def ab(
    profile: Profile = "fx",
    data: Data = "builtin",
    config: Override = None,
    start: Start = None,
    end: End = None,
    only: Annotated[list[str] | None, typer.Option(help="features whose name contains this; may be repeated")] = None,
    resume_after: Annotated[
        int | None, typer.Option(min=0, help="simulate an operator who resumes this many days after a halt")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the resampling")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    as_json: Json = False,
) -> None:
    """Everything on, and each feature off, over the same data: what each one contributes."""
    from ballast_cli.configuration import effective
    from research.truth.ab import compare, runs

    settings, wanted = effective(profile, override=config, data=data, start=start, end=end), tuple(only or ())
    _check_names(settings, wanted)
    with Bar("runs", total=runs(settings, wanted), show=_shows(as_json)) as bar:
        found = compare(settings, only=wanted, resume_after_days=resume_after, seed=seed, workers=workers, said=bar.to)
    output.answer(_compared(found) if as_json else _table(found), as_json)
    if found.everything.features_off:
        output.err.print(f"off: {', '.join(found.everything.features_off)}", markup=False, soft_wrap=True)
        raise typer.Exit(output.FAILED)


def _check_names(settings: Mapping[str, Any], wanted: tuple[str, ...]) -> None:
    from research.truth.features import all_on, features

    names = [each.name for each in features(all_on(settings))]
    for word in wanted:
        if not any(word in name for name in names):
            raise output.WrongArgumentError(
                f"--only {word}: in no feature's name; expected a part of {', '.join(names)}"
            )


def lookahead(
    profile: Profile = "fx",
    data: Data = "builtin",
    config: Override = None,
    start: Start = None,
    end: End = None,
    strategy_folder: Folder = None,
    cuts: Annotated[int, typer.Option(min=1, max=50, help="instants after which the future is changed")] = 3,
    seeds: Annotated[int, typer.Option(min=1, max=50, help="random futures at each of them")] = 1,
    as_json: Json = False,
) -> None:
    """Change the future: nothing said before may differ. Without --from and --to over the last 1,500 slices of the data."""
    from research.truth import lookahead as checks

    settings = _span(_settings(profile, data, config, start, end, strategy_folder), start, end)
    with Bar("runs", total=checks.runs(cuts, seeds), show=_shows(as_json)) as bar:
        verdict = checks.lookahead(settings, cuts=cuts, seeds=tuple(range(1, seeds + 1)), said=bar.to)
    output.answer(checks.as_json(verdict), as_json)
    if not verdict.passed:
        raise typer.Exit(output.FAILED)


def warmup(
    profile: Profile = "fx",
    data: Data = "builtin",
    config: Override = None,
    start: Start = None,
    end: End = None,
    strategy_folder: Folder = None,
    starts: Annotated[int, typer.Option(min=1, max=50, help="later beginnings of the data")] = 3,
    as_configured: Annotated[
        bool, typer.Option("--as-configured", help="with the framework's own memories: adaptation, holding times")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start the data later: from which bar on do signals agree?"""
    import msgspec

    from research.truth import warmup as checks

    settings = _settings(profile, data, config, start, end, strategy_folder)
    with Bar("runs", total=starts + 1, show=_shows(as_json)) as bar:
        found = checks.warmup(settings, starts=starts, as_configured=as_configured, said=bar.to)
    rows = {
        f"{each.strategy} {each.timeframe}": {**msgspec.to_builtins(each), "verdict": each.verdict} for each in found
    }
    late = [name for name, row in rows.items() if row["verdict"] == "late"]
    words = {name: _settled(row) for name, row in rows.items()}
    output.answer({"passed": not late, "late": late, "strategies": rows} if as_json else words, as_json)
    if late and not as_configured:
        raise typer.Exit(output.FAILED)


def parity(
    profile: Profile = "fx",
    data: Data = "builtin",
    config: Override = None,
    start: Start = None,
    end: End = None,
    recorded: Annotated[bool, typer.Option("--recorded", help="compare with the run on the tape of this home")] = False,
    paper: Annotated[
        bool, typer.Option("--paper", help="also run the embedded system over this data, in a home of its own")
    ] = False,
    as_json: Json = False,
) -> None:
    """Line up backtest, bytes on the wire, replay and paper, trade by trade. --recorded takes profile and data from the tape."""
    settings = _settings(profile, data, config, start, end, None)
    if recorded:
        result = _recorded(home())
    elif paper:
        with TemporaryDirectory(prefix="ballast-parity-") as place:
            result = _paper(Path(place), _span(settings, start, end))
    else:
        result = _lined_up(_span(settings, start, end), {})
    output.answer(result, as_json)
    if not result["identical"]:
        raise typer.Exit(output.FAILED)


def _recorded(place: Path) -> dict[str, Any]:
    """The tape of a home: what was recorded, what every service says again, and a backtest of the same configuration."""
    from ballast_cli.replay import replay
    from common.messages.base import Message
    from common.messages.control import RunStarted
    from research.truth.parity import Ledger

    tape, begun = Ledger(), []

    def see(message: Message) -> None:
        tape.see(message)
        if isinstance(message, RunStarted):
            begun.append(message)

    replayed = replay(place, [see])
    result = _lined_up(json.loads(begun[-1].config), {"recorded": tape})
    again = all(service["identical"] for service in replayed["services"].values())
    return {**result, "identical": result["identical"] and again, "replay": replayed["services"]}


def _paper(place: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    from ballast_cli.live import up

    asyncio.run(up(place, settings, until_end=True, fresh=True, quiet=True))
    return _recorded(place)


def _lined_up(settings: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    from research.backtest import backtest
    from research.run import run
    from research.truth.parity import Ledger, as_json, line_up, over_the_wire

    ways: dict[str, Ledger] = {**recorded, "backtest": Ledger(), "plain": Ledger(), "wire": Ledger()}
    run(settings, watchers=[ways["backtest"].see])
    for name, messages in (("plain", backtest(settings)), ("wire", over_the_wire(settings))):
        for message in messages:
            ways[name].see(message)
    return {"ways": list(ways), "data": settings["run"]["data"], **as_json(line_up(ways))}


def _settings(
    profile: str, data: str, config: Path | None, start: str | None, end: str | None, folder: Path | None
) -> dict[str, Any]:
    from ballast_cli.configuration import effective
    from research.overrides import with_values

    settings = effective(profile, override=config, data=data, start=start, end=end)
    return with_values(settings, {"signals.strategy_folder": str(folder.resolve())}) if folder else settings


def _span(settings: dict[str, Any], start: str | None, end: str | None) -> dict[str, Any]:
    from research.truth.course import recent

    return settings if start or end else recent(settings, SPAN)


def _shows(as_json: bool) -> bool:
    return not as_json and sys.stderr.isatty()


def _compared(found: Comparison) -> dict[str, Any]:
    import msgspec

    return {
        "all_on": _outcome(found.everything),
        "as_configured": _outcome(found.configured) if found.configured else None,
        "contributions": {
            each.feature: {
                "without": _outcome(each.without),
                "active": each.active,
                "annual_return": msgspec.to_builtins(each.annual_return),
                "sharpe": msgspec.to_builtins(each.sharpe),
                "p_value": each.p_value,
            }
            for each in found.contributions
        },
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    names = ("total_return", "sharpe", "max_drawdown", "commission", "turnover", "trades", "fills", "halts")
    return {name: getattr(outcome, name) for name in names}


def _table(found: Comparison) -> dict[str, str]:
    """A line for each run: what it came to, and what all is better by with the feature."""
    lines = {"all on": _line(found.everything)}
    if found.configured:
        lines["as configured"] = _line(found.configured)
    for each in found.contributions:
        if not each.active:
            lines[f"without {each.feature}"] = "no order differs"
            continue
        gain = f"contributes {_interval(each.annual_return)} a year, Sharpe {_interval(each.sharpe, '{:+.2f}')}"
        sure = "" if each.p_value is None else f", p {each.p_value:.2f}"
        lines[f"without {each.feature}"] = f"{_line(each.without)}  {gain}{sure}"
    return lines


def _line(outcome: Outcome) -> str:
    shapes = (("total_return", "{:+.2%}"), ("sharpe", "Sharpe {:+.2f}"), ("max_drawdown", "drawdown {:.2%}"))
    parts = [shape.format(value) for name, shape in shapes if (value := getattr(outcome, name)) is not None]
    halts = (f"{outcome.halts} halts",) if outcome.halts else ()
    return "  ".join((*parts, f"commission {outcome.commission:,.0f}", f"{outcome.trades} trades", *halts))


def _interval(interval: Interval | None, shape: str = "{:+.2%}") -> str:
    if interval is None:
        return "-"
    low, high = shape.format(interval.low), shape.format(interval.high)
    return f"{shape.format(interval.estimate)} [{low}, {high}]"


def _settled(row: Mapping[str, Any]) -> str:
    last, share = row["last_difference"], row["differing_after_declared"]
    rest = "no bar later" if share is None else f"{share:.3%} of bars differ after that"
    return f"{row['verdict']:<8} first asked on bar {row['declared']}, {rest}, the last one on bar {last}"
