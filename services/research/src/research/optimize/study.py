"""A search that can be interrupted at any instruction: what is decided is in the storage, the rest is done again.

One process asks and tells; workers only measure. Every decided trial fills a slot, and the sampler of a slot is made anew
from the seed and the slot's number: with one worker a study that was interrupted ends as one that was not.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from hashlib import sha256
from typing import Any, Final

import msgspec
import numpy as np

from common.errors import BallastError, ConfigError
from common.quant import overfitting
from research.optimize.gradient import climb
from research.optimize.measure import Measured, Task, moments_of
from research.optimize.objective import OBJECTIVES, Constraint, score, violations
from research.optimize.space import Parameter, Value, present
from research.optimize.splits import Span
from research.optimize.workers import LOST, Pool

_UNGUIDED: Final = 5  # trials before TPE learns: trials of whole systems are dear
_NOT_IDENTITY: Final = ("id", "speed", "build")
_CHANCE, _GRADIENT = "sampler", "gradient"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched, where, and how. Numbers of trials and workers are no part of what makes a study itself."""

    config: dict[str, Any]
    space: dict[str, Parameter]
    objectives: tuple[str, ...]
    spans: tuple[Span, ...]  # the search sees nothing else
    first_ns: int  # where the data begins
    constraints: tuple[Constraint, ...] = ()
    sampler: str = "tpe"  # or "nsga2", "random"
    population: int = 20
    seed: int = 1
    warmup_days: int = 0
    resume_after_days: int | None = None

    def identity(self) -> str:
        """Equal for equal searches, across processes and machines."""
        run = {key: value for key, value in self.config["run"].items() if key not in _NOT_IDENTITY}
        said = msgspec.structs.replace(self, config={**self.config, "run": run})
        return sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()

    def task(self, values: Mapping[str, Value], spans: Sequence[Span] | None = None) -> Task:
        """A trial of these values on the training spans, or on others."""
        return Task(
            config=self.config,
            values=dict(values),
            spans=self.spans if spans is None else tuple(spans),
            first_ns=self.first_ns,
            warmup_days=self.warmup_days,
            resume_after_days=self.resume_after_days,
        )


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One that is decided. `scores` are in the order of the objectives, more being better, None for one that failed."""

    number: int
    values: dict[str, Value]
    by: str  # sampler or gradient
    scores: tuple[float, ...] | None = None
    feasible: bool = False
    metrics: dict[str, float | None] = {}
    moments: overfitting.Moments | None = None
    reason: str = ""


class Search:
    """A study under a name in a storage. Raises ConfigError where that name is another search's."""

    def __init__(self, plan: Plan, storage: Any, name: str, on_trial: Callable[[int], None] = lambda _: None) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._plan, self._on_trial = plan, on_trial
        self._ranges = {key: parameter.distribution() for key, parameter in plan.space.items()}
        try:
            self._study = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=[optuna.study.StudyDirection.MAXIMIZE] * len(plan.objectives),
                load_if_exists=True,
            )
        except ValueError:  # as many objectives as the one that is there, or Optuna refuses
            raise ConfigError(f"--study {name}: is another search's; expected a new name") from None
        known = self._study.user_attrs.get("identity")
        if known is None:
            self._study.set_user_attr("identity", plan.identity())
        elif known != plan.identity():
            raise ConfigError(f"--study {name}: was begun with other data, settings or options; expected a new name")
        self._clear()

    def trials(self) -> list[Trial]:
        """All that are decided, by number."""
        return [trial for raw in self._study.get_trials(deepcopy=False) if (trial := _decided(raw)) is not None]

    def search(self, pool: Pool, number: int) -> None:
        """Until `number` trials of the sampler are decided, those of earlier calls and processes included."""
        done = sum(trial.by == _CHANCE for trial in self.trials())
        self._work(pool, (self._ask(slot) for slot in range(done, number)))

    def climb(self, pool: Pool, number: int) -> None:
        """Gradient ascent from the sampler's best, `number` trials at most. One objective only; nothing where none is feasible."""
        best = self.best(_CHANCE)
        axes = [key for key, parameter in self._plan.space.items() if parameter.kind != "choice"]
        if best is None or not axes or best.scores is None:
            return
        space = self._plan.space
        start = np.array([space[key].place(best.values[key]) for key in axes])
        ascent = climb(start, best.scores[0], np.array([space[key].grain for key in axes]))
        left = number - sum(trial.by == _GRADIENT for trial in self.trials())
        points = next(ascent)
        while True:
            wanted = [
                {**best.values, **{key: space[key].value(float(at)) for key, at in zip(axes, point, strict=True)}}
                for point in points
            ]
            known = self._known()
            missing = list({_key(values): values for values in wanted if _key(values) not in known}.values())
            self._work(pool, (self._ask_for(values) for values in missing[: max(0, left)]))
            left -= len(missing)
            if left < 0:
                return
            known = self._known()
            try:
                points = ascent.send([known[_key(values)] for values in wanted])
            except StopIteration:
                return

    def best(self, by: str = "") -> Trial | None:
        """The feasible trial with the largest first score, the earliest of equals; None where none is feasible."""
        found = [trial for trial in self.trials() if trial.feasible and by in ("", trial.by)]
        return max(found, key=_first_score, default=None)

    def front(self) -> list[Trial]:
        """Feasible trials that no other one beats in every objective, by number."""
        feasible = [trial for trial in self.trials() if trial.feasible]
        return [trial for trial in feasible if not any(_dominates(other, trial) for other in feasible)]

    def remembered(self, key: str, make: Callable[[], Measured]) -> Measured:
        """What `make` measured when it was first asked for under this key of the study."""
        known = self._study.user_attrs.get(key)
        if known is not None:
            return msgspec.convert(known, Measured)
        measured = make()
        self._study.set_user_attr(key, msgspec.to_builtins(measured))
        return measured

    def _clear(self) -> None:
        """What an interrupted process had under way is over, without a reason: its slots are free."""
        from optuna.trial import TrialState

        for raw in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(raw.number, state=TrialState.FAIL)
        while self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self._study.tell(self._study.ask(), state=TrialState.FAIL)

    def _ask(self, slot: int) -> Any:
        """The values the configuration has now come first: whatever is found has to be better than these."""
        self._study.sampler = _sampler(self._plan, slot)
        if slot == 0 and (values := present(self._plan.space, self._plan.config)):
            self._study.enqueue_trial(values)
        trial = self._study.ask(fixed_distributions=self._ranges)
        trial.set_user_attr("by", _CHANCE)
        return trial

    def _ask_for(self, values: Mapping[str, Value]) -> Any:
        self._study.sampler = _sampler(self._plan, 0)
        self._study.enqueue_trial(dict(values))
        trial = self._study.ask(fixed_distributions=self._ranges)
        trial.set_user_attr("by", _GRADIENT)
        return trial

    def _work(self, pool: Pool, asks: Iterator[Any]) -> None:
        flying: dict[Future[Measured], Any] = {}
        while True:
            while len(flying) < pool.size() and (trial := next(asks, None)) is not None:
                flying[pool.submit(self._plan.task(trial.params))] = trial
            if not flying:
                return
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda each: int(flying[each].number)):
                self._tell(flying.pop(future), future)

    def _tell(self, trial: Any, future: Future[Measured]) -> None:
        try:
            measured = future.result()
        except LOST as error:
            raise BallastError(f"workers are gone ({type(error).__name__}); the same command goes on") from error
        except Exception as error:  # noqa: BLE001 a trial that fails costs nothing else
            self._failed(trial, f"{type(error).__name__}: {error}")
            return
        found = {name: score(name, measured.metrics) for name in self._plan.objectives}
        scores = [value for value in found.values() if value is not None]
        trial.set_user_attr("metrics", measured.metrics)
        if len(scores) < len(found):
            undefined = (name for name, value in found.items() if value is None)
            self._failed(trial, f"{', '.join(undefined)}: undefined, no trade or no loss")
            return
        moments = moments_of(measured.returns)
        trial.set_user_attr("moments", None if moments is None else msgspec.to_builtins(moments))
        trial.set_user_attr("violations", violations(self._plan.constraints, measured.metrics))
        self._study.tell(trial, scores)
        self._on_trial(trial.number)

    def _failed(self, trial: Any, reason: str) -> None:
        from optuna.trial import TrialState

        trial.set_user_attr("reason", reason)
        self._study.tell(trial, state=TrialState.FAIL)
        self._on_trial(trial.number)

    def _known(self) -> dict[str, float | None]:
        """Score by values; None for what failed or is not feasible."""
        return {
            _key(trial.values): trial.scores[0] if trial.scores is not None and trial.feasible else None
            for trial in self.trials()
        }


def default_sampler(objectives: Sequence[str]) -> str:
    """TPE for one objective, NSGA-II for several."""
    return "tpe" if len(objectives) == 1 else "nsga2"


def checked(plan: Plan) -> Plan:
    """Raises ConfigError for a sampler that does not fit the objectives."""
    if plan.sampler not in ("tpe", "nsga2", "random"):
        raise ConfigError(f"--sampler {plan.sampler}: expected tpe, nsga2 or random")
    if len(set(plan.objectives)) < len(plan.objectives) or not plan.objectives:
        raise ConfigError(
            f"--objective: {', '.join(plan.objectives)}: expected different ones of {', '.join(OBJECTIVES)}"
        )
    return plan


def _sampler(plan: Plan, slot: int) -> Any:
    from optuna import samplers

    seed = int(np.random.SeedSequence([plan.seed, slot]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constraints are experimental for years
        limits = _violations if plan.constraints else None
        if plan.sampler == "nsga2":
            return samplers.NSGAIISampler(population_size=plan.population, seed=seed, constraints_func=limits)
        if plan.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        return samplers.TPESampler(n_startup_trials=_UNGUIDED, multivariate=True, seed=seed, constraints_func=limits)


def _violations(raw: Any) -> Sequence[float]:
    found: Sequence[float] = raw.user_attrs["violations"]
    return found


def _decided(raw: Any) -> Trial | None:
    """None for one that is under way, or was when its process ended."""
    from optuna.trial import TrialState

    attrs = raw.user_attrs
    complete = raw.state == TrialState.COMPLETE
    if not complete and not (raw.state == TrialState.FAIL and "reason" in attrs):
        return None
    found = attrs.get("moments")
    return Trial(
        number=raw.number,
        values=dict(raw.params),
        by=attrs["by"],
        scores=tuple(raw.values) if complete else None,
        feasible=complete and all(value <= 0 for value in attrs["violations"]),
        metrics=attrs.get("metrics", {}),
        moments=None if found is None else msgspec.convert(found, overfitting.Moments),
        reason=attrs.get("reason", ""),
    )


def _first_score(trial: Trial) -> tuple[float, int]:
    assert trial.scores is not None  # feasible ones have scores
    return trial.scores[0], -trial.number


def _dominates(one: Trial, other: Trial) -> bool:
    assert one.scores is not None
    assert other.scores is not None
    pairs = list(zip(one.scores, other.scores, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _key(values: Mapping[str, Value]) -> str:
    return repr(sorted(values.items()))
