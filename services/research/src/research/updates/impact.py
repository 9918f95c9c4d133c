"""What a proposal would have done on data that nobody has chosen it on: every step beside what trades now, over the same days."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import sqrt
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta

from common.errors import DataError
from common.model.time import NS_PER_DAY
from common.quant.bootstrap import Array, Interval, Statistic, bootstrap_interval, means, sharpes
from research.optimize.measure import Measured, Task, bounds, measure
from research.optimize.splits import Span, holdout
from research.updates.ranges import Values

_SEED: Final = 1
_FIGURES: Final = ("return", "sharpe", "max_drawdown", "turnover", "trades", "commission", "halts")


class Tolerances(msgspec.Struct, frozen=True, kw_only=True):
    """How much worse than what trades now a step may be, on the days held out."""

    drawdown_increase: Annotated[float, Meta(ge=0, le=1)] = 0.01  # in fractions of equity
    turnover_ratio: Annotated[float, Meta(ge=1, le=100)] = 1.25
    sharpe_loss: Annotated[float, Meta(ge=0, le=10)] = 0.1  # annual
    level: Annotated[float, Meta(gt=0.5, lt=1)] = 0.9  # of the intervals
    min_days: Annotated[int, Meta(ge=2)] = 250  # a year of trading: fewer tell nothing
    replications: Annotated[int, Meta(ge=100, le=100_000)] = 2000


SHIPPED: Final = Tolerances()


class StepImpact(msgspec.Struct, frozen=True, kw_only=True):
    """One step: its figures, and paired differences to what trades now, annual, positive is better; None where nothing differs.
    `reasons` are why not, empty where it passes. `returns` are daily.
    """

    values: Values
    figures: dict[str, float | None]
    sharpe_difference: Interval | None
    return_difference: Interval | None
    reasons: tuple[str, ...]
    returns: tuple[float, ...]


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """The whole evidence. `before` are the figures of what trades now."""

    data: str
    span: Span
    tolerances: Tolerances
    days_a_year: int
    before: dict[str, float | None]
    steps: tuple[StepImpact, ...]

    @property
    def reason(self) -> str:
        """Why not; empty where every step passes."""
        found = (f"step {n}: {'; '.join(s.reasons)}" for n, s in enumerate(self.steps, start=1) if s.reasons)
        return " | ".join(found)


def impact(
    config: Mapping[str, Any],
    path: Sequence[Values],
    *,
    fraction: float = 0.25,
    gap_days: int = 10,
    warmup_days: int = 1500,
    tolerances: Tolerances = SHIPPED,
    resume_after_days: int | None = None,
    said: Callable[[int], None] = lambda done: None,
) -> Impact:
    """Runs the last `fraction` of the data that `config` names once as it is, and once for each step; `said` hears how many are
    over. `fraction` and `gap_days` (purge plus embargo) as in the search the values came from: what it has seen is no test.

    Raises ConfigError, also for what the cores refuse, and DataError.
    """
    whole = bounds(config)
    span = holdout(whole, fraction=fraction, gap_ns=gap_days * NS_PER_DAY).test
    runs: Iterator[Measured] = (
        measure(
            Task(
                config=dict(config),
                values=values,
                spans=(span,),
                first_ns=whole.begin_ns,
                warmup_days=warmup_days,
                resume_after_days=resume_after_days,
            )
        )
        for values in ({}, *path)
    )
    before = next(runs)
    said(1)
    steps = []
    for number, (values, after) in enumerate(zip(path, runs, strict=True), start=2):
        steps.append(compared(values, before, after, tolerances))
        said(number)
    return Impact(
        data=config["run"]["data"],
        span=span,
        tolerances=tolerances,
        days_a_year=before.days_a_year,
        before=_figures(before),
        steps=tuple(steps),
    )


def compared(values: Values, before: Measured, after: Measured, tolerances: Tolerances) -> StepImpact:
    """Raises DataError where the two do not have the same days."""
    if before.day_ns != after.day_ns:
        raise DataError(f"{values}: trades on other days than what it is compared with; expected the same data")
    year = float(after.days_a_year)
    sharpe = _difference(before, after, sharpes, sqrt(year), tolerances)
    gain = _difference(before, after, means, year, tolerances)
    return StepImpact(
        values=values,
        figures=_figures(after),
        sharpe_difference=sharpe,
        return_difference=gain,
        reasons=tuple(_reasons(before, after, sharpe, gain, tolerances)),
        returns=tuple(after.returns),
    )


def _reasons(
    before: Measured, after: Measured, sharpe: Interval | None, gain: Interval | None, tolerances: Tolerances
) -> Iterator[str]:
    days = len(after.returns)
    if days < tolerances.min_days:
        yield f"{days} days held out, expected at least {tolerances.min_days}"
    then, now = before.metrics, after.metrics
    drawdowns = then["max_drawdown"] or 0.0, now["max_drawdown"] or 0.0
    if drawdowns[1] > drawdowns[0] + tolerances.drawdown_increase:
        yield f"drawdown {drawdowns[1]:.4f} instead of {drawdowns[0]:.4f}"
    turnovers = then["turnover"] or 0.0, now["turnover"] or 0.0
    if turnovers[1] > turnovers[0] * tolerances.turnover_ratio:
        yield f"turnover {turnovers[1]:.2f} a year instead of {turnovers[0]:.2f}"
    halts = then["halts"] or 0.0, now["halts"] or 0.0
    if halts[1] > halts[0]:
        yield f"{halts[1]:g} halts instead of {halts[0]:g}"
    if sharpe is not None and sharpe.estimate < -tolerances.sharpe_loss:
        yield f"Sharpe ratio {-sharpe.estimate:.2f} lower"
    for name, found in (("Sharpe ratio", sharpe), ("return", gain)):
        if found is not None and found.high < 0.0:
            yield f"{name} worse beyond chance: {found.low:.4f} to {found.high:.4f} a year"
    if then["sharpe"] is not None and now["sharpe"] is None:
        yield "does not trade any more"


def _difference(
    before: Measured, after: Measured, statistic: Statistic, scale: float, tolerances: Tolerances
) -> Interval | None:
    theirs: Array
    ours, theirs = np.asarray(after.returns), np.asarray(before.returns)
    if np.array_equal(ours, theirs):
        return None
    found = bootstrap_interval(
        ours,
        statistic,
        np.random.default_rng(_SEED),
        minus=theirs,
        level=tolerances.level,
        replications=tolerances.replications,
    )
    if found is None:
        return None
    return msgspec.structs.replace(
        found, estimate=found.estimate * scale, low=found.low * scale, high=found.high * scale
    )


def _figures(measured: Measured) -> dict[str, float | None]:
    return {name: measured.metrics[name] for name in _FIGURES}
