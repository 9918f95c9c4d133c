"""How far prices move: true range and ATR, standard deviation and Bollinger width, rank in the past, current over normal."""

from __future__ import annotations

from typing import Final

import numpy as np

from common.quant.kernel import NAN, Floats, kernel

# Words of state; a windowed measure needs its window on top.
ATR_STATE: Final = 3
STD_STATE: Final = 1
RANK_STATE: Final = 1
VOL_RATIO_STATE: Final = 4


@kernel
def true_range(high: float, low: float, prev_close: float) -> float:
    """Wilder's true range: the span of the bar together with the gap before it. A close-only bar gives its absolute change."""
    return max(high - low, abs(high - prev_close), abs(low - prev_close))


@kernel
def atr_step(state: Floats, high: float, low: float, close: float, period: int) -> float:
    """Wilder's average true range. `state` is float64[3]: bars seen, previous close, the average (sum while warming).

    As in TA-Lib the first bar has no true range (it has no gap before it), so the first value comes at bar `period` + 1.
    """
    seen, prev_close = state[0], state[1]
    state[0] += 1.0
    state[1] = close
    if seen == 0.0:
        return NAN
    span = true_range(high, low, prev_close)
    if seen > period:
        state[2] += (span - state[2]) / period
        return float(state[2])
    state[2] += span
    if seen < period:
        return NAN
    state[2] /= period
    return float(state[2])


@kernel
def atr(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    """Wilder's average true range of whole arrays."""
    state, out = np.zeros(ATR_STATE), np.empty(close.size)
    for i in range(close.size):
        out[i] = atr_step(state, high[i], low[i], close[i], period)
    return out


@kernel
def std_step(state: Floats, value: float, period: int) -> tuple[float, float]:
    """Mean and population standard deviation (ddof 0) of the last `period` values. `state` is float64[1 + period].

    Two passes over the ring: running sums of squares would cancel where prices move little.
    """
    slot = int(state[0]) % period
    ring = state[STD_STATE:]
    ring[slot] = value
    state[0] += 1.0
    if state[0] < period:
        return NAN, NAN
    total = 0.0
    for i in range(period):
        total += ring[i]
    mean = total / period
    squares = 0.0
    for i in range(period):
        squares += (ring[i] - mean) ** 2
    return mean, np.sqrt(squares / period)


@kernel
def std(values: Floats, period: int) -> tuple[Floats, Floats]:
    """Rolling mean and population standard deviation of a whole series."""
    state, mean, deviation = np.zeros(STD_STATE + period), np.empty(values.size), np.empty(values.size)
    for i in range(values.size):
        mean[i], deviation[i] = std_step(state, values[i], period)
    return mean, deviation


@kernel
def bollinger_width_step(state: Floats, close: float, period: int, deviations: float) -> float:
    """(upper - lower) / middle of Bollinger bands at +- `deviations` standard deviations. State as in `std_step`."""
    mean, deviation = std_step(state, close, period)
    return 2.0 * deviations * deviation / mean if mean != 0.0 else NAN


@kernel
def bollinger_width(close: Floats, period: int, deviations: float) -> Floats:
    """Bollinger band width of a whole series."""
    state, out = np.zeros(STD_STATE + period), np.empty(close.size)
    for i in range(close.size):
        out[i] = bollinger_width_step(state, close[i], period, deviations)
    return out


@kernel
def percent_rank_step(state: Floats, value: float, window: int) -> float:
    """Share of the other values of the last `window` that lie below `value`, equal ones counting half; in [0, 1].

    `state` is float64[1 + window]: values seen, ring. A NaN (an input still warming) is not counted. `window` >= 2.
    """
    if np.isnan(value):
        return NAN
    slot = int(state[0]) % window
    ring = state[RANK_STATE:]
    ring[slot] = value
    state[0] += 1.0
    if state[0] < window:
        return NAN
    below, equal = 0, -1  # the value itself is one of the equals
    for i in range(window):
        below += ring[i] < value
        equal += ring[i] == value
    return (below + 0.5 * equal) / (window - 1)


@kernel
def percent_rank(values: Floats, window: int) -> Floats:
    """Rolling percentile rank of a whole series."""
    state, out = np.zeros(RANK_STATE + window), np.empty(values.size)
    for i in range(values.size):
        out[i] = percent_rank_step(state, values[i], window)
    return out


@kernel
def vol_ratio_step(
    state: Floats, high: float, low: float, close: float, current: int, normal: int, warmup: int
) -> float:
    """Current over normal realized volatility (REG-02).

    Both are root mean squares of the true range as a fraction of the previous close, exponentially weighted with
    2 / (period + 1) and a plain mean while younger than that. The range holds about five times the information of
    close-to-close returns (Parkinson 1980), so few bars suffice; its constant factor cancels. With `current` 5, three
    bars of twice the normal range lift the ratio above 1.6 whatever came before, five above 1.8. `state` is float64[4]:
    changes seen, previous close, current and normal variance. NaN until `warmup` changes and while nothing has moved.
    """
    prev_close = state[1]
    state[1] = close
    if prev_close == 0.0:
        return NAN
    state[0] += 1.0
    variance = (true_range(high, low, prev_close) / prev_close) ** 2
    young = 1.0 / state[0]
    state[2] += (variance - state[2]) * max(young, 2.0 / (current + 1.0))
    state[3] += (variance - state[3]) * max(young, 2.0 / (normal + 1.0))
    return np.sqrt(state[2] / state[3]) if state[0] >= warmup and state[3] > 0.0 else NAN


@kernel
def vol_ratio(high: Floats, low: Floats, close: Floats, current: int, normal: int, warmup: int) -> Floats:
    """Current over normal realized volatility of whole arrays."""
    state, out = np.zeros(VOL_RATIO_STATE), np.empty(close.size)
    for i in range(close.size):
        out[i] = vol_ratio_step(state, high[i], low[i], close[i], current, normal, warmup)
    return out
