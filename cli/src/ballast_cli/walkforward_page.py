"""The page docs/research/walk-forward.md: what a walk-forward came to, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from common.model.time import iso, to_datetime

if TYPE_CHECKING:
    from research.optimize.splits import Span
    from research.optimize.walk import FoldResult, Walked

_HEAD = """# Walk-forward: {profile}

Written by the command below; nothing here is a promise.

    ballast walkforward --profile {profile} --data {data} --scheme {scheme} {lengths} --trials {trials} --write FILE

In every fold {trials_per_fold} sets of parameters, the shipped one first, are run over the training span (seed {seed}, objective
{objective}{constraints}); the best then trades the test span, flat at its begin and with warm indicators. Every run
is the whole system with guardian and costs: commission of {taker} bps, half the spread of the instrument table,
{latency} ms of latency{financing}.

*Shipped* is the configuration as it ships over the same test spans, chosen by no search.
"""


def in_markdown(told: Mapping[str, Any], space: Iterable[str], walked: Walked) -> str:
    """Tables of folds, parameters, the whole curve and its years."""
    costs = told["costs"]
    conditions = f", subject to {', '.join(told['constraints'])}" if told["constraints"] else ""
    words = {**told, "constraints": conditions, "taker": costs["taker_bps"], "latency": costs["latency_ms"]}
    words["financing"] = ", financing of positions overnight" if costs["financing"] else ""
    return "\n".join(
        [
            _HEAD.format(**words),
            *_folds(walked.folds),
            *_parameters(list(space), walked.folds),
            *_whole(walked),
            *_years(walked),
            "",
        ]
    )


def _folds(folds: Iterable[FoldResult]) -> list[str]:
    two = ("out", "shipped")
    lines = [
        "## Folds",
        "",
        _row(["", "trained on", "tested on", "Sharpe in", *two, "return a year in", *two, "drawdown in", *two]),
        "|---" * 12 + "|",
    ]
    for each in folds:
        three = (each.in_sample, each.out_of_sample, each.shipped)
        cells = [str(each.fold.number), ", ".join(map(_dates, each.fold.train)), _dates(each.fold.test)]
        for metric, shape in (("sharpe", "{:.2f}"), ("return", "{:+.2%}"), ("max_drawdown", "{:.2%}")):
            cells += [_cell(metrics.get(metric), shape) for metrics in three]
        lines.append(_row(cells))
    return lines


def _parameters(keys: list[str], folds: Iterable[FoldResult]) -> list[str]:
    lines = ["", "## Chosen parameters", "", _row(["", *(f"`{key}`" for key in keys)]), "|---" * (len(keys) + 1) + "|"]
    for each in folds:
        values = [_cell((each.chosen or {}).get(key), "{:.4g}") for key in keys]
        note = "" if each.chosen is not None else " (none feasible: shipped)"
        lines.append(_row([f"{each.fold.number}{note}", *values]))
    return lines


def _whole(walked: Walked) -> list[str]:
    rows = [
        ("Sharpe", "sharpe", "{:.2f}"),
        ("Sortino", "sortino", "{:.2f}"),
        ("return a year", "return", "{:+.2%}"),
        ("total return", "total_return", "{:+.2%}"),
        ("volatility", "volatility", "{:.2%}"),
        ("max drawdown", "max_drawdown", "{:.2%}"),
    ]
    lines = ["", "## Out of sample, all folds as one curve", "", "| | walk-forward | shipped |", "|---|---|---|"]
    for title, metric, shape in rows:
        lines.append(_row([title, _cell(walked.whole[metric], shape), _cell(walked.shipped[metric], shape)]))
    chance = "probability that the true Sharpe is above zero"
    ours, theirs = walked.luck, walked.shipped_luck
    both = [_cell(each.probabilistic_sharpe, "{:.2f}") for each in (ours, theirs)]
    return [
        *lines,
        _row([chance, *both]),
        _row([f"the same, deflated by {ours.trials} trials", _cell(ours.deflated_sharpe, "{:.2f}"), "-"]),
        "",
        "The deflated Sharpe asks how likely the curve is to be better than the best of as many worthless trials, all trials of",
        "all folds counted as independent. That is stricter than needed for a curve no fold of which was seen by its search;",
        "the line above it, which counts one trial, is the other bound.",
    ]


def _years(walked: Walked) -> list[str]:
    """What each calendar year came to."""
    lines = ["", "## Out of sample by year", "", "| year | walk-forward | shipped |", "|---|---|---|"]
    last: dict[int, tuple[float, float]] = {}
    for day_ns, ours, theirs in zip(walked.day_ns, walked.curve, walked.shipped_curve, strict=True):
        last[to_datetime(day_ns - 1).year] = ours, theirs
    before = (1.0, 1.0)
    for year, ends in last.items():
        lines.append(_row([str(year), *(f"{end / begin - 1:+.2%}" for end, begin in zip(ends, before, strict=True))]))
        before = ends
    return lines


def _dates(span: Span) -> str:
    return f"{iso(span.begin_ns)[:10]} to {iso(span.end_ns)[:10]}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any, shape: str) -> str:
    if value is None:
        return "-"
    return shape.format(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
