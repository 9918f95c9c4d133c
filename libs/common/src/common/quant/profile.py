"""At which prices a market traded in the last days (SIG-08): sub-histograms by the hour, levels anew at every full hour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np

from common.quant import profile_levels
from common.quant.kernel import NAN, Floats, kernel
from common.quant.profile_levels import SHARE

# What a step leaves in the first words of its state.
POC, VAH, VAL, NODE = range(4)
_HOUR, _RUNS, _CLOSED, _COUNT, _FLOOR, _PEAK, _HAS_VOLUME = range(4, 11)
_HEAD: Final = 11
_CELLS: Final = 24  # prices in an hour, on average over the days: a wild hour may have more, as most have fewer
_LEAST: Final = 8  # prices that an hour may have however many the others took
_CELL: Final = 2  # words of a cell: bin, volume
_SPAN: Final = 1024  # bins that levels are looked for in, half of them below the last price

bin_of = kernel(profile_levels.bin_of)
price_at = kernel(profile_levels.price_at)
value_area: Callable[[Floats, float], tuple[int, int, int]] = kernel(cast("Any", profile_levels.value_area))


def profile_words(days: int) -> int:
    """Words of state."""
    return _words(24 * days)


@kernel
def _words(hours: int) -> int:
    return _HEAD + _SPAN + (hours + 1) * (1 + _CELL * _CELLS)


@kernel
def profile_step(
    state: Floats, high: float, low: float, close: float, volume: float, seconds: float, days: int
) -> float:
    """Leaves in the first words of `state`: point of control, upper and lower end of the value area (prices as in
    `common.quant.profile_levels`), and how much was traded at `close`, over what was traded at the point of control, in [0, 1].
    Returns the first.

    A bar's volume counts at its typical price, (high + low + close) / 3. The levels are those of the last 24 `days` hours that
    have bars and are over (hours as in `common.quant.adaptive`), so they change once an hour; NaN until there are so many.
    Of a market that never had a volume bars are counted instead. Two things are left coarse to keep the state small: where the
    last 24 `days` hours were traded at more than 16 prices each on average, an hour knows 8 of them, and what is traded at others
    counts at the nearest of those; and what was traded further than 512 bins (two thirds up or two fifths down) from the last
    price is left out.

    `state` is float64[profile_words]: four results; running hour, whether it has bars, hours closed, cells ever made,
    lowest bin of the histogram, its largest volume, whether there ever was a volume; the histogram; where each hour's cells begin; the cells of all hours.
    """
    hours = 24 * days
    hour = np.floor((seconds - 1.0) / 3600.0)
    if state[_RUNS] > 0.0 and hour != state[_HOUR]:
        _close_hour(state, close, hours)
    _add(state, bin_of((high + low + close) / 3.0), volume, hours)
    state[_HOUR] = hour
    if seconds % 3600.0 == 0.0:
        _close_hour(state, close, hours)
    state[NODE] = NAN
    if state[_CLOSED] < hours:
        state[POC] = state[VAH] = state[VAL] = NAN
    elif state[_PEAK] > 0.0:
        at = bin_of(close) - int(state[_FLOOR])
        state[NODE] = state[_HEAD + at] / state[_PEAK] if 0 <= at < _SPAN else 0.0
    return float(state[POC])


@kernel
def _add(state: Floats, place: int, volume: float, hours: int) -> None:
    """A bar joins the cell of its price in the running hour, or opens it, or joins the nearest one if there is no room. The first
    volume ever makes all cells before it void.
    """
    starts = state[_HEAD + _SPAN : _HEAD + _SPAN + hours + 1]
    cells = state[_HEAD + _SPAN + hours + 1 :]
    slots, of_hour = (hours + 1) * _CELLS, int(state[_CLOSED]) % (hours + 1)
    if volume > 0.0 and state[_HAS_VOLUME] == 0.0:
        state[_HAS_VOLUME] = 1.0
        starts[:] = state[_COUNT]
    weight = volume if state[_HAS_VOLUME] > 0.0 else 1.0
    if state[_RUNS] == 0.0:
        state[_RUNS] = 1.0
        starts[of_hour] = state[_COUNT]
    if weight == 0.0:
        return
    first, count = int(starts[of_hour]), int(state[_COUNT])
    nearest, off = count, np.inf
    for number in range(first, count):
        away = abs(cells[number % slots * _CELL] - place)
        if away < off:
            nearest, off = number, away
    oldest = int(
        starts[(int(state[_CLOSED]) + 2) % (hours + 1)]
    )  # of the hours that are in the days when this one is over
    full = count - first >= _LEAST and count - oldest >= slots - _LEAST * hours
    if off == 0.0 or full:
        cells[nearest % slots * _CELL + 1] += weight
        return
    at = count % slots * _CELL
    cells[at], cells[at + 1] = place, weight
    state[_COUNT] += 1.0


@kernel
def _close_hour(state: Floats, close: float, hours: int) -> None:
    state[_RUNS] = 0.0
    state[_CLOSED] += 1.0
    if state[_CLOSED] >= hours:
        _find_levels(state, close, hours)


@kernel
def _find_levels(state: Floats, close: float, hours: int) -> None:
    """The histogram of the last `hours`, and its levels."""
    starts = state[_HEAD + _SPAN : _HEAD + _SPAN + hours + 1]
    cells = state[_HEAD + _SPAN + hours + 1 :]
    weights, slots = state[_HEAD : _HEAD + _SPAN], (hours + 1) * _CELLS
    first, count = int(starts[(int(state[_CLOSED]) - hours) % (hours + 1)]), int(state[_COUNT])
    lowest, bottom, top, peak = bin_of(close) - _SPAN // 2, _SPAN, -1, 0.0
    weights[:] = 0.0
    for number in range(first, count):
        cell = number % slots * _CELL
        at = int(cells[cell]) - lowest
        if 0 <= at < _SPAN:
            weights[at] += cells[cell + 1]
            bottom, top, peak = min(bottom, at), max(top, at), max(peak, weights[at])
    state[_FLOOR], state[_PEAK] = lowest, peak
    state[POC] = state[VAH] = state[VAL] = NAN
    if peak > 0.0:
        poc, low, high = value_area(weights[bottom : top + 1], SHARE)
        state[POC] = price_at(lowest + bottom + poc + 0.5)
        state[VAH], state[VAL] = price_at(lowest + bottom + high + 1.0), price_at(lowest + bottom + low + 0.0)


@kernel
def profile(high: Floats, low: Floats, close: Floats, volume: Floats, seconds: Floats, days: int) -> Floats:
    """float64[bars, 4]: point of control, upper and lower end of the value area, share traded at the close."""
    state, out = np.zeros(_words(24 * days)), np.empty((close.size, 4))
    for i in range(close.size):
        profile_step(state, high[i], low[i], close[i], volume[i], seconds[i], days)
        out[i] = state[:4]
    return out
