"""Training never comes near a test, and tests cover the data once."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from common.model.time import NS_PER_DAY, from_datetime
from research.optimize.splits import (
    Fold,
    Period,
    Scheme,
    Span,
    holdout,
    period,
    purged_cross_validation,
    walk_forward,
)

DAYS = st.integers(0, 20_000).map(lambda day: day * NS_PER_DAY)
PERIODS = st.builds(Period, months=st.integers(1, 120)) | st.builds(Period, days=st.integers(1, 3000))
GAPS = st.integers(0, 60).map(lambda day: day * NS_PER_DAY)
MOVING = st.sampled_from([Scheme.ANCHORED, Scheme.ROLLING])


def is_sound(folds: tuple[Fold, ...], whole: Span, first_test_ns: int, gap_ns: int) -> None:
    assert [fold.number for fold in folds] == list(range(1, len(folds) + 1))
    assert folds[0].test.begin_ns == first_test_ns
    assert folds[-1].test.end_ns == whole.end_ns
    assert all(one.test.end_ns == next_.test.begin_ns for one, next_ in pairwise(folds))
    for fold in folds:
        assert fold.test.begin_ns < fold.test.end_ns
        assert fold.train
        for span in fold.train:
            assert whole.begin_ns <= span.begin_ns < span.end_ns <= whole.end_ns
            assert span.end_ns <= fold.test.begin_ns - gap_ns or span.begin_ns >= fold.test.end_ns + gap_ns


@pytest.mark.req("RES-05")
@given(DAYS, st.integers(1, 9000), PERIODS, PERIODS, GAPS, MOVING)
def test_walk_forward_tiles_the_data_and_keeps_the_gap(
    begin: int, length: int, train: Period, test: Period, gap: int, scheme: Scheme
) -> None:
    whole = Span(begin, begin + length * NS_PER_DAY)
    try:
        folds = walk_forward(whole, train=train, test=test, gap_ns=gap, scheme=scheme)
    except ConfigError:
        # Too short for a first test, or purge and embargo take what there was to learn from.
        assert train.after(begin) >= whole.end_ns or gap >= train.after(begin) - begin - 5 * NS_PER_DAY
        return
    is_sound(folds, whole, train.after(begin), gap)
    assert all(span.end_ns == fold.test.begin_ns - gap for fold in folds for span in fold.train)
    if scheme is Scheme.ANCHORED:
        assert {fold.train[0].begin_ns for fold in folds} == {begin}
    else:
        assert [fold.train[0].begin_ns for fold in folds] == [test.after(begin, k) for k in range(len(folds))]


@pytest.mark.req("RES-05")
@given(DAYS, st.integers(30, 9000), st.integers(2, 12), GAPS)
def test_cross_validation_trains_on_both_sides_but_for_the_gaps(begin: int, length: int, number: int, gap: int) -> None:
    whole = Span(begin, begin + length * NS_PER_DAY)
    try:
        folds = purged_cross_validation(whole, folds=number, gap_ns=gap)
    except ConfigError:
        assert gap >= length * NS_PER_DAY // number * ((number - 1) // 2)
        return
    is_sound(folds, whole, begin, gap)
    assert len(folds) == number


@pytest.mark.req("RES-05")
@given(DAYS, st.integers(40, 9000), st.floats(0.05, 0.9), GAPS)
def test_what_is_held_out_is_the_end(begin: int, length: int, fraction: float, gap: int) -> None:
    whole = Span(begin, begin + length * NS_PER_DAY)
    try:
        fold = holdout(whole, fraction=fraction, gap_ns=gap)
    except ConfigError:
        assert gap >= length * (1 - fraction) * NS_PER_DAY - 2 * NS_PER_DAY
        return
    is_sound((fold,), whole, fold.test.begin_ns, gap)
    share = (fold.test.end_ns - fold.test.begin_ns) / (length * NS_PER_DAY)
    assert abs(share - fraction) <= 1 / length + 1e-9


def ns(*date: int) -> int:
    return from_datetime(datetime(*date, tzinfo=UTC))


def test_months_follow_the_calendar() -> None:
    assert Period(months=1).after(ns(2023, 1, 31)) == ns(2023, 2, 28)
    assert Period(months=13).after(ns(2023, 1, 31)) == ns(2024, 2, 29)
    assert Period(months=12).after(ns(1999, 1, 4), 27) == ns(2026, 1, 4)
    assert Period(months=1).after(ns(2023, 12, 5, 17, 30)) == ns(2024, 1, 5, 17, 30)
    assert Period(days=7).after(ns(2024, 2, 26)) == ns(2024, 3, 4)


@pytest.mark.parametrize(
    ("text", "length"),
    [("8y", Period(months=96)), ("18m", Period(months=18)), ("6w", Period(days=42)), ("90d", Period(days=90))],
)
def test_lengths_are_written_with_a_unit(text: str, length: Period) -> None:
    assert period("--train", text) == length


@pytest.mark.parametrize("text", ["", "8", "y", "0y", "-1y", "1.5y", "8 years", "999999d"])
def test_another_length_is_refused_by_option_value_and_expectation(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"^--train {text}: expected a length such as 8y"):
        period("--train", text)
