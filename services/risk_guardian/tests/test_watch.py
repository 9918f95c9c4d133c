"""When the measures are said: at once when the book changes, else after a while that is neither short in time nor in steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from common.messages import RiskMeasured

DAY = 24


def measured(guard: Any) -> list[int]:
    return [each.step for each in guard.noted if isinstance(each, RiskMeasured)]


@pytest.mark.req("RSK-03")
def test_measures_of_a_book_that_stays_are_said_every_fifth_daily_bar(guard: Callable[..., Any], wide: Any) -> None:
    watched = guard(**wide)
    watched.hold(1000)
    for _ in range(12):
        watched.hour(hours=DAY, eur=1.1, yen=110.0)
    assert measured(watched) == [2, 7, 12]


@pytest.mark.req("RSK-03")
def test_measures_are_said_at_the_next_step_when_the_book_changes(guard: Callable[..., Any], wide: Any) -> None:
    watched = guard(**wide)
    for _ in range(3):
        watched.hold(1000)
        watched.hour(hours=DAY, eur=1.1, yen=110.0)
    assert measured(watched) == [2, 3, 4]


@pytest.mark.req("RSK-03")
def test_steps_alone_do_not_say_them_again_before_the_interval_is_over(guard: Callable[..., Any], wide: Any) -> None:
    watched = guard(**wide, settings={"measure_every_minutes": 8 * 60})
    watched.hold(1000)
    for _ in range(12):
        watched.hour(eur=1.1, yen=110.0)
    assert measured(watched) == [2, 10]
