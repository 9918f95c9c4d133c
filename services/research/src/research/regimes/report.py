"""The evaluation as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from common.version import BUILD
from research.regimes.evaluate import Field, Score, Task
from research.regimes.scores import Calibration, Delay, Flagged, Interval
from research.regimes.spikes import Found
from research.regimes.summary import Aim, Evaluation
from research.regimes.worlds import TRENDS
from research.report.markup import NOTHING, Cell, Row, card, number, paragraphs, percent, ratio, stack, table, text
from research.report.plain import document

_SIDE, _EDGE = 300, 40
_LINES: Final = (("", "accent"), ("second", "other"))  # class of a line, color of its dots


def write(path: Path, found: Evaluation) -> None:
    """Writes the page to `path`, whose folder must be there."""
    path.write_text(page(found), encoding="utf-8")


def page(found: Evaluation) -> str:
    """The whole document."""
    fields = (*found.labeled, *found.real)
    aims = f'<section class="figures wide"><dl>{"".join(map(_figure, found.aims))}</dl></section>'
    jumps = card("Jumps of volatility", _jumps(found.jumps), quiet="minute markets", wide="wide")
    return document(
        "Evaluation of regimes",
        ", ".join(field.name for field in fields),
        [
            *([aims] if found.aims else []),
            card("How to read this", paragraphs(_notes(found), "note"), wide="wide"),
            *(one for field in fields for one in _cards(field)),
            *([jumps] if found.jumps else []),
        ],
        foot=f"Ballast {BUILD}",
    )


def _figure(aim: Aim) -> str:
    more = [f"aim {percent(aim.aim, 0)}"]
    if aim.possible is not None:
        more.append(f"possible {percent(aim.possible, 1)}")
    if aim.by_chance is not None:
        more.append(f"by chance {percent(aim.by_chance, 1)}")
    kind = "up" if aim.reached else "down"
    return (
        f'<div class="wide"><dt title="{text(aim.figure)}" style="white-space:normal">{text(aim.figure)}</dt>'
        f'<dd class="{kind}">{percent(aim.value, 1)}</dd><dd class="target">{text(" · ".join(more))}</dd></div>'
    )


def _notes(found: Evaluation) -> Iterator[str]:
    if found.labeled:
        yield (
            "The labeled markets are simulated: Markov-switching GARCH with drifts, volatilities and rates of change measured on "
            "real prices; the true state of every bar is known. True parameters is the exact Bayes filter: nobody can do better."
        )
        yield (
            f"Alarm levels and the plain hidden Markov model come from seeds {_span(found.tuning_seeds)}, "
            f"all figures from seeds {_span(found.evaluation_seeds)}."
        )
    if found.real:
        yield "Real series: levels come from the first half of each, figures from the second."
    yield (
        "Intervals hold 95 % of resampled blocks of 30 days. A change is flagged where there is an alarm in the "
        f"{found.horizon_hours} hours before; by chance is the share of quiet stretches of that length with an alarm."
    )
    if found.fitted_on:
        yield f"The models were fitted on {found.fitted_on}."


def _span(seeds: Sequence[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}"


def _cards(field: Field) -> Iterator[str]:
    said = f"{field.series} series of {field.timeframe}, {field.bars:,} bars; {field.source}"
    yield card(field.name, _accuracies(field), quiet=said, wide="wide")
    known = {who: score for who, score in field.judges.items() if score.change_48h is not None}
    if known:
        yield card("Probability of a change", _reliability(known), quiet=f"{field.name}, within 48 hours")
        yield card("Shifts flagged ahead", _flags(known), quiet=field.name)
    first = next(iter(field.judges.items()))
    yield stack(
        card(
            "Labels and verdicts",
            _confusion(first[1].trend, TRENDS),
            quiet=f"{field.name}, {first[0]}, share of labels",
        ),
        card("Delay", _delays(field), quiet="bars from a change of trend to the verdict"),
    )
    yield card("Without one input", _ablation(field), quiet=f"{field.name}, differences")


def _accuracies(field: Field) -> str:
    rows: list[Row] = [(who, *_task(score.trend), *_task(score.stress)) for who, score in field.judges.items()]
    constant = [percent(field.best_constant[kind], 1) for kind in ("trend", "stress")]
    rows.append(("best constant guess", *map(number, (constant[0], "", NOTHING, constant[1], "", NOTHING))))
    head = ("", "Trend", "95 %", "Balanced", "Volatility", "95 %", "Balanced")
    return table(head, rows, nothing="Nobody was judged.")


def _task(task: Task) -> tuple[Cell, Cell, Cell]:
    found: Interval | None = task.accuracy
    if found is None:
        return number(NOTHING), number(""), number(NOTHING)
    low, high = found.low, found.high
    between = NOTHING if low is None or high is None else f"{low * 100:.1f} to {high * 100:.1f}"
    return number(percent(found.value, 1)), number(between), number(percent(task.balanced_accuracy, 1))


def _confusion(task: Task, names: Sequence[str]) -> str:
    rows: list[Row] = []
    for name, counts in zip(names, task.confusion, strict=True):
        total = sum(counts)
        shares = [count / total if total else None for count in counts]
        cells = [Cell(percent(share, 0), "num heat", share) for share in shares]
        rows.append((name, number(f"{total:,}"), *cells))
    return table(("label", "bars", *names, "none"), rows, nothing="No label is known.")


def _delays(field: Field) -> str:
    rows: list[Row] = [(who, *_delay(score.trend.delay)) for who, score in field.judges.items()]
    return table(("", "Changes", "Found", "Median", "90 %"), rows, nothing="")


def _delay(delay: Delay) -> tuple[Cell, ...]:
    times = (NOTHING if each is None else f"{each:,.0f}" for each in (delay.median, delay.p90))
    return number(f"{delay.changes:,}"), number(percent(delay.found, 0)), *map(number, times)


def _flags(known: dict[str, Score]) -> str:
    rows: list[Row] = [
        (who, number(percent(each.rate, 0)), *_flagged(each.trend), *_flagged(each.stress)[:1])
        for who, score in known.items()
        for each in score.ahead
    ]
    head = ("", "Chosen for", "Trend", "By chance", "False alarms", "Stress")
    return table(head, rows, nothing="Nobody gives a probability.")


def _flagged(flags: Flagged) -> tuple[Cell, Cell, Cell]:
    return (
        number(percent(flags.share, 0)),
        number(percent(flags.by_chance, 0)),
        number(percent(flags.false_alarms, 0)),
    )


def _ablation(field: Field) -> str:
    rows: list[Row] = [
        (one.judge, one.input, *(number(_points(each)) for each in (one.trend, one.stress, one.skill)))
        for one in field.ablation
    ]
    return table(("", "without", "Trend", "Volatility", "Skill of change"), rows, nothing="")


def _points(value: float | None) -> str:
    return NOTHING if value is None else f"{value * 100:+.1f}"


def _jumps(jumps: Sequence[Found]) -> str:
    rows: list[Row] = [
        (
            one.alarm,
            number(f"{one.factor:g} ×"),
            number(f"{one.jumps:,}"),
            number(percent(one.within_5_minutes, 1)),
            number(f"{percent(one.doubled_within_5_minutes, 1)} of {one.doubled:,}"),
            number(percent(one.by_chance, 1)),
            number(ratio(one.median)),
            number(ratio(one.p90)),
            number(f"{one.false_alarms_a_day:.1f}"),
        )
        for one in jumps
    ]
    head = ("Alarm", "Jump", "", "≤ 5 min", "range doubled", "By chance", "Median min", "90 %", "False a day")
    return table(head, rows, nothing="")


# --- the reliability plot -------------------------------------------------------------------------------------------------
def _reliability(known: dict[str, Score]) -> str:
    given = {who: score.change_48h for who, score in known.items() if score.change_48h is not None}
    rows: list[Row] = [
        (who, number(f"{each.brier:.3f}"), number(_points(each.skill)), number(percent(each.base_rate, 1)))
        for who, each in given.items()
    ]
    figures = table(("", "Brier score", "Skill", "Base rate"), rows, nothing="")
    return plot(list(given.items())[: len(_LINES)]) + figures


def plot(known: Sequence[tuple[str, Calibration]]) -> str:
    """Observed frequency over forecast probability; on the diagonal a forecast is right."""
    parts = [
        f'<line class="grid mark" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>',
        *(f'<line class="grid" x1="{_x(0)}" x2="{_x(1)}" y1="{_y(at)}" y2="{_y(at)}"/>' for at in (0.0, 0.5, 1.0)),
        *(
            f'<text class="axis" x="{_x(at)}" y="{_SIDE - 22}" text-anchor="middle">{percent(at, 0)}</text>'
            f'<text class="axis" x="{_EDGE - 5}" y="{_y(at) + 4}" text-anchor="end">{percent(at, 0)}</text>'
            for at in (0.0, 0.5, 1.0)
        ),
    ]
    for (kind, color), (_, each) in zip(_LINES, known, strict=False):
        points = [(_x(one.forecast), _y(one.observed)) for one in each.reliability]
        parts.append(f'<polyline class="line {kind}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>')
        parts += [f'<circle fill="var(--{color})" cx="{x}" cy="{y}" r="3"/>' for x, y in points]
    key = "".join(
        f'<span><i class="{kind}"></i>{text(who)}</span>' for (kind, _), (who, _) in zip(_LINES, known, strict=False)
    )
    return (
        f'<div class="key">{key}</div><svg style="width:100%;max-width:24rem" viewBox="0 0 {_SIDE} {_SIDE}" role="img" '
        f'aria-label="observed frequency over forecast probability">{"".join(parts)}</svg>'
    )


def _x(share: float) -> float:
    return round(_EDGE + share * (_SIDE - _EDGE - 20), 1)


def _y(share: float) -> float:
    return round(_SIDE - _EDGE - share * (_SIDE - _EDGE - 20), 1)
