"""Local search: projected gradient ascent by finite differences in the unit cube, from the best point known.

Pure: a generator that asks for values of points and is sent them. What is noisy or stepwise, as backtests are, has no true
gradient; the differences are therefore wide (`width`, and never under a parameter's grain), and a step is only taken when
it is better. It ends at a point no worse than its start, which need not be a maximum.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Point = NDArray[np.float64]
Values = Sequence[float | None]
Climb = Generator[list[Point], Values, Point]

FINEST: Final = 0.005  # of a range: below, the differences of two backtests say nothing
_TRIES: Final = 4


def climb(start: Point, value: float, grains: Point, *, width: float = 0.08, stride: float = 0.2) -> Climb:
    """Yields points whose values it wants, larger being better, None for one that failed; returns the best.

    `grains` are the smallest steps of the coordinates, 0 for continuous ones. All points lie in [0, 1]; those of one list
    do not depend on each other's values.
    """
    best, best_value = np.clip(start, 0.0, 1.0), value
    while width >= FINEST:
        probes = _probes(best, np.maximum(width, grains))
        values = yield [point for pair in probes for point in pair]
        slope = _slope(probes, values, best_value)
        sharpest = float(np.max(np.abs(slope), initial=0.0))
        moved = False
        if sharpest > 0.0:
            steps = [np.clip(best + slope / sharpest * stride * 0.5**k, 0.0, 1.0) for k in range(_TRIES)]
            values = [*values, *(yield steps)]
        else:
            steps = []
        tried = [point for pair in probes for point in pair] + steps
        for point, found in zip(tried, values, strict=True):
            if found is not None and found > best_value:
                best, best_value, moved = point, found, True
        if not moved:
            width, stride = width / 2, stride / 2
    return best


def _probes(at: Point, widths: Point) -> list[tuple[Point, Point]]:
    """Per coordinate a point below and one above."""
    pairs = []
    for axis, width in enumerate(widths):
        low, high = at.copy(), at.copy()
        low[axis], high[axis] = max(0.0, at[axis] - width), min(1.0, at[axis] + width)
        pairs.append((low, high))
    return pairs


def _slope(probes: Sequence[tuple[Point, Point]], values: Values, here: float) -> Point:
    """Central differences; a probe that failed counts as no better than here."""
    slope = np.zeros(len(probes))
    for axis, (low, high) in enumerate(probes):
        below, above = values[2 * axis], values[2 * axis + 1]
        reach = high[axis] - low[axis]
        if reach > 0.0:
            slope[axis] = ((here if above is None else above) - (here if below is None else below)) / reach
    return slope
