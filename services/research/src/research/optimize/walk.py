"""A search with its test beside it, once (`optimize`) or fold by fold (`walk_forward`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from common.errors import BallastError
from research.optimize.luck import Luck, luck
from research.optimize.measure import METRICS, Measured, moments_of, performance_of
from research.optimize.space import Value
from research.optimize.splits import Fold
from research.optimize.study import Plan, Search, Trial
from research.optimize.workers import LOST, Pool

Metrics: TypeAlias = dict[str, float | None]
OnTrial: TypeAlias = Callable[[int], None]
Storage: TypeAlias = Callable[[str], AbstractContextManager[Any]]

UNDEFINED: Final[Metrics] = dict.fromkeys(METRICS)


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """How many trials of the sampler, and how many of gradient ascent after them."""

    trials: int
    local: int = 0


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A trial with what it did on data that the search has not seen. `luck` is about the in-sample result."""

    number: int
    values: dict[str, Value]
    in_sample: Metrics
    out_of_sample: Metrics
    luck: Luck


class Optimized(msgspec.Struct, frozen=True, kw_only=True):
    """What a search came to. `front` is of all objectives, best of the first one first; empty where nothing is feasible."""

    decided: int
    failed: dict[str, int]  # how many, by reason
    infeasible: int
    front: list[Judged]
    shipped_out_of_sample: Metrics  # of the configuration as it is


class FoldResult(msgspec.Struct, frozen=True, kw_only=True):
    """One fold. Without a feasible trial the configuration as it is trades the test span, and `chosen` is None."""

    fold: Fold
    decided: int
    failed: int
    chosen: dict[str, Value] | None
    in_sample: Metrics
    out_of_sample: Metrics
    shipped: Metrics  # out of sample


class Walked(msgspec.Struct, frozen=True, kw_only=True):
    """All folds, and the out-of-sample days of all of them as one curve, which begins at 1."""

    folds: list[FoldResult]
    whole: Metrics
    shipped: Metrics
    luck: Luck  # of the whole out-of-sample curve, against all trials of all folds
    shipped_luck: Luck  # one trial
    day_ns: list[int]
    curve: list[float]
    shipped_curve: list[float]


def optimize(
    plan: Plan, fold: Fold, budget: Budget, storage: Storage, name: str, pool: Pool, on_trial: OnTrial
) -> Optimized:
    """Searches the training spans of the fold and judges what is best on its test span."""
    with storage(name) as store:
        study = Search(_of_fold(plan, fold), store, name, on_trial)
        _search(study, plan, budget, pool)
        trials = study.trials()
        front = sorted(study.front(), key=_by_first_score) if len(plan.objectives) > 1 else _only(study.best())
        judged = [_judge(study, plan, fold, trial, trials, pool) for trial in front]
        shipped = _test(study, plan, fold, {}, "shipped", pool)
    return Optimized(
        decided=len(trials),
        failed=_reasons(trials),
        infeasible=sum(trial.scores is not None and not trial.feasible for trial in trials),
        front=judged,
        shipped_out_of_sample=shipped.metrics,
    )


def walk_forward(
    plan: Plan, folds: Sequence[Fold], budget: Budget, storage: Storage, name: str, pool: Pool, on_trial: OnTrial
) -> Walked:
    """One study per fold, `NAME/1` and so on; the best of each trades its test span."""
    results, tests, shipped, tried = [], [], [], []
    for fold in folds:
        with storage(f"{name}/{fold.number}") as store:
            study = Search(_of_fold(plan, fold), store, f"{name}/{fold.number}", on_trial)
            _search(study, plan, budget, pool)
            best, trials = study.best(), study.trials()
            values = {} if best is None else best.values
            tests.append(_test(study, plan, fold, values, _label(best), pool))
            shipped.append(_test(study, plan, fold, {}, "shipped", pool))
        tried += trials
        results.append(
            FoldResult(
                fold=fold,
                decided=len(trials),
                failed=sum(trial.scores is None for trial in trials),
                chosen=None if best is None else best.values,
                in_sample=UNDEFINED if best is None else best.metrics,
                out_of_sample=tests[-1].metrics,
                shipped=shipped[-1].metrics,
            )
        )
    return _joined(results, tests, shipped, tried)


def _joined(
    results: list[FoldResult], tests: Sequence[Measured], shipped: Sequence[Measured], tried: Sequence[Trial]
) -> Walked:
    year = tests[0].days_a_year
    ours, theirs = (np.concatenate([each.returns for each in some]) for some in (tests, shipped))
    return Walked(
        folds=results,
        whole=performance_of(ours, year),
        shipped=performance_of(theirs, year),
        luck=luck(moments_of(ours), tried, year),
        shipped_luck=luck(moments_of(theirs), (), year),
        day_ns=[day for each in tests for day in each.day_ns],
        curve=np.cumprod(1.0 + ours).tolist(),
        shipped_curve=np.cumprod(1.0 + theirs).tolist(),
    )


def _of_fold(plan: Plan, fold: Fold) -> Plan:
    return msgspec.structs.replace(plan, spans=fold.train)


def _search(study: Search, plan: Plan, budget: Budget, pool: Pool) -> None:
    study.search(pool, budget.trials)
    if budget.local and len(plan.objectives) == 1:
        study.climb(pool, budget.local)


def _judge(study: Search, plan: Plan, fold: Fold, trial: Trial, trials: Sequence[Trial], pool: Pool) -> Judged:
    tested = _test(study, plan, fold, trial.values, _label(trial), pool)
    return Judged(
        number=trial.number,
        values=trial.values,
        in_sample=trial.metrics,
        out_of_sample=tested.metrics,
        luck=luck(trial.moments, trials, tested.days_a_year),
    )


def _test(study: Search, plan: Plan, fold: Fold, values: Mapping[str, Value], label: str, pool: Pool) -> Measured:
    """Once: it is kept with the study."""

    def make() -> Measured:
        try:
            return pool.submit(plan.task(values, (fold.test,))).result()
        except LOST as error:
            raise BallastError(f"workers are gone ({type(error).__name__}); the same command goes on") from error

    span = f"{fold.test.begin_ns}-{fold.test.end_ns}"
    return study.remembered(f"tested {label} {span}", make)


def _label(trial: Trial | None) -> str:
    return "shipped" if trial is None else f"trial {trial.number}"


def _only(best: Trial | None) -> list[Trial]:
    return [] if best is None else [best]


def _by_first_score(trial: Trial) -> tuple[float, int]:
    return (-trial.scores[0] if trial.scores else 0.0, trial.number)


def _reasons(trials: Sequence[Trial]) -> dict[str, int]:
    reasons = [trial.reason for trial in trials if trial.scores is None]
    return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}
