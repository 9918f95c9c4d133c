"""How wild the market is by its own standards of the last month, once an hour: what adaptive thresholds follow (SIG-06)."""

from __future__ import annotations

from typing import Final

import numpy as np

from common.quant import thresholds
from common.quant.kernel import NAN, Floats, kernel
from common.quant.volatility import RANK_STATE, percent_rank_step, true_range

_HEAD: Final = 6  # then two rings of `hours`, then the state of a rank over 24 `days`
_LAST: Final = 5  # the rank of the last hour that is over

multiplier = kernel(thresholds.multiplier)


def atr_percentile_words(hours: int, days: int) -> int:
    """Words of state."""
    return _HEAD + 2 * hours + RANK_STATE + 24 * days


@kernel
def atr_percentile_step(
    state: Floats, high: float, low: float, close: float, seconds: float, hours: int, days: int
) -> float:
    """Rank of the ATR of the last `hours` among its values of the last `days`, in [0, 1], new at every full hour.

    `seconds` is the close of the bar, since 1970; bars of up to an hour. The ATR is the plain mean of true ranges as fractions of
    the close before. Time is market time: an hour counts if it has bars, a day is 24 of them; so a window holds as much
    market after a weekend as before it. A bar that closes at 10:00 belongs to the hour before 10:00. The running hour counts
    when it is over: with its bar at the full hour, else with the first one after. NaN until `hours` and then `days` are full.

    `state` is float64[atr_percentile_words]: previous close, running hour, its sum and number of ranges, hours closed, the last
    rank; sums and numbers of the last hours as rings; the state of the rank.
    """
    hour = np.floor((seconds - 1.0) / 3600.0)
    rank, prev_close = state[_HEAD + 2 * hours :], state[0]
    if state[3] > 0.0 and hour != state[1]:
        _close_hour(state, rank, hours, days)
    state[0] = close
    if prev_close > 0.0:
        state[1] = hour
        state[2] += true_range(high, low, prev_close) / prev_close
        state[3] += 1.0
        if seconds % 3600.0 == 0.0:
            _close_hour(state, rank, hours, days)
    return state[_LAST] if rank[0] >= 24 * days else NAN


@kernel
def _close_hour(state: Floats, rank: Floats, hours: int, days: int) -> None:
    spans, bars = state[_HEAD : _HEAD + hours], state[_HEAD + hours : _HEAD + 2 * hours]
    slot = int(state[4]) % hours
    spans[slot], bars[slot] = state[2], state[3]
    state[2], state[3] = 0.0, 0.0
    state[4] += 1.0
    if state[4] < hours:
        return
    travelled, count = 0.0, 0.0
    for i in range(hours):
        travelled += spans[i]
        count += bars[i]
    state[_LAST] = percent_rank_step(rank, travelled / count, 24 * days)


@kernel
def atr_percentile(high: Floats, low: Floats, close: Floats, seconds: Floats, hours: int, days: int) -> Floats:
    """The rank over whole arrays."""
    state, out = np.zeros(_HEAD + 2 * hours + RANK_STATE + 24 * days), np.empty(close.size)
    for i in range(close.size):
        out[i] = atr_percentile_step(state, high[i], low[i], close[i], seconds[i], hours, days)
    return out


@kernel
def multipliers(percentiles: Floats, least: float, most: float) -> Floats:
    """`multiplier` of a whole series."""
    out = np.empty(percentiles.size)
    for i in range(percentiles.size):
        out[i] = multiplier(percentiles[i], least, most)
    return out
