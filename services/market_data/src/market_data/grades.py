"""The grades of data, from A to F: as good as the worst of what is missing, what was refused, and what stands still."""

from __future__ import annotations

from typing import Final, NamedTuple


class Bounds(NamedTuple):
    """What a grade asks for: shares of expected bars that are there, of rows that were refused, of bars that stand still."""

    complete_at_least: float
    refused_at_most: float
    stale_at_most: float


# From the best; what fits none of them is the worst.
BOUNDS: Final = {
    "A": Bounds(0.999, 0.0001, 0.001),
    "B": Bounds(0.99, 0.001, 0.01),
    "C": Bounds(0.95, 0.01, 0.05),
    "D": Bounds(0.80, 0.10, 0.20),
}
WORST: Final = "F"
GRADES: Final = (*BOUNDS, WORST)


def grade(completeness: float | None, refused_share: float, stale_share: float) -> str:
    """A letter of `GRADES`. None, where no calendar says what should be there, lacks nothing."""
    complete = 1.0 if completeness is None else completeness
    for letter, bounds in BOUNDS.items():
        fits = complete >= bounds.complete_at_least and refused_share <= bounds.refused_at_most
        if fits and stale_share <= bounds.stale_at_most:
            return letter
    return WORST
