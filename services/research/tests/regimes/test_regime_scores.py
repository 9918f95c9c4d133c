"""Scores mean what they are called."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.regimes import scores
from research.regimes.scores import Verdicts

NONE = -1


def verdicts(truth: list[int], said: list[int]) -> Verdicts:
    return Verdicts(np.array(truth, np.int8), np.array(said, np.int8))


@pytest.mark.req("REG-09")
def test_a_confusion_counts_verdicts_by_label_and_none_in_the_last_column() -> None:
    table = scores.confusion([verdicts([0, 0, 1, 2, NONE], [0, 1, 1, NONE, 2])], 3)
    assert table.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert scores.accuracy(table) == 0.5
    assert scores.balanced_accuracy(table) == pytest.approx((0.5 + 1.0 + 0.0) / 3)
    assert scores.best_constant(table) == 0.5


@pytest.mark.req("REG-09")
def test_without_labels_there_is_no_accuracy() -> None:
    table = scores.confusion([verdicts([NONE], [0])], 2)
    assert (scores.accuracy(table), scores.balanced_accuracy(table), scores.best_constant(table)) == (None, None, None)
    assert scores.accuracy_interval([verdicts([NONE], [0])], 5, np.random.Generator(np.random.PCG64(0))) is None


@pytest.mark.req("REG-09")
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=200), st.integers(1, 30))
def test_accuracy_lies_in_its_interval_which_is_a_point_where_all_is_right(
    pairs: list[tuple[int, int]], block: int
) -> None:
    truth, said = ([pair[i] for pair in pairs] for i in (0, 1))
    luck = np.random.Generator(np.random.PCG64(0))
    found = scores.accuracy_interval([verdicts(truth, said)], block, luck)
    assert found is not None
    assert found.value == pytest.approx(np.mean(np.equal(truth, said)))
    right = scores.accuracy_interval([verdicts(truth, truth)], block, luck)
    if len(pairs) < 2 * block:  # one block is no reason to be sure
        assert (found.low, found.high, right) == (None, None, scores.Interval(1.0, None, None))
        return
    assert found.low is not None
    assert found.high is not None
    assert 0.0 <= found.low <= found.high <= 1.0
    assert right == scores.Interval(1.0, 1.0, 1.0)


@pytest.mark.req("REG-09")
def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of independent verdicts that are right 70 % of the time."""
    rng = np.random.Generator(np.random.PCG64(1))
    held = 0
    for _ in range(200):
        right = (rng.random(400) < 0.7).astype(np.int8)
        found = scores.accuracy_interval([Verdicts(np.ones(400, np.int8), right)], 10, rng)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.7 <= found.high
    assert 0.88 <= held / 200 <= 0.99


@pytest.mark.req("REG-09")
def test_delay_is_the_time_until_the_verdict_is_the_new_label() -> None:
    found = scores.delay([verdicts([0, 0, 1, 1, 1, 0, 0, 1], [0, 0, 0, 0, 1, 0, 0, 0])])
    assert (found.changes, found.median) == (3, 1.0)  # after two bars, at once, and never
    assert found.found == pytest.approx(2 / 3)
    none = scores.delay([verdicts([0, 0], [0, 0])])
    assert (none.changes, none.found, none.median) == (0, None, None)


@pytest.mark.req("REG-09")
def test_brier_scores_of_known_forecasts() -> None:
    happened = np.array([1.0, 0.0, 0.0, 0.0, np.nan])
    perfect = scores.calibration(happened, happened)
    usual = scores.calibration(np.full(5, 0.25), happened)
    assert perfect is not None
    assert usual is not None
    assert (perfect.brier, perfect.skill, perfect.count) == (0.0, 1.0, 4)
    assert usual.brier == pytest.approx(0.25 * 0.75)
    assert usual.skill == pytest.approx(0.0)
    assert usual.base_rate == 0.25
    assert [(one.forecast, one.observed, one.count) for one in usual.reliability] == [(0.25, 0.25, 4)]
    assert scores.calibration(np.full(2, np.nan), np.ones(2)) is None


@pytest.mark.req("REG-09")
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_bins_of_a_reliability_table_hold_every_forecast_once(given_pairs: list[tuple[float, bool]]) -> None:
    said, came = (np.array([float(pair[i]) for pair in given_pairs]) for i in (0, 1))
    found = scores.calibration(said, came)
    assert found is not None
    assert sum(one.count for one in found.reliability) == said.size
    assert sum(one.count * one.observed for one in found.reliability) == pytest.approx(came.sum())
    assert found.brier == pytest.approx(np.mean((said - came) ** 2))


@pytest.mark.req("REG-09")
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0, 1))
def test_a_level_gives_no_more_false_alarms_than_asked_for_and_none_lower_does(
    levels: list[float], rate: float
) -> None:
    score, quiet = np.array(levels), np.ones(len(levels), bool)
    if int(rate * score.size) == score.size:
        rate = 0.99 * rate
    level = scores.threshold_at([score], [quiet], rate)
    assert np.mean(score >= level) <= rate
    lower = score[score < level].max()
    assert np.mean(score >= lower) > rate


@pytest.mark.req("REG-09")
def test_without_a_quiet_bar_nothing_is_an_alarm() -> None:
    assert scores.threshold_at([np.ones(3)], [np.zeros(3, bool)], 0.1) == float("inf")


@pytest.mark.req("REG-09")
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), min_size=4, max_size=60),
    st.integers(1, 5),
)
def test_flags_counted_one_by_one(rows: list[tuple[float, bool, bool]], horizon: int) -> None:
    score = np.array([row[0] for row in rows])
    shifts = np.flatnonzero([row[1] for row in rows])
    quiet = np.array([row[2] for row in rows])
    found = scores.flagged([score], [shifts], [quiet], horizon, 0.5)
    judged = [shift for shift in shifts.tolist() if shift >= horizon]
    hit = [any(score[i] >= 0.5 for i in range(shift - horizon, shift)) for shift in judged]
    whole = [i for i in range(len(rows) - horizon + 1) if quiet[i : i + horizon].all()]
    lucky = [bool((score[i : i + horizon] >= 0.5).any()) for i in whole]
    assert found.shifts == len(judged)
    assert found.share == (pytest.approx(np.mean(hit)) if hit else None)
    assert found.by_chance == (pytest.approx(np.mean(lucky)) if lucky else None)
    assert found.false_alarms == (pytest.approx(np.mean(score[quiet] >= 0.5)) if quiet.any() else None)


@pytest.mark.req("REG-09")
def test_a_probability_that_is_not_known_yet_is_no_alarm() -> None:
    score = np.array([np.nan, np.nan, 0.9, 0.1, 0.1])
    found = scores.flagged([score], [np.array([1, 4])], [np.ones(5, bool)], 1, 0.5)
    assert (found.shifts, found.share) == (1, 0.0)
    assert found.false_alarms == pytest.approx(1 / 3)
