"""Moving averages of one series, and MACD."""

from __future__ import annotations

from typing import Final

import numpy as np

from common.quant.kernel import NAN, Floats, kernel

# Words of state; a windowed average needs its period on top.
SMA_STATE: Final = 2
EMA_STATE: Final = 2
WMA_STATE: Final = 1
MACD_STATE: Final = 3 * EMA_STATE


@kernel
def sma_step(state: Floats, value: float, period: int) -> float:
    """Simple moving average. `state` is float64[2 + period]: values seen, their sum, the last `period` values as a ring.

    The sum is taken afresh each time the ring is full, so a rounding error never outlives one window.
    """
    slot = int(state[0]) % period
    ring = state[SMA_STATE:]
    total = state[1] + (value - ring[slot])
    ring[slot] = value
    if slot == period - 1:
        total = 0.0
        for i in range(period):
            total += ring[i]
    state[0] += 1.0
    state[1] = total
    return total / period if state[0] >= period else NAN


@kernel
def sma(values: Floats, period: int) -> Floats:
    """Simple moving average of a whole series."""
    state, out = np.zeros(SMA_STATE + period), np.empty(values.size)
    for i in range(values.size):
        out[i] = sma_step(state, values[i], period)
    return out


@kernel
def ema_step(state: Floats, value: float, period: int) -> float:
    """Exponential moving average, weight 2 / (period + 1), seeded with the mean of the first `period` values.

    `state` is float64[2]: values seen, the average (their sum while warming).
    """
    state[0] += 1.0
    if state[0] > period:
        state[1] += (value - state[1]) * 2.0 / (period + 1.0)
        return float(state[1])
    state[1] += value
    if state[0] < period:
        return NAN
    state[1] /= period
    return float(state[1])


@kernel
def ema(values: Floats, period: int) -> Floats:
    """Exponential moving average of a whole series."""
    state, out = np.zeros(EMA_STATE), np.empty(values.size)
    for i in range(values.size):
        out[i] = ema_step(state, values[i], period)
    return out


@kernel
def wma_step(state: Floats, value: float, period: int) -> float:
    """Linearly weighted moving average, the newest value weighs most. `state` is float64[1 + period]: values seen, ring."""
    slot = int(state[0]) % period
    ring = state[WMA_STATE:]
    ring[slot] = value
    state[0] += 1.0
    if state[0] < period:
        return NAN
    total = 0.0
    for weight in range(1, period + 1):
        place = slot + weight
        total += weight * ring[place if place < period else place - period]
    return total / (0.5 * period * (period + 1))


@kernel
def wma(values: Floats, period: int) -> Floats:
    """Linearly weighted moving average of a whole series."""
    state, out = np.zeros(WMA_STATE + period), np.empty(values.size)
    for i in range(values.size):
        out[i] = wma_step(state, values[i], period)
    return out


@kernel
def macd_step(state: Floats, value: float, fast: int, slow: int, signal: int) -> tuple[float, float]:
    """MACD line (EMA fast minus EMA slow) and its signal (EMA of the line). `state` is float64[6]: three EMA states."""
    quick = ema_step(state[0:2], value, fast)
    lazy = ema_step(state[2:4], value, slow)
    line = quick - lazy
    return line, (NAN if np.isnan(line) else ema_step(state[4:6], line, signal))


@kernel
def macd(values: Floats, fast: int, slow: int, signal: int) -> tuple[Floats, Floats]:
    """MACD line and signal of a whole series; the histogram is their difference."""
    state, line, smooth = np.zeros(MACD_STATE), np.empty(values.size), np.empty(values.size)
    for i in range(values.size):
        line[i], smooth[i] = macd_step(state, values[i], fast, slow, signal)
    return line, smooth
