"""Levels of a volume profile: where most was traded, and the narrowest range that holds most of it (SIG-08).

Plain Python, so that a page may use it; `common.quant.profile` compiles the same source.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, floor, log
from typing import Final, NamedTuple

BIN: Final = 0.001  # of the price: bin n holds prices from 1.001 ** n to just below 1.001 ** (n + 1)
SHARE: Final = 0.7  # of the volume that the value area holds
LOG_BIN: Final = log(1.0 + BIN)


class Levels(NamedTuple):
    """Prices: point of control (the middle of its bin), and the outer edges of the value area."""

    poc: float
    vah: float
    val: float


def bin_of(price: float) -> int:
    """The number of the bin that holds a price above zero."""
    return floor(log(price) / LOG_BIN)


def price_at(place: float) -> float:
    """The price at a place on the scale of bins: n is the lower edge of bin n, n + 0.5 its middle."""
    return exp(place * LOG_BIN)


def value_area(weights: Sequence[float], share: float) -> tuple[int, int, int]:
    """(point of control, first and last bin of the value area), as indexes of `weights`, volumes of contiguous bins.

    The point of control is the bin with the largest volume, the lowest of several. The value area is the shortest run of bins
    that holds it and at least `share` of the volume; of several that with more volume, then the lower. `weights` are not
    negative, at least one is positive.
    """
    count = len(weights)
    below = [0.0] * (count + 1)
    poc = 0
    for i in range(count):
        below[i + 1] = below[i] + weights[i]
        if weights[i] > weights[poc]:
            poc = i
    wanted = share * below[count]
    low, high, most = 0, count - 1, -1.0
    end = poc
    for start in range(poc + 1):
        while end < count and below[end + 1] - below[start] < wanted:
            end += 1
        if end == count:
            break
        held = below[end + 1] - below[start]
        if most < 0.0 or end - start < high - low or (end - start == high - low and held > most):
            low, high, most = start, end, held
    return poc, low, high


def levels(first_bin: int, weights: Sequence[float], share: float = SHARE) -> Levels | None:
    """The levels of a profile whose bins begin with number `first_bin`; None where nothing was traded."""
    if not any(weight > 0.0 for weight in weights):
        return None
    poc, low, high = value_area(weights, share)
    return Levels(price_at(first_bin + poc + 0.5), price_at(first_bin + high + 1), price_at(first_bin + low))
