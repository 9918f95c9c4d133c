"""Models of regimes, fitted to the past: by moments of labeled bars, and what a filter cannot know by how well it then does.

Labels give the states their meaning: a bull market is what the labels call so. Where there are none, a Gaussian hidden Markov
model fitted by expectation and maximization draws them. Nothing here runs in a service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.model.time import NS_PER_DAY, Timeframe
from common.quant import hidden_markov
from common.quant.kernel import Floats, Ints
from regime.model_kernel import HEAT_AT, LEAVING, MOVE, PRECISION, SPAN, opinions, packed
from regime.models import ANY, STATES, TRENDS, Chance, Garch, Hidden, Model
from regime.models_history import bars_of
from research.regimes.labels import UNKNOWN, changes_within
from research.regimes.likelihood import fit_garch

Codes: TypeAlias = NDArray[np.int8]
_LEAST_BARS: Final = 200
_LEAST_LABELS: Final = 100
_PRIOR: Final = 0.05  # transitions between any two states that are counted beforehand
_RIDGE: Final = 1e-3
# What is tried, in this order, each with the best so far of the others.
_TRIED: Final[tuple[tuple[str, tuple[Any, ...]], ...]] = (
    ("clusters", ((0.0, 0.0), (0.1, 0.75), (0.1, 0.85), (0.03, 0.94), (0.09, 0.9))),
    ("move_evidence", (1.0, 1.5, 2.0, 3.0, 4.0)),
    ("blend", (0.3, 0.6, 0.9)),
    ("span_evidence", (0.3, 0.6, 1.0)),
)
# And then, of bars within days. On days the usual is that of decades: it hardly moves with what the states explain.
_TRIED_WITHIN_DAYS: Final[tuple[tuple[str, tuple[Any, ...]], ...]] = (("explained", (0.0, 0.25, 0.5)),)


class Sample(NamedTuple):
    """One series, `ts` the closes of its bars. `trend` says 0 bull, 1 bear, 2 sideways, `turbulent` 0 or 1, both -1 where unknown;
    None: no labels.
    """

    high_low_close: Floats
    ts: Ints
    trend: Codes | None = None
    turbulent: Codes | None = None
    volume: Floats | None = None


class _Series(NamedTuple):
    bars: Floats
    state: Ints  # 0 to 5, -1 where unknown


def fit_model(
    samples: Sequence[Sample], *, instrument_id: str = ANY, timeframe: Timeframe, scale_bars: int = 10_000
) -> Model:
    """The model of all samples together, each as long as the others. Raises ValueError where there is too little to fit."""
    if sum(len(sample.high_low_close) for sample in samples) < _LEAST_BARS:
        raise ValueError(f"Expected at least {_LEAST_BARS} bars to fit a model to")
    blank = _blank(instrument_id, timeframe, scale_bars)
    series = [_series(sample, blank) for sample in samples]
    known = _known(blank, series)[1].size
    if known < _LEAST_LABELS:
        raise ValueError(
            f"{known} bars have labels, expected at least {_LEAST_LABELS}: of longer prices, with turns in them"
        )
    features = [opinions(one.bars, packed(blank))[1] for one in series]
    moves = [each[~np.isnan(each[:, MOVE]), MOVE] for each in features]
    variance = fit_garch(moves)
    given = Garch(omega=variance.omega, alpha=variance.alpha, beta=variance.beta)
    model = _with_states(msgspec.structs.replace(blank, garch=given), series)
    for name, values in _TRIED + (_TRIED_WITHIN_DAYS if timeframe.ns < NS_PER_DAY else ()):
        model = max((_with_states(_with(model, name, value), series) for value in values), key=_Score(series))
    return with_chances(model, series)


class _Score:
    """How often the likeliest trend and the state of volatility are those of the labels, on average of both."""

    def __init__(self, series: Sequence[_Series]) -> None:
        self._series = series

    def __call__(self, model: Model) -> float:
        right = [_right(opinions(one.bars, packed(model))[0], one.state) for one in self._series]
        return float(np.mean(np.concatenate(right)))


def _right(said: Floats, state: Ints) -> Floats:
    known = (state != UNKNOWN) & ~np.isnan(said[:, 0])
    trend = np.argmax(said[known, :TRENDS], axis=1) == state[known] // 2
    return np.asarray((trend * 1.0 + ((said[known, 3] >= 0.5) == state[known] % 2)) / 2.0)


def _blank(instrument_id: str, timeframe: Timeframe, scale_bars: int) -> Model:
    """A model that knows nothing, for the features alone."""
    even, ones = (1.0 / STATES,) * STATES, (1.0,) * STATES
    hidden = Hidden(start=even, transition=(even,) * STATES, drifts=ones, variances=ones, spans=ones, deviations=ones)
    nothing = Garch(omega=0.1, alpha=0.1, beta=0.8)
    return Model(instrument_id=instrument_id, timeframe=timeframe, hidden=hidden, garch=nothing, scale_bars=scale_bars)


def _with(model: Model, name: str, value: Any) -> Model:
    if name != "clusters":
        return msgspec.structs.replace(model, **{name: value})
    alpha, beta = value
    return msgspec.structs.replace(model, hidden=msgspec.structs.replace(model.hidden, alpha=alpha, beta=beta))


def _series(sample: Sample, blank: Model) -> _Series:
    bars = bars_of(sample.high_low_close, sample.ts, sample.volume)
    if sample.trend is None or sample.turbulent is None:
        return _Series(bars, _drawn(bars, blank))
    known = (sample.trend != UNKNOWN) & (sample.turbulent != UNKNOWN)
    return _Series(bars, np.where(known, 2 * sample.trend.astype(np.int64) + sample.turbulent, UNKNOWN))


def _drawn(bars: Floats, blank: Model) -> Ints:
    """Labels by two Gaussian hidden Markov models, knowing the whole series: three states of smoothed return, in order of their
    means bear, sideways, bull, and two of the range. None in a short series, or in one that does not move.
    """
    features = opinions(bars, packed(blank))[1]
    warm, state = ~np.isnan(features[:, MOVE]), np.full(len(bars), UNKNOWN)
    day = max(2.0, NS_PER_DAY / blank.timeframe.ns)
    x = np.column_stack((_smoothed(features[warm, MOVE], 5.0 * day), _smoothed(features[warm, SPAN], day)))
    if len(x) < _LEAST_BARS or not np.all(np.ptp(x, axis=0) > 0.0):
        return state
    trend = np.array([1, 2, 0])[_path(x, TRENDS, 0)]
    state[warm] = 2 * trend + _path(x[:, 1:], 2, 0)
    return state


def _smoothed(values: Floats, bars: float) -> Floats:
    out, mean = np.empty(values.size), 0.0
    for i, value in enumerate(values.tolist()):
        mean += (value - mean) * max(1.0 / (i + 1.0), 2.0 / (bars + 1.0))
        out[i] = mean
    return out


def _path(x: Floats, states: int, by: int) -> Ints:
    """The likeliest state of each bar, numbered in order of the mean of feature `by`."""
    found = hidden_markov.fit([x], hidden_markov.first_guess(x, by, states))
    found = hidden_markov.ordered(found, np.argsort(found.means[:, by], kind="stable"))
    after, _, _ = hidden_markov.smoothed(hidden_markov.densities(x, found), found.start, found.transition)
    return np.asarray(np.argmax(after, axis=1))


def _with_states(model: Model, series: Sequence[_Series]) -> Model:
    """With the moments of each state, and with how often each follows on each."""
    x, state = _known(model, series)
    start, transition = np.bincount(state, minlength=STATES) + 1.0, _transition([one.state for one in series])
    hidden = msgspec.structs.replace(
        model.hidden,
        start=tuple((start / start.sum()).tolist()),
        transition=tuple(tuple(row) for row in transition.tolist()),
        drifts=_by_state(x, state, _drift),
        variances=_by_phase(x, state, lambda inside: float(np.mean(inside[:, MOVE] ** 2))),
    )
    model = msgspec.structs.replace(model, hidden=hidden)
    x, state = _known(model, series)  # its heat depends on the variances
    x[:, SPAN] -= 0.5 * np.log(x[np.arange(len(x)), HEAT_AT + state])
    spans = _by_phase(x, state, lambda inside: float(inside[:, SPAN].mean()))
    deviations = _by_phase(x, state, lambda inside: max(float(inside[:, SPAN].std()), 1e-3))
    return msgspec.structs.replace(model, hidden=msgspec.structs.replace(hidden, spans=spans, deviations=deviations))


def _known(model: Model, series: Sequence[_Series]) -> tuple[Floats, Ints]:
    """Features and states of all bars that have both."""
    x = np.concatenate([opinions(one.bars, packed(model))[1] for one in series])
    state = np.concatenate([one.state for one in series])
    known = (state != UNKNOWN) & ~np.isnan(x[:, MOVE])
    return x[known], state[known]


def _by_state(x: Floats, state: Ints, measure: Callable[[Floats], float]) -> tuple[float, ...]:
    """`measure` of the bars of each state; of all bars for a state that hardly ever was."""
    inside = [x[state == k] for k in range(STATES)]
    return tuple(measure(each if len(each) > STATES else x) for each in inside)


def _by_phase(x: Floats, state: Ints, measure: Callable[[Floats], float]) -> tuple[float, ...]:
    """As `_by_state`, the same for all trends: ranges come in clusters, and what little they differ by from trend to trend would
    outvote the returns, bar after bar.
    """
    calm, turbulent = _by_state(x, state % 2, measure)[:2]
    return (calm, turbulent) * TRENDS


def _drift(inside: Floats) -> float:
    """The mean return, each bar weighed by its precision, as the filter weighs them."""
    return float(inside[:, PRECISION] @ inside[:, MOVE] / inside[:, PRECISION].sum())


def _transition(states: Sequence[Ints]) -> Floats:
    counts = np.full((STATES, STATES), _PRIOR)
    for state in states:
        before, after = state[:-1], state[1:]
        both = (before != UNKNOWN) & (after != UNKNOWN)
        np.add.at(counts, (before[both], after[both]), 1.0)
    counts[np.diag_indices(STATES)] += 1.0
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


# --- chances of change ---------------------------------------------------------------------------------------------------


def with_chances(model: Model, series: Sequence[_Series]) -> Model:
    """With both logistic regressions of "another state within so many hours", where enough is labeled that far ahead."""
    plain = packed(msgspec.structs.replace(model, change_24h=None, change_48h=None))
    found = [(*opinions(one.bars, plain), one.state) for one in series]
    chances = []
    for days in (1, 2):
        rows = [_asked(said, features, state, days, model.timeframe) for said, features, state in found]
        x, y = (np.concatenate(part) for part in zip(*rows, strict=True))
        chances.append(Chance(weights=tuple(logistic(x, y).tolist())) if len(x) >= _LEAST_LABELS else None)
    return msgspec.structs.replace(model, change_24h=chances[0], change_48h=chances[1])


def _asked(said: Floats, features: Floats, state: Ints, days: int, timeframe: Timeframe) -> tuple[Floats, Floats]:
    """What is known at each bar, float64[any, 6], and whether the state is another one at some bar of the next `days` days."""
    bars = max(1, round(days * NS_PER_DAY / timeframe.ns))
    known_state = state != UNKNOWN
    trend, turbulent = (np.where(known_state, codes, UNKNOWN).astype(np.int8) for codes in (state // 2, state % 2))
    changed = changes_within(trend, turbulent, bars)
    leaving = np.clip(said[:, 4 + days], 1e-6, 1.0 - 1e-6)
    x = np.column_stack((np.ones(len(said)), np.log(leaving / (1.0 - leaving)), features[:, LEAVING + 1 : HEAT_AT]))
    known = ~np.isnan(changed) & ~np.isnan(said[:, 0])
    return x[known], changed[known]


def logistic(x: Floats, y: Floats, rounds: int = 50) -> Floats:
    """Weights of the greatest likelihood with a little ridge, by Newton's method. `x` is float64[any, WEIGHTS], `y` 0 or 1."""
    weights = np.zeros(x.shape[1])
    ridge = _RIDGE * len(x) * np.eye(x.shape[1])
    ridge[0, 0] = 1e-9
    for _ in range(rounds):
        chance = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -30.0, 30.0)))
        slope = x.T @ (y - chance) - ridge @ weights
        step = np.linalg.solve((x * (chance * (1.0 - chance))[:, None]).T @ x + ridge, slope)
        weights = weights + step
        if np.max(np.abs(step)) < 1e-9:
            break
    return np.asarray(weights)
