"""What a fitted model says of each bar, filtered: one compiled call for all bars of a slice, the same bits over arrays."""

from __future__ import annotations

from typing import Final

import numpy as np

from common.model.time import NS_PER_DAY, Timeframe
from common.quant.garch import garch_forecast, garch_step
from common.quant.hidden_markov import forward_step, stay
from common.quant.kernel import NAN, Floats, Ints, kernel
from common.quant.volatility import true_range
from regime.models import ANY, STATES, WEIGHTS, Chance, Garch, Hidden, Model

# Columns of a bar: high, low, close, volume (0: unknown), hour of the day.
BAR: Final = 5
# Columns of what a model says, in the order of `ModelReading`; NaN until warm.
OPINIONS: Final = 7
# Columns of what it rests on: the return and the range as the filter takes them, then what a chance of change takes.
MOVE, PRECISION, SPAN, WEIGHT, LEAVING, TURBULENT, FORECAST, BUILD_UP, LOUDER = range(9)
HEAT_AT: Final = 9  # six of them: how much more than usual each state would expect of the bar
FEATURES: Final = 15

# Words of state; the probabilities of the six states, their heat, and for each hour of the day its log factor follow, and how often
# it was seen.
SEEN, PREVIOUS, USUAL, RECENT, LEVELS, LEVEL, NOW, LATELY, VOLUMES, VOLUME, USUAL_VOLUME, VARIANCE = range(12)
STATES_AT: Final = 12
HEATS_AT: Final = 18
HOURS_AT: Final = 24
HOURS: Final = 24
MODEL_STATE: Final = 72

# Words of a packed model; the hidden one and the weights of the two chances (NaN where there are none) follow.
SCALE_BARS, SPAN_EVIDENCE, MOVE_EVIDENCE, BLEND, WARMUP, BARS_A_DAY, OMEGA, ALPHA, BETA = range(9)
INNER_ALPHA, INNER_BETA = 9, 10
START_AT: Final = 11
TRANSITION_AT: Final = 17
DRIFTS_AT: Final = 53
VARIANCES_AT: Final = 59
SPANS_AT: Final = 65
DEVIATIONS_AT: Final = 71
CHANCES_AT: Final = 77
EXPLAINED: Final = 89
PACKED: Final = 90

_LEAST_SPAN: Final = -3.0  # in logs: what a bar that hardly has one counts as
_OVERLAPPING: Final = 1.0 / 3.0
_NOW_BARS: Final = 5.0
_LATELY_BARS: Final = 20.0
_PRIOR_DAYS: Final = 5.0  # an hour is like any other until it was seen more often than that
_LEARNING: Final = 2.0 / 121.0  # of about 120 days
_LEAST_CHANCE: Final = 1e-6


def hour_of(ts: int) -> int:
    """The hour of the day (UTC) in which a bar that closes at `ts` ends."""
    return (ts - 1) // (NS_PER_DAY // HOURS) % HOURS


def packed(model: Model) -> Floats:
    """The model as kernels take it: float64[PACKED]."""
    m, hidden = model, model.hidden
    head = [m.scale_bars, m.span_evidence, m.move_evidence, m.blend, m.warmup]
    garch = [NS_PER_DAY / m.timeframe.ns, m.garch.omega, m.garch.alpha, m.garch.beta, hidden.alpha, hidden.beta]
    inside = (
        hidden.start,
        *hidden.transition,
        hidden.drifts,
        hidden.variances,
        hidden.spans,
        hidden.deviations,
    )
    chances = (_weights(m.change_24h), _weights(m.change_48h))
    return np.concatenate([head, garch, *inside, *chances, [m.explained]]).astype(np.float64)


def _weights(chance: Chance | None) -> tuple[float, ...]:
    return chance.weights if chance else (NAN,) * WEIGHTS


@kernel
def _mean(before: float, value: float, seen: float, bars: float) -> float:
    """Exponential mean of about `bars`, a plain one while younger than that."""
    return before + (value - before) * max(1.0 / seen, 2.0 / (bars + 1.0))


@kernel
def features_step(state: Floats, bar: Floats, m: Floats, out: Floats) -> float:
    """One bar into the features that need no filter, columns of `out`: MOVE, PRECISION, SPAN, WEIGHT, BUILD_UP, LOUDER, heats.

    Returns the usual move of a bar of any hour as a fraction of the price; NaN, with nothing written, while warming and while nothing
    has moved. A bar without a range (closes are all there is) has that of the last few bars, which counts for less: they overlap.
    """
    close, volume, hour = bar[2], bar[3], HOURS_AT + int(bar[4])
    prev_close = state[PREVIOUS]
    state[PREVIOUS] = close
    if prev_close == 0.0:
        return NAN
    span, change = true_range(bar[0], bar[1], prev_close) / prev_close, np.log(close / prev_close)
    state[SEEN] += 1.0
    seen, usual = state[SEEN], state[USUAL]
    state[USUAL] = _mean(usual, abs(change), seen, m[SCALE_BARS])
    state[RECENT] = _mean(state[RECENT], span * span, seen, _NOW_BARS)
    whole = bar[0] > bar[1]
    if not state[RECENT] > 0.0:
        return NAN
    width = np.log(span) if whole else 0.5 * np.log(state[RECENT])
    level = width if state[LEVELS] == 0.0 else state[LEVEL]
    state[LEVELS] += 1.0
    wide, factor, expected = width - level - state[hour], np.exp(state[hour]), _expected(state, m)
    state[LEVEL] = _mean(level, width - expected, state[LEVELS], m[SCALE_BARS])
    if m[BARS_A_DAY] > 1.0:
        state[hour + HOURS] += 1.0
        state[hour] += (wide - expected) * max(1.0 / (state[hour + HOURS] + _PRIOR_DAYS), _LEARNING)
    square, lately = np.exp(2.0 * wide), state[LATELY]
    state[NOW] = _mean(state[NOW], square, state[LEVELS], _NOW_BARS)
    state[LATELY] = _mean(lately, square, state[LEVELS], _LATELY_BARS)
    if volume > 0.0:
        state[VOLUMES] += 1.0
        state[VOLUME] = _mean(state[VOLUME], volume, state[VOLUMES], _NOW_BARS)
        state[USUAL_VOLUME] = _mean(state[USUAL_VOLUME], volume, state[VOLUMES], _LATELY_BARS)
    if seen < m[WARMUP] or not (lately > 0.0 and usual > 0.0):
        return NAN
    out[MOVE] = change / (usual * factor)
    out[PRECISION] = 1.0 / (m[BLEND] * square + (1.0 - m[BLEND]) * lately)
    out[SPAN] = max(wide, _LEAST_SPAN)
    out[WEIGHT] = 1.0 if whole else _OVERLAPPING
    out[BUILD_UP] = 0.5 * np.log(state[NOW] / state[LATELY])
    out[LOUDER] = np.log(state[VOLUME] / state[USUAL_VOLUME]) if state[VOLUMES] > 0.0 else 0.0
    _heat(state[HEATS_AT:HOURS_AT], out, m)
    return float(usual)


@kernel
def _expected(state: Floats, m: Floats) -> float:
    """The log of range over usual that the states, as likely as they were, expect of this bar, as far as it is kept out of the
    usual one; 0 before the first is known.
    """
    states = state[STATES_AT:HEATS_AT]
    if m[EXPLAINED] == 0.0 or not states.sum() > 0.0:
        return 0.0
    transition = m[TRANSITION_AT:DRIFTS_AT].reshape(states.size, states.size)
    total = 0.0
    for k in range(states.size):
        likely = 0.0
        for j in range(states.size):
            likely += states[j] * transition[j, k]
        total += likely * (m[SPANS_AT + k] + 0.5 * np.log(state[HEATS_AT + k]))
    return float(m[EXPLAINED] * total)


@kernel
def _heat(heats: Floats, out: Floats, m: Floats) -> None:
    """How much more than usual each state expects of this bar, into `out`, and of the next, into `heats`."""
    alpha, beta = m[INNER_ALPHA], m[INNER_BETA]
    for k in range(heats.size):
        heat = heats[k] if heats[k] > 0.0 else 1.0
        out[HEAT_AT + k] = heat
        heats[k] = 1.0 - alpha - beta + alpha * out[MOVE] * out[MOVE] / m[VARIANCES_AT + k] + beta * heat


@kernel
def _day(state: Floats, m: Floats) -> float:
    """Mean square of the factors of all hours of the day: what a day has on top of so many usual bars."""
    if m[BARS_A_DAY] <= 1.0:
        return 1.0
    total = 0.0
    for hour in range(HOURS):
        total += np.exp(2.0 * state[HOURS_AT + hour])
    return total / HOURS


@kernel
def _filter(probability: Floats, features: Floats, m: Floats) -> None:
    """One bar into the probabilities of the states."""
    logs = np.empty(probability.size)
    for k in range(probability.size):
        away = features[MOVE] - m[DRIFTS_AT + k]
        wider = (features[SPAN] - 0.5 * np.log(features[HEAT_AT + k]) - m[SPANS_AT + k]) / m[DEVIATIONS_AT + k]
        logs[k] = -0.5 * m[MOVE_EVIDENCE] * features[PRECISION] * away * away
        logs[k] -= m[SPAN_EVIDENCE] * features[WEIGHT] * (0.5 * wider * wider + np.log(m[DEVIATIONS_AT + k]))
    transition = m[TRANSITION_AT:DRIFTS_AT].reshape(probability.size, probability.size)
    forward_step(probability, logs, m[START_AT:TRANSITION_AT], transition)


@kernel
def _logit(probability: float) -> float:
    cut = min(max(probability, _LEAST_CHANCE), 1.0 - _LEAST_CHANCE)
    return float(np.log(cut / (1.0 - cut)))


@kernel
def _leaving(probability: Floats, m: Floats, bars: float) -> float:
    """Probability that the state, whichever it is, is left within `bars` bars."""
    kept = 0.0
    transition = m[TRANSITION_AT:DRIFTS_AT].reshape(probability.size, probability.size)
    for k in range(probability.size):
        kept += probability[k] * stay(transition, k, bars)
    return min(max(1.0 - kept, 0.0), 1.0)


@kernel
def _chance(leaving: float, features: Floats, weights: Floats) -> float:
    """The logistic regression; what the transition matrix says where it was not fitted."""
    if np.isnan(weights[0]):
        return leaving
    place = weights[0] + weights[1] * _logit(leaving)
    for i in range(2, weights.size):
        place += weights[i] * features[LEAVING + i - 1]
    return float(1.0 / (1.0 + np.exp(-place)))


@kernel
def opinion_step(state: Floats, bar: Floats, m: Floats, features: Floats, out: Floats) -> None:
    """One bar. `state` is float64[MODEL_STATE], `m` a packed model; `features`, float64[FEATURES], are those within 24 hours."""
    usual = features_step(state, bar, m, features)
    if np.isnan(usual):
        out[:] = NAN
        return
    states = state[STATES_AT:HEATS_AT]
    _filter(states, features, m)
    variance = garch_step(state[VARIANCE : VARIANCE + 1], features[MOVE], m[OMEGA], m[ALPHA], m[BETA])
    ahead = garch_forecast(variance, m[BARS_A_DAY], m[OMEGA], m[ALPHA], m[BETA])
    out[0], out[1], out[2] = states[0] + states[1], states[2] + states[3], states[4] + states[5]
    out[3] = states[1] + states[3] + states[5]
    out[4] = usual * np.sqrt(ahead * _day(state, m))
    leaving = _leaving(states, m, m[BARS_A_DAY])
    features[LEAVING], features[TURBULENT] = _logit(leaving), _logit(out[3])
    features[FORECAST] = 0.5 * np.log(ahead / m[BARS_A_DAY])
    out[5] = _chance(leaving, features, m[CHANCES_AT : CHANCES_AT + 6])
    out[6] = _chance(_leaving(states, m, 2.0 * m[BARS_A_DAY]), features, m[CHANCES_AT + 6 : EXPLAINED])


@kernel
def opine(state: Floats, rows: Ints, bars: Floats, models: Floats, places: Ints, out: Floats) -> None:
    """One bar each of `rows` of `state` (float64[any, MODEL_STATE]), by the model in `places` of `models` (float64[any, PACKED]).

    `bars` is float64[bars, BAR]: high, low, close, volume (0: unknown), hour of the day (`hours`). `out`, float64[bars, 7], is in
    the order of `ModelReading`; NaN until warm.
    """
    features = np.empty(FEATURES)
    for i in range(rows.size):
        opinion_step(state[rows[i]], bars[i], models[places[i]], features, out[i])


@kernel
def opinions(bars: Floats, model: Floats) -> tuple[Floats, Floats]:
    """A whole series by one model: what it says, float64[bars, 7], and the features within 24 hours, float64[bars, FEATURES]; NaN
    until warm.
    """
    count = bars.shape[0]
    state, out, features = np.zeros(MODEL_STATE), np.empty((count, OPINIONS)), np.full((count, FEATURES), NAN)
    for i in range(count):
        opinion_step(state, bars[i], model, features[i], out[i])
    return out, features


def warm() -> None:
    """Compiles what is called from outside."""
    even, ones = (1.0 / STATES,) * STATES, (1.0,) * STATES
    hidden = Hidden(start=even, transition=(even,) * STATES, drifts=ones, variances=ones, spans=ones, deviations=ones)
    garch = Garch(omega=0.1, alpha=0.1, beta=0.8)
    model = packed(Model(instrument_id=ANY, timeframe=Timeframe.D1, hidden=hidden, garch=garch))
    bars, nothing = np.ones((1, BAR)), np.zeros(1, np.int64)
    opine(np.zeros((1, MODEL_STATE)), nothing, bars, model[None], nothing, np.empty((1, OPINIONS)))
    opinions(bars, model)
