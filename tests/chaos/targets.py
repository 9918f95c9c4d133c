"""What RELIABILITY asks for, held against what the drills have measured."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple


class Target(NamedTuple):
    """`figure` is a path into a drill's figures; missed unless `holds`."""

    drill: str
    figure: str
    wanted: str
    holds: Callable[[Any], bool]


def _at_most(limit: float) -> tuple[str, Callable[[Any], bool]]:
    return f"<= {limit:g}", lambda value: value is not None and value <= limit


def _all_at_most(limit: float) -> tuple[str, Callable[[Any], bool]]:
    return f"each <= {limit:g}", lambda values: all(value <= limit for value in values.values())


SOME: Final = (">= 1", lambda value: value >= 1)
NONE: Final = ("0", lambda value: value == 0)
EMPTY: Final = ("empty", lambda value: not value)
SOMETHING: Final = ("not empty", bool)
TRUE: Final = ("true", lambda value: value is True)
ALL_TRUE: Final = ("each true", lambda values: all(value is not False for value in values.values()))

WHOLE: Final = tuple(
    Target(drill, figure, *wanted)
    for drill in ("kills", "stops", "failovers", "rolling", "cluster")
    for figure, wanted in (("lost", NONE), ("duplicated", NONE), ("faults", EMPTY))
)
TARGETS: Final = (
    *WHOLE,
    Target("kills", "unasked_ends", *EMPTY),
    Target("cluster", "acknowledged_and_lost", *NONE),
    Target("cluster", "changed_on_tape", *NONE),
    Target("cluster", "publish_gap_s.max", *_at_most(10)),
    Target("stops", "at_work_median", *SOME),  # without orders at work a stop has nothing to cancel, and shows nothing
    Target("stops", "last_order_ms.p99", *_at_most(250)),
    Target("stops", "last_order_ms.max", *_at_most(1000)),
    Target("stops", "stop_ms.max", *_at_most(2000)),
    Target("stops", "still_working", *NONE),
    Target("stops", "survives_restart", *TRUE),
    Target("stops", "without_nats_ms.max", *_at_most(2000)),
    Target("closed", "shown", *ALL_TRUE),
    Target("failovers", "takeover_s.max", *_at_most(5)),
    Target("failovers", "two_speakers", *NONE),
    Target("failovers", "stale_tokens_acted_on", *NONE),
    Target("failovers", "an_older_token_is_refused", *TRUE),
    Target("recovery", "ready_s", *_all_at_most(10)),
    Target("recovery", "redis_rebuilt_s", *_at_most(15)),
    Target("rolling", "stopped_s", *_all_at_most(10)),
    Target("disaster", "same_digest", *TRUE),
    Target("disaster", "replays_identically", *TRUE),
    Target("disaster", "steps_lost_and_repeated", *SOME),  # else nothing was lost, and nothing shown
    Target("disaster", "down_s", *_at_most(60)),
    Target("disaster_outside", "halted_by_restore", *TRUE),
    Target("disaster_outside", "breaks", *SOMETHING),
    Target("disaster_outside", "placed_twice", *EMPTY),
)


def missed(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """In words; those of drills that were not run are left out, those of drills that broke off are not."""
    found = [f"{name}: {result['broken']}" for name, result in figures.items() if "broken" in result]
    for target in TARGETS:
        result = figures.get(target.drill)
        if result is None or "broken" in result:
            continue
        value = functools.reduce(operator.getitem, target.figure.split("."), result)
        if not target.holds(value):
            found.append(f"{target.drill}: {target.figure} is {value}, wanted {target.wanted}")
    return found
