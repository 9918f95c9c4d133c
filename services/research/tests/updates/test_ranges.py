"""Which values are allowed, and the way there in steps that are small enough."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ballast_cli.configuration import effective
from common.errors import ConfigError
from common.runtime.settings import profile_names
from research.updates.course import current
from research.updates.ranges import MOST_STEPS, Range, Target, check, load, path, range_of, targets

pytestmark = pytest.mark.req("RES-06")

RISK, FAST = "portfolio.risk_per_trade", "signals.params.sma_cross_20_50.NORMAL.fast"
RANGES = {**load(), "portfolio.exits.enabled": Range(choices=(False, True))}
floats = st.floats(0.0005, 0.005)
whole = st.integers(5, 60)


def moving(key: str, before: float | bool, after: float | bool) -> Target:
    return Target(key=key, before=before, after=after)


@given(floats, floats, whole, whole, st.integers(1, MOST_STEPS))
def test_every_step_stays_between_its_ends_goes_one_way_and_is_small_enough(
    before: float, after: float, fast: int, then: int, steps: int
) -> None:
    assume(before != after or fast != then)
    way = (moving(RISK, before, after), moving(FAST, fast, then))
    check(way, RANGES)
    try:
        taken = path(way, RANGES, steps)
    except ConfigError:
        return  # too far: said so
    levels = [{target.key: target.before for target in way}, *taken]
    assert levels[-1] == {target.key: target.after for target in way}
    assert 1 <= len(taken) <= MOST_STEPS
    for target in way:
        values = [level[target.key] for level in levels]
        assert values in (sorted(values), sorted(values, reverse=True))
        assert all(type(value) is type(target.before) for value in values)
        assert all(not range_of(target.key, RANGES).refusal(value) for value in values)
    for one, other in pairwise(levels):
        assert one != other
        for key in (RISK, FAST):
            start, end = one[key], other[key]
            assert isinstance(start, int | float)
            assert isinstance(end, int | float)
            assert abs(end - start) <= max(0 if key == RISK else 1, 0.25 * start * (1 + 1e-6))


def test_four_even_steps_are_a_quarter_of_the_way_each() -> None:
    (*way, _) = path([moving(RISK, 0.002, 0.0024)], RANGES, 4)
    assert [step[RISK] for step in way] == pytest.approx([0.0021, 0.0022, 0.0023])


def test_more_steps_are_taken_where_the_range_asks_for_them() -> None:
    assert len(path([moving(RISK, 0.002, 0.004)], RANGES, 1)) == 4  # from 2 to 2.5: a quarter


def test_near_whole_numbers_need_fewer_steps() -> None:
    assert path([moving(FAST, 20, 22)], RANGES, 4) == ({FAST: 21}, {FAST: 22})


def test_what_is_no_number_changes_with_the_last_step() -> None:
    way = path([moving("portfolio.exits.enabled", False, True), moving(FAST, 20, 24)], RANGES, 4)
    assert [step["portfolio.exits.enabled"] for step in way] == [False, False, False, True]


@pytest.mark.parametrize(
    ("key", "before", "after", "complaint"),
    [
        (RISK, 0.002, 0.02, r"0.02: expected 0.0005 to 0.005"),
        (RISK, 0.02, 0.004, r"0.02 \(what it is now\): expected"),
        (RISK, 0.002, float("nan"), "finite"),
        (FAST, 20, 25.5, "expected a value like 20"),
        (FAST, 20, True, "expected a value like 20"),
        ("portfolio.exits.enabled", False, 1, "expected a value like False"),
        ("risk_guardian.limits.max_drawdown", 0.15, 0.5, "may not be changed"),
        ("account.starting_cash", 1.0, 2.0, "may not be changed"),
    ],
)
def test_what_is_not_allowed_is_refused_with_key_value_and_expectation(
    key: str, before: float, after: float, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint) as refused:
        check([moving(key, before, after)], RANGES)
    assert key in str(refused.value)


def test_a_way_too_far_for_twenty_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="too far"):
        path([moving("x", 0.001, 1.0)], {"x": Range(low=0, high=1, largest_step=0.1)}, 4)


def test_only_what_differs_moves_and_2_does_for_2_0() -> None:
    assert targets({RISK: 2.0, FAST: 20}, {RISK: 2, FAST: 21}) == (moving(FAST, 20, 21),)
    with pytest.raises(ConfigError, match="no value differs"):
        check(targets({RISK: 2.0}, {RISK: 2}), RANGES)


@pytest.mark.parametrize("profile", profile_names())
def test_what_every_profile_has_now_is_inside_the_shipped_ranges(profile: str) -> None:
    config, ranges = effective(profile), load()
    named = [key for key in ranges if "*" not in key]
    strategies = [f"signals.params.sma_cross_20_50.NORMAL.{name}" for name in ("fast", "slow")]
    now = current(config, dict.fromkeys((*named, *strategies), 0), ranges)
    assert {key: range_of(key, ranges).refusal(value) for key, value in now.items()} == dict.fromkeys(now, "")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[a]\nlow = 2\nhigh = 1\nlargest_step = 0.1", "low < high"),
        ("[a]\nlow = 2\nhigh = 3", "largest_step"),
        ("[a]\nlow = 2\nhigh = 3\nlargest_step = 0", "largest_step"),
        ("[a]\nchoices = [1]\nlow = 2", "either"),
        ("[a", "TOML"),
    ],
)
def test_a_wrong_file_of_ranges_names_the_file_and_what_was_expected(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "ranges.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=complaint) as refused:
        load(file)
    assert str(file) in str(refused.value)
