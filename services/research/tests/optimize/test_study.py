"""A study ends the same whatever interrupts it, keeps what failed with its reason, and says what luck is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage

from common.errors import ConfigError, DataError
from common.quant.overfitting import Moments
from research.optimize import splits
from research.optimize.luck import luck
from research.optimize.measure import METRICS, Measured, Task
from research.optimize.objective import constraint
from research.optimize.space import Parameter
from research.optimize.splits import Span, holdout
from research.optimize.storage import opened
from research.optimize.study import Plan, Search, Trial, checked, default_sampler
from research.optimize.walk import Budget, optimize, walk_forward
from research.optimize.workers import Pool, workers

SPACE = {
    "portfolio.risk": Parameter(kind="float", low=0.0, high=1.0),
    "portfolio.band": Parameter(kind="int", low=0, high=20),
    "portfolio.mode": Parameter(kind="choice", choices=("calm", "wild")),
}
CONFIG = {"run": {"id": "x", "data": "d"}, "portfolio": {"risk": 0.1, "band": 2, "mode": "calm"}}
PLAN = Plan(config=CONFIG, space=SPACE, objectives=("sharpe",), spans=(Span(0, 100),), first_ns=0, sampler="tpe")


def hill(values: Mapping[str, Any]) -> Measured:
    """A market whose best is risk 0.7 and band 12; drawdown grows with risk. Test spans see the same hill."""
    risk, band = values.get("portfolio.risk", 0.1), values.get("portfolio.band", 2)
    sharpe = 2 - 4 * (risk - 0.7) ** 2 - ((band - 12) / 10) ** 2 - (values.get("portfolio.mode") == "wild")
    rng = np.random.default_rng(int(risk * 1e6) + band)
    metrics = dict.fromkeys(METRICS, 1.0) | {"sharpe": sharpe, "max_drawdown": risk / 2, "return": risk * sharpe}
    return Measured(
        metrics=metrics, returns=rng.normal(sharpe / 2000, 0.01, 60).tolist(), day_ns=[*range(60)], days_a_year=252
    )


def pool(market: Callable[[Mapping[str, Any]], Measured] = hill, stop_at: int = -1) -> Pool:
    """Computes in this process; at its call number `stop_at` the user presses Ctrl-C."""
    calls = iter(range(10**6))

    def submit(task: Task) -> Future[Measured]:
        if next(calls) == stop_at:
            raise KeyboardInterrupt
        future: Future[Measured] = Future()
        try:
            future.set_result(market(task.values))
        except Exception as error:  # noqa: BLE001 as a pool does
            future.set_exception(error)
        return future

    return Pool(submit, lambda: 1)


SHELVES: dict[Path, InMemoryStorage] = {}


@contextmanager
def shelf(folder: Path) -> Iterator[InMemoryStorage]:
    """Optuna's storage in memory, which outlives a search and needs no disk."""
    yield SHELVES.setdefault(folder, InMemoryStorage())


@contextmanager
def study(folder: Path, plan: Plan = PLAN, name: str = "s") -> Iterator[Search]:
    with shelf(folder) as storage:
        yield Search(plan, storage, name)


def told(search: Search) -> list[tuple[dict[str, Any], tuple[float, ...] | None, str]]:
    """What must not depend on interruptions: all but the numbers."""
    return [(trial.values, trial.scores, trial.by) for trial in search.trials()]


def plan_of(sampler: str, **changes: Any) -> Plan:
    objectives = ("sharpe", "drawdown") if sampler == "nsga2" else ("sharpe",)
    limits = (constraint("max_drawdown<0.45"),)
    made = msgspec.structs.replace(PLAN, sampler=sampler, objectives=objectives, constraints=limits, population=4)
    return msgspec.structs.replace(made, **changes)


@pytest.mark.req("RES-05")
@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
@pytest.mark.parametrize("stop_at", [0, 1, 7, 11])
def test_an_interrupted_study_ends_as_one_that_was_not(tmp_path: Path, sampler: str, stop_at: int) -> None:
    plan, local = plan_of(sampler), 0 if sampler == "nsga2" else 10
    (tmp_path / "whole").mkdir()
    with study(tmp_path / "whole", plan) as whole:
        whole.search(pool(), 12)
        whole.climb(pool(), local) if local else None
        expected = told(whole)
    with study(tmp_path, plan) as first, pytest.raises(KeyboardInterrupt):
        first.search(pool(stop_at=stop_at), 12)
    with study(tmp_path, plan) as second:
        second.search(pool(), 12)
        if local:
            with pytest.raises(KeyboardInterrupt):
                second.climb(pool(stop_at=3), local)
    with study(tmp_path, plan) as third:
        third.search(pool(), 12)
        third.climb(pool(), local) if local else None
        assert told(third) == expected
        assert len(expected) == 12 + local


@pytest.mark.req("RES-05")
def test_seeds_decide_and_the_configuration_as_it_is_comes_first(tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        with study(tmp_path, msgspec.structs.replace(PLAN, seed=seed), name) as search:
            search.search(pool(), 8)
            found.append(told(search))
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert found[0][0][0] == found[2][0][0] == {f"portfolio.{key}": value for key, value in CONFIG["portfolio"].items()}  # type: ignore[attr-defined]


@pytest.mark.req("RES-05")
def test_a_trial_that_fails_is_kept_with_its_reason_and_costs_nothing_else(tmp_path: Path) -> None:
    def fragile(values: Mapping[str, Any]) -> Measured:
        if values["portfolio.mode"] == "wild":
            raise DataError("no such market")
        if values["portfolio.band"] < 3:
            return msgspec.structs.replace(hill(values), metrics={**hill(values).metrics, "sharpe": None})
        return hill(values)

    with study(tmp_path, msgspec.structs.replace(PLAN, sampler="random")) as search:
        search.search(pool(fragile), 30)
        search.search(pool(fragile), 30)
        trials = search.trials()
        best = search.best()
    assert len(trials) == 30
    reasons = {trial.reason for trial in trials}
    assert reasons == {"", "DataError: no such market", "sharpe: undefined, no trade or no loss"}
    assert best is not None
    assert best.values["portfolio.mode"] == "calm"
    assert all((trial.scores is None) == bool(trial.reason) for trial in trials)


@pytest.mark.req("RES-05")
def test_the_best_keeps_the_constraints_and_the_front_is_not_beaten(tmp_path: Path) -> None:
    plan = plan_of("nsga2", constraints=(constraint("max_drawdown<0.3"), constraint("sharpe>0")))
    with study(tmp_path, plan) as search:
        search.search(pool(), 40)
        front, best, trials = search.front(), search.best(), search.trials()
    assert best is not None
    assert best.scores[0] == max(trial.scores[0] for trial in trials if trial.feasible and trial.scores)  # type: ignore[index]
    assert len(front) > 1
    for trial in front:
        assert trial.metrics["max_drawdown"] < 0.3  # type: ignore[operator]
        assert not any(
            other.feasible and other.scores > trial.scores and all(np.array(other.scores) >= np.array(trial.scores))  # type: ignore[operator]
            for other in trials
        )
    assert [
        trial.metrics["sharpe"] for trial in sorted(front, key=lambda each: each.metrics["max_drawdown"] or 0)
    ] == sorted(trial.metrics["sharpe"] or 0 for trial in front)


@pytest.mark.req("RES-05")
def test_gradient_ascent_goes_on_from_the_best_and_improves_it(tmp_path: Path) -> None:
    with study(tmp_path, msgspec.structs.replace(PLAN, sampler="random")) as search:
        search.search(pool(), 6)
        before = search.best()
        search.climb(pool(), 60)
        after, climbed = search.best(), [trial for trial in search.trials() if trial.by == "gradient"]
        calls = len(search.trials())
        search.climb(pool(stop_at=0), len(climbed))  # all of it is known: nothing is computed again
        assert len(search.trials()) == calls
    assert before is not None
    assert after is not None
    assert after.scores > before.scores  # type: ignore[operator]
    assert 0 < len(climbed) <= 60
    assert after.values["portfolio.risk"] == pytest.approx(0.7, abs=0.1)
    assert {trial.values["portfolio.mode"] for trial in climbed} == {before.values["portfolio.mode"]}


@pytest.mark.req("PLT-12")
def test_several_workers_decide_as_many_trials(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as threads, study(tmp_path) as search:
        shared = Pool(lambda task: threads.submit(hill, task.values), lambda: 3)
        search.search(shared, 10)
        search.search(shared, 14)
        search.climb(shared, 9)
        trials = search.trials()
    assert len(trials) == 23
    assert all(trial.scores for trial in trials)


@pytest.mark.req("RES-05")
def test_a_name_belongs_to_one_search(tmp_path: Path) -> None:
    with study(tmp_path):
        pass
    with pytest.raises(ConfigError, match=r"^--study s: .*expected a new name"), study(tmp_path, plan_of("tpe")):
        pass
    with pytest.raises(ConfigError, match=r"^--study s: .*expected a new name"), study(tmp_path, plan_of("nsga2")):
        pass
    again = {**CONFIG, "run": {"id": "another", "data": "d", "speed": "5", "build": "9"}}
    assert msgspec.structs.replace(PLAN, config=again).identity() == PLAN.identity()
    assert msgspec.structs.replace(PLAN, config={**again, "run": {"data": "e"}}).identity() != PLAN.identity()


@pytest.mark.req("RES-05")
def test_a_search_and_its_test_come_together_once(tmp_path: Path) -> None:
    fold = holdout(Span(0, 10**17), fraction=0.25, gap_ns=0)
    seen: list[Task] = []

    def submit(task: Task) -> Future[Measured]:
        seen.append(task)
        return pool().submit(task)

    def run() -> Any:
        return optimize(
            PLAN,
            fold,
            Budget(trials=8, local=4),
            lambda name: opened(f"sqlite:///{tmp_path}/studies.db", name),  # on a disk: what is kept is what was said
            "o",
            Pool(submit, lambda: 1),
            lambda _: None,
        )

    found = run()
    asked = len(seen)
    assert {task.spans for task in seen[:-2]} == {fold.train}
    assert [task.spans for task in seen[-2:]] == [(fold.test,)] * 2
    assert found.decided == asked - 2 == 12
    assert found.front[0].luck.trials == 12
    assert found.front[0].luck.deflated_sharpe < found.front[0].luck.probabilistic_sharpe
    assert run() == found
    assert len(seen) == asked


@pytest.mark.req("RES-05")
def test_every_fold_is_searched_on_its_past_and_trades_its_test(tmp_path: Path) -> None:
    year = splits.Period(months=12)
    folds = splits.walk_forward(
        Span(0, splits.Period(months=60).after(0)), train=splits.Period(months=24), test=year, gap_ns=10**14
    )
    tested = []

    def submit(task: Task) -> Future[Measured]:
        if task.spans[0].begin_ns:
            tested.append((task.spans, bool(task.values)))
        return pool().submit(task)

    plan = msgspec.structs.replace(PLAN, constraints=(constraint("max_drawdown<0.4"),))
    walked = walk_forward(
        plan, folds, Budget(trials=6), lambda _: shelf(tmp_path), "w", Pool(submit, lambda: 1), lambda _: None
    )
    assert tested == [((fold.test,), searched) for fold in folds for searched in (True, False)]
    assert [each.decided for each in walked.folds] == [6, 6, 6]
    assert walked.luck.trials == 18
    assert len(walked.curve) == len(walked.day_ns) == 180
    assert walked.whole["total_return"] == pytest.approx(walked.curve[-1] - 1)
    assert walked.luck.sharpe == pytest.approx(walked.whole["sharpe"])
    assert walked.shipped_luck.trials == 0
    impossible = msgspec.structs.replace(plan, constraints=(constraint("max_drawdown<0"),))
    lost = walk_forward(impossible, folds[:1], Budget(trials=3), lambda _: shelf(tmp_path), "l", pool(), lambda _: None)
    assert lost.folds[0].chosen is None
    assert lost.whole == lost.shipped


@pytest.mark.req("RES-05")
@settings(max_examples=30, deadline=None)
@given(st.integers(2, 200), st.floats(0.001, 0.1))
def test_the_more_was_tried_the_less_the_best_is_worth(number: int, spread: float) -> None:
    def trial(sharpe: float) -> Trial:
        return Trial(number=0, values={}, by="sampler", moments=Moments(500, sharpe))

    sharpes = np.random.default_rng(number).normal(0, spread, number)
    chosen = Moments(500, float(sharpes.max()))
    few, many = (luck(chosen, [trial(each) for each in some], 252) for some in ([*sharpes[:1]], [*sharpes]))
    assert few.deflated_sharpe == few.probabilistic_sharpe == many.probabilistic_sharpe
    assert many.deflated_sharpe < few.deflated_sharpe  # type: ignore[operator]
    assert many.expected_of_luck > few.expected_of_luck == 0  # type: ignore[operator]
    assert luck(None, [], 252).deflated_sharpe is None


@pytest.mark.req("PLT-12")
@pytest.mark.parametrize("wanted", ["", "0", "-1", "2.5", "many", "http://host:1", "tcp://host", "5000"])
def test_other_workers_are_refused_with_what_was_expected(wanted: str) -> None:
    with pytest.raises(ConfigError, match=r"^--workers .*expected a number of processes"), workers(wanted):
        pass


def test_samplers_and_objectives_fit_each_other() -> None:
    assert default_sampler(["sharpe"]) == "tpe"
    assert default_sampler(["sharpe", "drawdown"]) == "nsga2"
    with pytest.raises(ConfigError, match=r"^--sampler grid: expected tpe"):
        checked(msgspec.structs.replace(PLAN, sampler="grid"))
    with pytest.raises(ConfigError, match=r"^--objective: sharpe, sharpe"):
        checked(msgspec.structs.replace(PLAN, objectives=("sharpe", "sharpe")))


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("nonsense", "no database URL"),
        ("oracle://host/db", "--storage oracle://host/db: "),
        ("sqlite:////no/such/folder/x.db", "expected a database that can be written"),
        (
            "postgresql://ballast:geheim@127.0.0.1:1/ballast",
            r"--storage postgresql://ballast:\*\*\*@127.0.0.1:1/ballast",
        ),
    ],
)
def test_a_storage_that_is_not_there_is_one_clear_line_without_the_password(url: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as error, opened(url, "s"):
        pass
    assert "geheim" not in str(error.value)
    assert "\n" not in str(error.value)
