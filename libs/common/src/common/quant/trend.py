"""Whether prices go somewhere: Wilder's directional movement, and the Choppiness Index."""

from __future__ import annotations

from typing import Final

import numpy as np

from common.quant.kernel import NAN, Floats, kernel
from common.quant.volatility import true_range

ADX_STATE: Final = 8
CHOP_STATE: Final = 2  # and three times the period


@kernel
def directional_movement(high: float, low: float, prev_high: float, prev_low: float) -> tuple[float, float]:
    """(+DM, -DM) of one bar: the larger of the two excursions if it is positive, else zero."""
    up, down = high - prev_high, prev_low - low
    return (up if up > 0.0 and up > down else 0.0), (down if down > 0.0 and down > up else 0.0)


@kernel
def adx_step(state: Floats, high: float, low: float, close: float, period: int) -> tuple[float, float, float]:
    """(ADX, +DI, -DI) in [0, 100], after Wilder (1978), seeded like TA-Lib.

    DI are NaN until bar `period` + 1, ADX until bar 2 `period`, all of them while nothing has moved.
    `state` is float64[8]: bars seen, previous high, low and close, smoothed +DM, -DM and true range, ADX (sum of DX
    while warming).
    """
    seen = state[0]
    prev_high, prev_low, prev_close = state[1], state[2], state[3]
    state[0] += 1.0
    state[1], state[2], state[3] = high, low, close
    if seen == 0.0:
        return NAN, NAN, NAN
    plus_dm, minus_dm = directional_movement(high, low, prev_high, prev_low)
    keep = 1.0 if seen < period else 1.0 - 1.0 / period
    state[4] = state[4] * keep + plus_dm
    state[5] = state[5] * keep + minus_dm
    state[6] = state[6] * keep + true_range(high, low, prev_close)
    if seen < period or state[6] <= 0.0:
        return NAN, NAN, NAN
    plus, minus = 100.0 * state[4] / state[6], 100.0 * state[5] / state[6]
    return _smooth_dx(state, seen, plus, minus, period), plus, minus


@kernel
def _smooth_dx(state: Floats, seen: float, plus: float, minus: float, period: int) -> float:
    both = plus + minus
    last_of_warmup = 2 * period - 1
    if both > 0.0:
        dx = 100.0 * abs(plus - minus) / both
        state[7] += dx if seen <= last_of_warmup else (dx - state[7]) / period
    if seen < last_of_warmup:
        return NAN
    if seen == last_of_warmup:
        state[7] /= period
    return float(state[7])


@kernel
def adx(high: Floats, low: Floats, close: Floats, period: int) -> tuple[Floats, Floats, Floats]:
    """(ADX, +DI, -DI) of whole arrays."""
    state = np.zeros(ADX_STATE)
    strength, plus, minus = np.empty(close.size), np.empty(close.size), np.empty(close.size)
    for i in range(close.size):
        strength[i], plus[i], minus[i] = adx_step(state, high[i], low[i], close[i], period)
    return strength, plus, minus


@kernel
def chop_step(state: Floats, high: float, low: float, close: float, period: int) -> float:
    """Choppiness Index: 100 log10(sum of true ranges / (highest high - lowest low)) / log10(period), Dreiss.

    About 100 where price goes nowhere, low where it trends. The first bar counts with its own span. `state` is
    float64[2 + 3 period]: bars seen, previous close, rings of true range, high and low. NaN until bar `period` and where
    all prices are equal. `period` >= 2.
    """
    seen = int(state[0])
    slot, prev_close = seen % period, state[1] if seen else close
    state[0] += 1.0
    state[1] = close
    ranges, highs = state[CHOP_STATE : CHOP_STATE + period], state[CHOP_STATE + period : CHOP_STATE + 2 * period]
    lows = state[CHOP_STATE + 2 * period :]
    ranges[slot], highs[slot], lows[slot] = true_range(high, low, prev_close), high, low
    if state[0] < period:
        return NAN
    travelled, top, bottom = 0.0, highs[0], lows[0]
    for i in range(period):
        travelled += ranges[i]
        top, bottom = max(top, highs[i]), min(bottom, lows[i])
    return 100.0 * np.log10(travelled / (top - bottom)) / np.log10(period) if top > bottom else NAN


@kernel
def chop(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    """Choppiness Index of whole arrays."""
    state, out = np.zeros(CHOP_STATE + 3 * period), np.empty(close.size)
    for i in range(close.size):
        out[i] = chop_step(state, high[i], low[i], close[i], period)
    return out
