"""The evaluation of regimes (REG-09): everyone who says what kind of market it is, against known labels.

A field is one kind of market: series with labels, some to choose alarm levels on (tuning), others to be judged by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec
import numpy as np

from common.model.time import NS_PER_DAY, Timeframe
from common.quant.kernel import Floats, Ints
from regime.models import Models
from regime.settings import Settings
from research.regimes import labels, scores
from research.regimes.judges import (
    INPUTS,
    RULES_WITHOUT,
    Fitted,
    Judge,
    Rules,
    Said,
    Series,
    knowing,
    plain,
    rules_without,
)
from research.regimes.markets import Codes, Market, bars_of, ceiling, simulate
from research.regimes.worlds import EVALUATION_SEEDS, TUNING_SEEDS, World
from research.regimes.worlds import TRENDS as TREND_NAMES

WARMUP_BARS: Final = 500  # of each simulated series have no label: everyone is warm by then
HORIZON_HOURS: Final = 48
RATES: Final = (0.05, 0.10, 0.20, 0.30)  # of false alarms
BLOCK_DAYS: Final = 30  # resampled together
MODELS, RULES, RULES_DAILY, PLAIN, CEILING = "models", "rules", "rules, daily", "plain HMM", "true parameters"
SHARED: Final = "true, volatility shared"
PHASE_NAMES: Final = ("calm", "stressed")
KINDS: Final = ("trend", "stress")  # of shifts: any change of trend, the onset of stress
Progress: TypeAlias = Callable[[str], None]


class Labeled(NamedTuple):
    """A series and what it was; -1 where unknown."""

    series: Series
    trend: Codes
    stressed: Codes

    def has_both(self) -> bool:
        """Whether some bar's trend is known, and some bar's stress."""
        return bool((self.trend != labels.UNKNOWN).any() and (self.stressed != labels.UNKNOWN).any())

    def between(self, first: int, stop: int) -> Labeled:
        """The same series with labels from bar `first` to before `stop` only."""
        at = np.arange(self.series.ts.size)
        there = (at >= first) & (at < stop)
        trend, stressed = (
            np.where(there, codes, labels.UNKNOWN).astype(np.int8) for codes in (self.trend, self.stressed)
        )
        return self._replace(trend=trend, stressed=stressed)


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """How well one label is found. `confusion`: rows are labels, columns verdicts, the last column none."""

    accuracy: scores.Interval | None
    balanced_accuracy: float | None
    confusion: list[list[int]]
    delay: scores.Delay


class Ahead(msgspec.Struct, frozen=True, kw_only=True):
    """Shifts flagged at an alarm level that gives `rate` false alarms on the tuning series."""

    rate: float
    level: float
    trend: scores.Flagged
    stress: scores.Flagged


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """All that is measured of one judge. Probabilities of change and warnings: None of those who give none."""

    trend: Task
    stress: Task
    change_24h: scores.Calibration | None = None
    change_48h: scores.Calibration | None = None
    ahead: tuple[Ahead, ...] = ()


class Without(msgspec.Struct, frozen=True, kw_only=True):
    """A judge without one of its inputs: differences to the judge with all of them; skill is that of change_48h."""

    judge: str
    input: str
    trend: float | None
    stress: float | None
    skill: float | None


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of market, judged. `best_constant` is the accuracy of always saying what is most frequent there."""

    name: str
    source: str
    timeframe: Timeframe
    series: int
    bars: int
    best_constant: dict[str, float | None]
    judges: dict[str, Score]
    ablation: tuple[Without, ...]


def of_world(world: World, models: Models, settings: Settings, progress: Progress) -> Field:
    """A labeled market: levels are chosen on its tuning seeds, figures are of its evaluation seeds."""
    progress(world.name)
    tuning = [simulate(world, seed) for seed in TUNING_SEEDS]
    markets = [simulate(world, seed) for seed in EVALUATION_SEEDS]
    labeled = [_of_market(market) for market in markets]
    prior = [_of_market(market) for market in tuning]
    judges = judges_of(world.timeframe, models, settings, [prior[0].series])
    known = {
        who: (_knowing(tuning, shared=shared), _knowing(markets, shared=shared))
        for who, shared in ((CEILING, False), (SHARED, True))
    }
    return judged(world.name, world.source, world.timeframe, (prior, labeled), judges, settings, known)


def _knowing(markets: Sequence[Market], *, shared: bool) -> list[Said]:
    return [knowing(ceiling(market, shared=shared)) for market in markets]


def _of_market(market: Market) -> Labeled:
    world = market.world
    series = Series(world.name, world.timeframe, market.ts, market.high_low_close, market.volume)
    return Labeled(series, market.trend, market.stressed).between(WARMUP_BARS, market.ts.size)


def judges_of(timeframe: Timeframe, models: Models, settings: Settings, past: Sequence[Series]) -> dict[str, Judge]:
    """Everybody who can say something on bars of `timeframe`. `past` is what the plain model is fitted to."""
    found: dict[str, Judge] = {}
    if all(models.find(series.name, timeframe) >= 0 for series in past):
        found[MODELS] = Fitted(models)
    found[RULES] = Rules(settings)
    if timeframe.ns < NS_PER_DAY:
        found[RULES_DAILY] = Rules(settings, Timeframe.D1)
    if any(np.ptp(series.log_close) > 0.0 for series in past):
        found[PLAIN] = plain(past)
    return found


def judged(
    name: str,
    source: str,
    timeframe: Timeframe,
    parts: tuple[Sequence[Labeled], Sequence[Labeled]],
    judges: Mapping[str, Judge],
    settings: Settings,
    known: dict[str, tuple[list[Said], list[Said]]] | None = None,
) -> Field:
    """`parts` are what levels are chosen on, and what is judged; `known` are verdicts on both that are there already."""
    tuning, there = parts
    said = {
        who: ([judge(one.series) for one in tuning], [judge(one.series) for one in there])
        for who, judge in judges.items()
    }
    said |= known or {}
    judging = _Judging(timeframe, tuning, there)
    found = {who: judging.score(before, now) for who, (before, now) in said.items()}
    constant = {
        "trend": scores.best_constant(np.array(next(iter(found.values())).trend.confusion)),
        "stress": scores.best_constant(np.array(next(iter(found.values())).stress.confusion)),
    }
    return Field(
        name=name,
        source=source,
        timeframe=timeframe,
        series=len(there),
        bars=sum(one.series.ts.size for one in there),
        best_constant=constant,
        judges=found,
        ablation=tuple(_ablation(judges, there, found, judging, settings)),
    )


class _Judging:
    """What is the same for all judges of a field."""

    def __init__(self, timeframe: Timeframe, tuning: Sequence[Labeled], there: Sequence[Labeled]) -> None:
        self._tuning, self._there = tuning, there
        self._horizons = {hours: bars_of(timeframe, hours) for hours in (24, HORIZON_HOURS)}
        self._block = BLOCK_DAYS * max(1, NS_PER_DAY // timeframe.ns)
        self._shifts = {kind: [SHIFTS[kind](one) for one in there] for kind in KINDS}

    def score(self, before: Sequence[Said], now: Sequence[Said]) -> Score:
        trend = self.task(now, len(TREND_NAMES), lambda one: one.trend, lambda said: said.trend)
        stress = self.task(now, len(PHASE_NAMES), lambda one: one.stressed, lambda said: said.stressed)
        return Score(
            trend=trend,
            stress=stress,
            change_24h=self.calibration([said.change_24h for said in now], 24),
            change_48h=self.calibration([said.change_48h for said in now], HORIZON_HOURS),
            ahead=tuple(self._ahead([said.change_48h for said in before], [said.change_48h for said in now])),
        )

    def task(
        self,
        now: Sequence[Said],
        classes: int,
        truth: Callable[[Labeled], Codes],
        verdict: Callable[[Said], Codes],
    ) -> Task:
        pairs = [scores.Verdicts(truth(one), verdict(said)) for one, said in zip(self._there, now, strict=True)]
        table = scores.confusion(pairs, classes)
        return Task(
            accuracy=scores.accuracy_interval(pairs, self._block, _luck()),
            balanced_accuracy=scores.balanced_accuracy(table),
            confusion=table.tolist(),
            delay=scores.delay(pairs),
        )

    def calibration(self, forecasts: Sequence[Floats | None], hours: int) -> scores.Calibration | None:
        given = [each for each in forecasts if each is not None]
        if len(given) < len(self._there) or not given:
            return None
        bars = self._horizons[hours]
        came = [
            labels.changes_within(one.trend, one.stressed, bars)
            if one.has_both()
            else np.full(one.trend.size, np.nan)  # what was forecast is a change of either
            for one in self._there
        ]
        return scores.calibration(np.concatenate(given), np.concatenate(came))

    def _ahead(self, before: Sequence[Floats | None], now: Sequence[Floats | None]) -> Iterator[Ahead]:
        earlier, later = ([each for each in forecasts if each is not None] for forecasts in (before, now))
        if len(earlier) < len(self._tuning) or len(later) < len(self._there) or not earlier or not later:
            return
        horizon = self._horizons[HORIZON_HOURS]
        quiet = [labels.changes_within(one.trend, one.stressed, horizon) == 0.0 for one in self._tuning]
        calm = [labels.changes_within(one.trend, one.stressed, horizon) == 0.0 for one in self._there]
        for rate in RATES:
            level = scores.threshold_at(earlier, quiet, rate)
            flags = {kind: scores.flagged(later, self._shifts[kind], calm, horizon, level) for kind in KINDS}
            yield Ahead(rate=rate, level=level, trend=flags["trend"], stress=flags["stress"])


def trend_shifts(one: Labeled) -> Ints:
    """Bars at which one known trend follows another."""
    return labels.changes(one.trend)


def stress_onsets(one: Labeled) -> Ints:
    """Bars at which calm turns into stress."""
    found = labels.changes(one.stressed)
    return np.asarray(found[one.stressed[found] == 1])


SHIFTS: Final[Mapping[str, Callable[[Labeled], Ints]]] = {"trend": trend_shifts, "stress": stress_onsets}


def _luck() -> np.random.Generator:
    """The same resampling for everyone."""
    return np.random.Generator(np.random.PCG64(0))


def _ablation(
    judges: Mapping[str, Judge],
    there: Sequence[Labeled],
    found: Mapping[str, Score],
    judging: _Judging,
    settings: Settings,
) -> Iterator[Without]:
    """The models without an input each, and the rules without a value each."""
    fitted = judges.get(MODELS)
    if isinstance(fitted, Fitted):
        for name in INPUTS:
            yield _without(MODELS, name, fitted._replace(without=name), there, found[MODELS], judging)
    for name in RULES_WITHOUT:
        yield _without(RULES, name, Rules(rules_without(name, settings)), there, found[RULES], judging)


def _without(who: str, name: str, judge: Judge, there: Sequence[Labeled], whole: Score, judging: _Judging) -> Without:
    said = [judge(one.series) for one in there]
    trend = judging.task(said, len(TREND_NAMES), lambda one: one.trend, lambda each: each.trend)
    stress = judging.task(said, len(PHASE_NAMES), lambda one: one.stressed, lambda each: each.stressed)
    change = judging.calibration([each.change_48h for each in said], HORIZON_HOURS)
    return Without(
        judge=who,
        input=name,
        trend=_less(trend.accuracy, whole.trend.accuracy),
        stress=_less(stress.accuracy, whole.stress.accuracy),
        skill=None
        if change is None or whole.change_48h is None or change.skill is None or whole.change_48h.skill is None
        else change.skill - whole.change_48h.skill,
    )


def _less(one: scores.Interval | None, whole: scores.Interval | None) -> float | None:
    return None if one is None or whole is None else one.value - whole.value
