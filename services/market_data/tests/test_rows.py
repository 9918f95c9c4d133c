"""Rows of files in whatever order reach validation so that the fewest are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data.feed import RawBar
from market_data.feeds.files import NO_TIME
from market_data.feeds.rows import CHUNK, Rows, arrivals, merge, pieces, splice, within


def rows_at(*times: int, close: float = 1.0) -> Rows:
    ts = np.array(times, dtype=np.int64)
    values = dict.fromkeys(("open", "high", "low", "close"), np.full(ts.size, close))
    return Rows(RawBar, ts, arrivals(ts, repeats=False), values)


@pytest.mark.req("MKT-03")
@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1, 2, 2, 3], [1, 2, 2, 3]),  # a duplicate arrives where its twin does
        ([1, 3, 2, 4], [1, 1, 2, 4]),  # one of two that changed places is misplaced
        ([9, 2, 3, 4], [2, 2, 3, 4]),  # one row from the future does not push out all that follow
        ([1, 2, 3, 0], [1, 2, 3, 3]),
        ([NO_TIME, 1, NO_TIME, 2], [1, 1, 1, 2]),
    ],
)
def test_misplaced_rows_arrive_with_the_row_before_them(times: list[int], expected: list[int]) -> None:
    assert arrivals(np.array(times, dtype=np.int64), repeats=False).tolist() == expected


@pytest.mark.req("MKT-03")
@given(st.lists(st.integers(0, 40), min_size=1, max_size=40))
def test_arrivals_never_fall_and_any_rising_run_of_rows_is_no_longer_than_what_is_kept(times: list[int]) -> None:
    arrival = arrivals(np.array(times, dtype=np.int64), repeats=False).tolist()
    assert arrival == sorted(arrival)
    longest: list[int] = []
    for i, time in enumerate(times):
        longest.append(1 + max((longest[j] for j in range(i) if times[j] < time), default=0))
    assert len(set(arrival)) == max(longest)


@pytest.mark.req("MKT-01")
@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=30), min_size=1, max_size=4))
def test_merging_hands_over_every_row_once_in_time_order_and_instrument_order(gaps: list[list[int]]) -> None:
    series = [(f"I{i}", rows_at(*np.cumsum(one).tolist())) for i, one in enumerate(gaps)]
    steps = list(merge(series))
    assert [step.ts_event for step in steps] == sorted({step.ts_event for step in steps})
    assert all(
        [row.instrument_id for row in step.rows] == sorted(row.instrument_id for row in step.rows) for step in steps
    )
    handed = sorted((row.instrument_id, row.ts) for step in steps for row in step.rows)
    assert handed == sorted((name, ts) for name, rows in series for ts in rows.ts.tolist())


def test_merging_is_the_same_across_chunks() -> None:
    long, short = rows_at(*range(1, 3 * CHUNK + 5)), rows_at(CHUNK, CHUNK + 1, 3 * CHUNK + 9)
    steps = list(merge([("LONG", long), ("SHORT", short)]))
    assert [step.ts_event for step in steps] == [*range(1, 3 * CHUNK + 5), 3 * CHUNK + 9]
    assert sum(len(step.rows) for step in steps) == long.ts.size + short.ts.size


@pytest.mark.req("MKT-01")
def test_a_less_preferred_file_fills_only_what_lies_outside() -> None:
    best, second, third = rows_at(5, 7, close=1.0), rows_at(1, 6, 9, close=2.0), rows_at(0, 3, 8, 12, close=3.0)
    spliced = splice(pieces([best, second, third]))
    assert list(zip(spliced.ts.tolist(), spliced.values["close"].tolist(), strict=True)) == [
        (0, 3.0),
        (1, 2.0),
        (5, 1.0),
        (7, 1.0),
        (9, 2.0),
        (12, 3.0),
    ]


@pytest.mark.req("MKT-01")
def test_a_bar_belongs_to_the_span_in_which_it_closes() -> None:
    assert within(rows_at(1, 2, 3, 4), 1, 3).ts.tolist() == [2, 3]
    assert within(rows_at(1, 2), None, None).ts.tolist() == [1, 2]
    assert within(rows_at(1, 2), 5, None).ts.tolist() == []
