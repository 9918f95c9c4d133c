"""The report on sessions as one HTML file: heat maps of hours by pair, and the tables. No script, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from common.errors import ConfigError
from common.model.time import to_datetime
from research.report.markup import NOTHING, Cell, Row, card, paragraphs, table, words
from research.report.plain import document
from research.sessions.activity import ALL, HOURS
from research.sessions.estimates import Estimate
from research.sessions.report import Report

_FOOT: Final = (
    "Figures with 95 % intervals and sample sizes; one in twenty excludes the truth by luck. Hours are UTC; sessions follow the clocks and "
    "holidays of their cities."
)
_INTERVAL: Final = "interval at 95 %; n occurrences"


def write(path: Path, report: Report, title: str) -> None:
    """Raises ConfigError where it cannot be written."""
    try:
        path.write_text(html(report, title), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--report {path}: cannot be written: {error.strerror}") from None


def html(report: Report, title: str) -> str:
    """The whole page."""
    span = f"{to_datetime(report.start):%Y-%m-%d} to {to_datetime(report.end):%Y-%m-%d}"
    return document(title, span, _cards(report), foot=_FOOT)


def heat_map(rows: Mapping[tuple[str, str], Estimate], *, signed: bool, digits: int = 1) -> str:
    """Hours of UTC down, instruments across; `rows` by (instrument, hour). Color by size, or by sign where `signed`; n in brackets. What
    is undefined is empty.
    """
    values = [abs(of.value) for of in rows.values() if of.value is not None]
    most = max(values, default=0.0) or 1.0
    names = sorted({name for name, _ in rows})

    def cell(name: str, hour: str) -> Cell:
        of = rows.get((name, hour))
        if of is None or of.value is None:
            return Cell("", "num")
        shown = f"{of.value:+.{digits}f}" if signed else f"{of.value:.{digits}f}"
        return Cell(f"{shown} ({of.n})", "num", of.value / most if signed else abs(of.value) / most)

    return table(
        ["Hour", *names],
        [[f"{hour}:00", *(cell(name, hour) for name in names)] for hour in HOURS] if names else [],
        nothing="No bars of an hour or less.",
    )


def _cards(report: Report) -> list[str]:
    moves = {(row.instrument_id, row.part): row.move_bps for row in report.hours}
    paid = {(row.instrument_id, row.part): Estimate(row.n, row.mean_bps) for row in report.earned if not row.regime}
    return [
        card("What follows", _said(report.recommendations), quiet="with the sample it rests on", wide="wide"),
        card("Hour by pair", heat_map(moves, signed=False), quiet="mean absolute move, bps (n days)", wide="wide"),
        card("Hour by pair: results", heat_map(paid, signed=True), quiet=f"{report.source}: mean bps (n)", wide="wide"),
        card("Sessions", _sessions(report), quiet=_INTERVAL, wide="wide"),
        card("Sessions by regime", _by_regime(report), quiet="regime before the opening", wide="wide"),
        card("Results by session", _results(report), quiet=report.source, wide="wide"),
        card("Opening and close", _impacts(report), quiet="mean absolute move of a bar, bps", wide="wide"),
        card("One session after the other", _carries(report), quiet="correlation of moves"),
        card("Currency strength", _strengths(report), quiet="mean move against all others, bps"),
        card("Pair with pair", _together(report), quiet="correlation of moves in the same session", wide="wide"),
    ]


def _said(sentences: Sequence[str]) -> str:
    return paragraphs(sentences or ["Nothing that its sample carries."], "note")


def _sessions(report: Report) -> str:
    head = [
        "Instrument",
        "Timeframe",
        "Session",
        "n",
        "Move, bps",
        "Pips",
        "Drift, bps",
        "Up",
        "Strength",
        "Efficiency",
    ]
    rows: list[Row] = [
        [
            row.instrument_id,
            row.timeframe,
            row.part,
            Cell(str(row.n), "num"),
            *(_number(of, 1) for of in (row.move_bps, row.pips, row.drift_bps)),
            _number(row.up, 0, 100, " %"),
            *(_number(of, 2) for of in (row.strength, row.efficiency, row.score)),
        ]
        for row in report.cells
        if row.regime == ALL
    ]
    return table([*head, "Score"], rows, nothing="No session is covered by the data.")


def _by_regime(report: Report) -> str:
    head = [
        "Instrument",
        "Timeframe",
        "Session",
        "Regime",
        "n",
        "Move, bps",
        "Drift, bps",
        "Strength",
        "Efficiency",
        "Score",
    ]
    rows: list[Row] = [
        [
            row.instrument_id,
            row.timeframe,
            row.part,
            words(row.regime),
            Cell(str(row.n), "num"),
            *(_number(of, 1) for of in (row.move_bps, row.drift_bps)),
            *(_number(of, 2) for of in (row.strength, row.efficiency, row.score)),
        ]
        for row in report.cells
        if row.regime != ALL
    ]
    return table(head, rows, nothing="No regimes are read on this timeframe.")


def _results(report: Report) -> str:
    head = ["Session", "Instrument", "Timeframe", "Regime", "n", "Win rate", "Pips", "bps after costs"]
    rows: list[Row] = [
        [
            row.session,
            row.instrument_id,
            row.timeframe,
            words(row.regime),
            Cell(str(row.signals), "num"),
            _number(row.win_rate, 0, 100, " %"),
            _number(row.pips, 1),
            _number(row.bps, 1),
        ]
        for row in report.results
    ]
    return table(head, rows, nothing="No entries: give a kept run, or data on which strategies say something.")


def _impacts(report: Report) -> str:
    head = ["Instrument", "Session", "n", "First hour", "Between", "Last hour", "First hour goes on"]
    return _estimates(report.impacts, head, lambda row: row.open_bps.n)


def _carries(report: Report) -> str:
    return _estimates(
        report.carries, ["Instrument", "First", "Then", "n", "Correlation"], lambda row: row.correlation.n
    )


def _strengths(report: Report) -> str:
    return _estimates(report.strengths, ["Session", "Currency", "n", "bps"], lambda row: row.strength_bps.n)


def _together(report: Report) -> str:
    return _estimates(report.together, ["Session", "", "", "n", "Correlation"], lambda row: row.correlation.n)


def _estimates(rows: Iterable[Any], head: Sequence[str], size: Callable[[Any], int]) -> str:
    """Names, n, then every estimate of a row."""
    filled: list[Row] = []
    for row in rows:
        names = [str(value) for value in row if not isinstance(value, Estimate)]
        figures = [_number(value, 2) for value in row if isinstance(value, Estimate)]
        filled.append([*names, Cell(str(size(row)), "num"), *figures])
    return table(head, filled, nothing="Too little data.")


def _number(of: Estimate, digits: int, scale: float = 1.0, unit: str = "") -> Cell:
    """`1.2 (0.8 to 1.6)`; without an interval the value alone."""
    if of.value is None:
        return Cell(NOTHING, "num")
    shown = f"{of.value * scale:.{digits}f}{unit}"
    if of.low is None or of.high is None:
        return Cell(shown, "num")
    return Cell(f"{shown} ({of.low * scale:.{digits}f} to {of.high * scale:.{digits}f})", "num")
