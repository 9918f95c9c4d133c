"""How fast a venue is asked, and how long we wait before we ask again: laws that hold at any time and in any order of events."""

from __future__ import annotations

from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.time import NS_PER_SECOND, to_datetime
from market_data.adapters.retry import LONGEST_S, Backoff, retry_after_s
from market_data.backfill.response_times import ResponseTimes
from market_data.backfill.token_bucket import TokenBucket

pytestmark = pytest.mark.req("MKT-05")

buckets = st.integers(2, 60).flatmap(
    lambda limit: st.builds(
        TokenBucket, limit=st.just(limit), window_ns=st.integers(1, 10**6), burst=st.integers(1, limit - 1)
    )
)


def sent(bucket: TokenBucket, asked: list[int]) -> list[int]:
    """When the requests go out that come `asked` ns one after the other, each as soon as it may."""
    now, times = 0, []
    for gap in asked:
        now += gap
        now += bucket.wait_ns(now)
        bucket.take(now)
        times.append(now)
    return times


def most_in_a_window(times: list[int], window_ns: int) -> int:
    """In the fullest window, both of its ends counted in."""
    return max(sum(start <= at <= start + window_ns for at in times) for start in times)


@given(buckets, st.lists(st.integers(0, 10**5), min_size=1, max_size=200))
def test_no_window_holds_more_than_the_limit_wherever_it_begins(bucket: TokenBucket, asked: list[int]) -> None:
    assert most_in_a_window(sent(bucket, asked), bucket.window_ns) <= bucket.limit


@given(buckets)
def test_no_more_than_the_burst_goes_out_at_once(bucket: TokenBucket) -> None:
    times = sent(bucket, [0] * (bucket.burst + 5))
    assert times.count(0) == bucket.burst


@given(buckets)
def test_who_always_asks_gets_the_whole_refill(bucket: TokenBucket) -> None:
    times = sent(bucket, [0] * 300)
    assert times[-1] == (300 - bucket.burst) * bucket.token_ns


@given(buckets, st.lists(st.tuples(st.integers(0, 10**5), st.integers(0, 10**6)), min_size=1, max_size=50))
def test_nothing_goes_out_during_a_pause_and_the_limit_holds_after_it(
    bucket: TokenBucket, asked: list[tuple[int, int]]
) -> None:
    now, times = 0, []
    for gap, pause in asked:
        now += gap
        bucket.pause(now, pause)
        before = now
        now += bucket.wait_ns(now)
        bucket.take(now)
        times.append(now)
        assert now >= before + pause
    assert most_in_a_window(times, bucket.window_ns) <= bucket.limit


@pytest.mark.parametrize("burst", [0, 10, 11])
def test_a_burst_must_leave_something_to_refill(burst: int) -> None:
    with pytest.raises(ValueError, match="burst"):
        TokenBucket(limit=10, window_ns=1, burst=burst)


# --- pauses ------------------------------------------------------------------------------------------------------------
@given(st.text(max_size=8), st.integers(0, 2**63), st.integers(1, 500), st.floats(0, 100))
def test_a_pause_grows_to_its_cap_with_a_share_of_chance_and_is_the_same_twice(
    key: str, seed: int, failures: int, at_least: float
) -> None:
    backoff = Backoff(key=key, seed=seed, base_s=0.5, cap_s=30.0)
    longest = min(0.5 * 2.0 ** (failures - 1), 30.0)
    pause = backoff.pause_s(failures)
    assert longest / 2 <= pause < longest
    assert backoff.pause_s(failures) == pause
    assert backoff.pause_s(failures, at_least) == max(pause, at_least)


def test_feeds_that_fall_together_do_not_come_back_together() -> None:
    pauses = {Backoff(key=f"feed{n}", seed=1).pause_s(3) for n in range(50)}
    assert len(pauses) == 50


NOW_NS = 1_700_000_000 * NS_PER_SECOND


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0.25", 0.25),
        (format_datetime(to_datetime(NOW_NS + 90 * NS_PER_SECOND), usegmt=True), 90.0),
        (format_datetime(to_datetime(NOW_NS - 90 * NS_PER_SECOND), usegmt=True), 0.0),
        ("-5", 0.0),
        ("inf", 0.0),
        ("nan", 0.0),
        ("1e9", LONGEST_S),
        ("soon", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float) -> None:
    assert retry_after_s(value, NOW_NS) == seconds


@given(st.text(max_size=40))
def test_no_retry_after_is_an_error_or_endless(value: str) -> None:
    assert 0 <= retry_after_s(value, NOW_NS) <= LONGEST_S


# --- response times ----------------------------------------------------------------------------------------------------
@given(st.lists(st.floats(0, 10**5), min_size=1, max_size=100), st.floats(0.01, 1))
def test_a_quantile_is_never_below_the_answers_it_stands_for(answers: list[float], share: float) -> None:
    times = ResponseTimes()
    for ms in answers:
        times.record(ms)
    bound = times.quantile_ms(share)
    assert bound is not None
    assert sum(ms <= bound for ms in answers) >= share * len(answers) - 1e-9
    assert bound <= max(answers)


def test_without_an_answer_there_is_no_response_time() -> None:
    assert ResponseTimes().summary() == {
        "answers": 0, "mean_ms": None, "p50_ms": None, "p99_ms": None, "max_ms": None, "within_ms": {},
    }  # fmt: skip
