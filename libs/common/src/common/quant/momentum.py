"""How fast prices go: relative strength and rate of change."""

from __future__ import annotations

from typing import Final

import numpy as np

from common.quant.kernel import NAN, Floats, kernel

RSI_STATE: Final = 4
ROC_STATE: Final = 1  # and the period


@kernel
def rsi_step(state: Floats, close: float, period: int) -> float:
    """Wilder's relative strength index, 0 to 100, seeded with the mean of the first `period` changes.

    NaN until bar `period` + 1 and while nothing has moved. `state` is float64[4]: bars seen, previous close, average gain
    and average loss (their sums while warming).
    """
    seen, change = state[0], close - state[1]
    state[0] += 1.0
    state[1] = close
    if seen == 0.0:
        return NAN
    gain, loss = max(change, 0.0), max(-change, 0.0)
    if seen > period:
        state[2] += (gain - state[2]) / period
        state[3] += (loss - state[3]) / period
    else:
        state[2] += gain
        state[3] += loss
        if seen < period:
            return NAN
        state[2] /= period
        state[3] /= period
    both = state[2] + state[3]
    return 100.0 * state[2] / both if both > 0.0 else NAN


@kernel
def rsi(close: Floats, period: int) -> Floats:
    """Relative strength index of a whole series."""
    state, out = np.zeros(RSI_STATE), np.empty(close.size)
    for i in range(close.size):
        out[i] = rsi_step(state, close[i], period)
    return out


@kernel
def roc_step(state: Floats, close: float, period: int) -> float:
    """Change over `period` bars as a fraction of the older close; NaN until bar `period` + 1. `state` is float64[1 + period]:
    bars seen, the last `period` closes as a ring.
    """
    slot = int(state[0]) % period
    ring = state[ROC_STATE:]
    old, seen = ring[slot], state[0]
    ring[slot] = close
    state[0] += 1.0
    return close / old - 1.0 if seen >= period else NAN


@kernel
def roc(close: Floats, period: int) -> Floats:
    """Rate of change of a whole series."""
    state, out = np.zeros(ROC_STATE + period), np.empty(close.size)
    for i in range(close.size):
        out[i] = roc_step(state, close[i], period)
    return out
