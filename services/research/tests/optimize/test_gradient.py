"""Gradient ascent stays in the box, never ends worse than it began, and finds the top of a smooth hill."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.optimize.gradient import climb

Point = np.ndarray


def ascend(
    start: Point, value: Callable[[Point], float | None], grains: Point, most: int = 5000
) -> tuple[Point, list[Point]]:
    """(end, all that was asked)."""
    first = value(start)
    assert first is not None
    ascent, asked = climb(start, first, grains), []
    wanted = next(ascent)
    while len(asked) < most:
        asked += wanted
        try:
            wanted = ascent.send([value(point) for point in wanted])
        except StopIteration as end:
            return end.value, asked
    raise AssertionError("does not end")


@st.composite
def hills(draw: st.DrawFn) -> tuple[Point, Point, Point]:
    size = draw(st.integers(1, 5))
    corner = st.lists(st.floats(0, 1), min_size=size, max_size=size).map(np.array)
    steep = st.lists(st.floats(0.3, 3), min_size=size, max_size=size).map(np.array)
    return draw(corner), draw(corner), draw(steep)


@pytest.mark.req("RES-05")
@settings(max_examples=50, deadline=None)
@given(hills())
def test_the_top_of_a_concave_hill_is_found(hill: tuple[Point, Point, Point]) -> None:
    start, top, steep = hill

    def value(point: Point) -> float:
        return -float(np.sum(steep * (point - top) ** 2))

    end, asked = ascend(start, value, np.zeros(start.size))
    assert all(((point >= 0) & (point <= 1)).all() for point in asked)
    assert value(end) >= value(start)
    assert np.abs(end - top).max() < 0.1


@pytest.mark.req("RES-05")
@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_noise_failures_and_steps_never_make_it_worse_or_endless(seed: int, size: int) -> None:
    found: dict[bytes, float | None] = {}
    rng = np.random.default_rng(seed)

    def value(point: Point) -> float | None:
        return found.setdefault(point.tobytes(), None if found and rng.random() < 0.3 else float(rng.normal()))

    start = rng.random(size)
    end, asked = ascend(start, value, np.full(size, 0.1))
    best = max(known for known in found.values() if known is not None)
    assert found[end.tobytes()] == best or end.tobytes() == start.tobytes()
    assert all(((point >= 0) & (point <= 1)).all() for point in asked)


def test_where_everything_else_fails_it_stays() -> None:
    start = np.array([0.5, 0.5])
    end, asked = ascend(start, lambda point: 1.0 if (point == start).all() else None, np.zeros(2))
    assert (end == start).all()
    assert len(asked) < 50
