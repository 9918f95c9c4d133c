"""`ballast evaluate regime`: how often the regime is right, and what of its changes is known beforehand (REG-09)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from ballast_cli import output
from ballast_cli.arguments import End, Json, Override, Profile, Start
from ballast_cli.progress import Bar
from ballast_cli.runs import check as check_report
from common.errors import DataError

if TYPE_CHECKING:
    from regime.models import Models
    from regime.settings import Settings
    from research.regimes.evaluate import Field, Progress, Score
    from research.regimes.summary import Evaluation

evaluate = typer.Typer(help="Judge what the system says against what was.", no_args_is_help=True)

BUILTIN: Final = "builtin"
_STEPS: Final = 8  # labeled markets, jumps, real prices


@evaluate.callback()
def _several() -> None:
    """Keeps `regime` a word of its own while it is the only one."""


@evaluate.command("regime")
def regime(
    profile: Profile = "fx",
    config: Override = None,
    data: Annotated[
        str | None, typer.Option(help="judge on these prices alone: builtin, builtin-h1 or a directory of price files")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="csv with timestamp, instrument, label: what it was; else published rules say")
    ] = None,
    start: Start = None,
    end: End = None,
    models: Annotated[
        str | None, typer.Option(help="file of `ballast regime fit`, or builtin; else what the configuration names")
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="also write one HTML page to this file")] = None,
    as_json: Json = False,
) -> None:
    """Accuracy, calibration, warnings and delays: on labeled markets and daily rates, or on your own data."""
    from ballast_cli.configuration import effective
    from common.runtime.settings import section
    from regime.models import load_models
    from regime.settings import Settings
    from research.regimes.evaluate import MODELS
    from research.regimes.summary import as_json as plain
    from research.regimes.summary import evaluate as run
    from research.regimes.summary import of_fields

    if labels is not None and data is None:
        raise output.WrongArgumentError("--labels: say --data too, the prices that they are labels of")
    check_report(report)
    settings = effective(profile, override=config, data=data or BUILTIN, start=start, end=end)
    if data is not None:
        settings["market_data"]["symbols"] = []  # whatever there is, not what the profile trades
    rules = section(settings, "regime", Settings)
    fitted = load_models(rules.models if models is None else models)
    with Bar("regimes", total=_STEPS if data is None else None, show=not as_json and sys.stderr.isatty()) as bar:
        said = _Counted(bar)
        real = _real(settings, labels, fitted, rules, said)
        found = run(fitted, rules, said, real) if data is None else of_fields(fitted, (), tuple(real))
    if report is not None:
        from research.regimes.report import write

        write(report, found)
    for field in (*found.labeled, *found.real):
        if fitted.models and MODELS not in field.judges:
            output.err.print(f"{field.name}: not judged by models, none is of {field.timeframe}", markup=False)
    if as_json:
        output.answer(plain(found), True)
    else:
        _print(found)
    if not all(aim.reached for aim in found.aims):
        raise typer.Exit(output.FAILED)


class _Counted:
    """Progress by parts begun."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._begun = bar, 0

    def __call__(self, what: str) -> None:
        self._bar.to(self._begun, what)
        self._begun += 1


def _real(
    config: dict[str, Any], labels: Path | None, models: Models, settings: Settings, said: Progress
) -> list[Field]:
    """Each timeframe that the data can make. Raises DataError where there is none."""
    from research.regimes import given

    name, written = config["run"]["data"], None if labels is None else given.read_labels(labels)
    series = [one for timeframe in given.JUDGED for one in given.series_of(config, timeframe)]
    if not series:
        raise DataError(f"data {name!r}: no instrument has {given.LEAST_BARS:,} bars of 1h or 1d")
    if written is None or labels is None:
        known, source = [given.by_rule(one) for one in series], "labels by turning points and realized volatility"
    else:
        known, source = given.match(series, written, labels), f"labels of {labels.name}"
    by_timeframe = {
        timeframe: [one for one in known if one.series.timeframe is timeframe] for timeframe in given.JUDGED
    }
    return [
        given.field_of(f"{Path(name).name} {timeframe}", source, those, models, settings, said)
        for timeframe, those in by_timeframe.items()
        if those
    ]


def _print(found: Evaluation) -> None:
    for aim in found.aims:
        verdict = "reached" if aim.reached else "missed"
        more = [
            f"{word} {value:.1%}"
            for word, value in (("possible", aim.possible), ("by chance", aim.by_chance))
            if value is not None
        ]
        value = "-" if aim.value is None else f"{aim.value:.1%}"
        line = f"{value:>7}  {aim.figure}; " + ", ".join([f"aim {aim.aim:.0%} {verdict}", *more])
        output.out.print(line, markup=False, soft_wrap=True)
    output.out.print(_table((*found.labeled, *found.real)))
    for jump in found.jumps:
        within = f"{jump.within_5_minutes:.1%} of {jump.jumps} jumps by {jump.factor:g} within 5 minutes"
        line = f"{jump.alarm}: {within}, {jump.false_alarms_a_day:.1f} false alarms a day"
        output.out.print(line, markup=False, soft_wrap=True)


def _table(fields: tuple[Field, ...]) -> Table:
    shown = Table(box=None, padding=(0, 1), header_style="dim")
    heads = (
        "market",
        "judge",
        "trend",
        "95 %",
        "balanced",
        "volatility",
        "delay",
        "Brier skill",
        "flagged",
        "by chance",
    )
    for place, head in enumerate(heads):
        shown.add_column(head, justify="left" if place < 2 else "right", no_wrap=True)
    for field in fields:
        for who, score in field.judges.items():
            shown.add_row(field.name, who, *_cells(score))
        constant = [_share(field.best_constant[kind]) for kind in ("trend", "stress")]
        shown.add_row(field.name, "best constant", constant[0], "", "", constant[1])
    return shown


def _cells(score: Score) -> list[str]:
    from research.regimes.summary import at_rate

    accuracy, stress, levels = score.trend.accuracy, score.stress.accuracy, (at_rate(score), at_rate(score, 0.20))
    flags = [level.trend if level else None for level in levels]
    return [
        _share(accuracy.value if accuracy else None),
        f"{accuracy.low:.0%}-{accuracy.high:.0%}" if accuracy and accuracy.low is not None else "-",
        _share(score.trend.balanced_accuracy),
        _share(stress.value if stress else None),
        "-" if score.trend.delay.median is None else f"{score.trend.delay.median:,.0f}",
        "-" if score.change_48h is None or score.change_48h.skill is None else f"{score.change_48h.skill:+.3f}",
        *(_share(getattr(each, name, None)) for each in flags for name in ("share", "by_chance")),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
