"""Labels after the fact follow their published rules."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from research.regimes import labels
from research.regimes.labels import UNKNOWN, Turn
from research.regimes.worlds import BEAR, BULL, SIDEWAYS

UP, DOWN = 0.20, 0.15
walks = st.lists(st.sampled_from((-0.09, -0.05, -0.02, 0.0, 0.03, 0.06, 0.1)), min_size=1, max_size=120)
codes = st.lists(st.sampled_from((0, 1, UNKNOWN)), min_size=1, max_size=40)


def walk(steps: list[float]) -> NDArray[np.float64]:
    return np.cumsum([0.0, *steps])


@pytest.mark.req("REG-09")
def test_a_peak_and_a_trough_are_found_once_they_are_confirmed() -> None:
    path = np.array([0.0, -0.1, 0.05, 0.3, 0.25, 0.1, 0.0, 0.1, 0.19])
    assert labels.turning_points(path, UP, DOWN) == [Turn(1, -1), Turn(3, 1)]  # the fall to 0 has risen by 0.19 only


@pytest.mark.req("REG-09")
@given(walks)
def test_turning_points_alternate_and_are_extremes_that_enough_follows(steps: list[float]) -> None:
    path = walk(steps)
    turns = labels.turning_points(path, UP, DOWN)
    for begin, end in pairwise(turns):
        assert begin.direction == -end.direction
        phase = path[begin.bar : end.bar + 1] * end.direction
        assert phase[-1] == phase.max()
        assert phase[0] == phase.min()
        assert phase[-1] - phase[0] >= (UP if end.direction == 1 else DOWN) - 1e-12
        against = DOWN if end.direction == 1 else UP
        assert (np.maximum.accumulate(phase) - phase).max() < against  # nothing inside would have ended it


@pytest.mark.req("REG-09")
@given(walks)
def test_a_phase_is_named_by_where_it_went_and_sideways_where_that_was_not_far(steps: list[float]) -> None:
    path = walk(steps)
    found = labels.trends(path, UP, DOWN, weak=1.5)
    turns = labels.turning_points(path, UP, DOWN)
    assert (found[: turns[0].bar + 1] == UNKNOWN).all() if turns else (found == UNKNOWN).all()
    for begin, end in pairwise(turns):
        moved, name = path[end.bar] - path[begin.bar], set(found[begin.bar + 1 : end.bar + 1].tolist())
        strong = moved >= 1.5 * UP if moved > 0 else -moved >= 1.5 * DOWN
        assert name == ({BULL if moved > 0 else BEAR} if strong else {SIDEWAYS})


@pytest.mark.req("REG-09")
@pytest.mark.parametrize("bars", [1, 2, 500])
def test_what_does_not_move_has_no_trend(bars: int) -> None:
    assert (labels.trends_by_deviation(np.full(bars, 0.7), 24.0) == UNKNOWN).all()


@pytest.mark.req("REG-09")
def test_the_bear_market_of_2007_to_2009_has_its_published_dates(shared_data: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(shared_data / "equities/etf_daily/SPY_D1_2000-2018.parquet")
    log_close = np.log(frame["close"].to_numpy())
    turns = labels.turning_points(log_close, np.log(1.2), -np.log(0.8))
    days = {str(frame["timestamp"].iloc[turn.bar])[:10]: turn.direction for turn in turns}
    # S&P Dow Jones Indices: peak on 2007-10-09, trough on 2009-03-09.
    assert days.get("2007-10-09") == 1
    assert days.get("2009-03-09") == -1


@pytest.mark.req("REG-09")
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60), st.integers(1, 9))
def test_realized_variance_is_the_mean_of_the_squares_around(moves: list[float], window: int) -> None:
    found = labels.realized(np.array(moves), window)
    for i, value in enumerate(found.tolist()):
        around = moves[max(0, i - window // 2) : i + (window + 1) // 2]
        assert value == pytest.approx(np.mean(np.square(around)), abs=1e-12)


@pytest.mark.req("REG-09")
def test_a_third_of_the_time_is_stressed() -> None:
    moves = np.random.Generator(np.random.PCG64(1)).standard_normal(3_000)
    assert labels.stress(moves, 50).mean() == pytest.approx(1 / 3, abs=0.001)


@pytest.mark.req("REG-06")
@given(
    st.lists(st.tuples(st.sampled_from((0, 1, 2, UNKNOWN)), st.sampled_from((0, 1, UNKNOWN))), max_size=40),
    st.integers(1, 6),
)
def test_a_change_ahead_is_one_of_a_label_that_is_known_all_the_way(pairs: list[tuple[int, int]], bars: int) -> None:
    trend, stressed = (np.array([pair[i] for pair in pairs], np.int8) for i in (0, 1))
    found = labels.changes_within(trend, stressed, bars)
    kinds = [code for code in (trend, stressed) if (code != UNKNOWN).any()]
    for i, value in enumerate(found.tolist()):
        seen = [code[i : i + bars + 1] for code in kinds]
        if not seen or i + bars >= len(pairs) or any((code == UNKNOWN).any() for code in seen):
            assert np.isnan(value)
        else:
            assert value == any((code != code[0]).any() for code in seen)


@pytest.mark.req("REG-09")
@given(codes)
def test_a_label_changes_where_both_sides_are_known(given_codes: list[int]) -> None:
    found = labels.changes(np.array(given_codes, np.int8)).tolist()
    expected = [i for i, (a, b) in enumerate(pairwise(given_codes), start=1) if a != b and UNKNOWN not in {a, b}]
    assert found == expected
