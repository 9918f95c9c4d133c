"""Risk ladders (RSK-04 to RSK-08): each level fires once per episode, lets go with hysteresis, and all combine to the most
restrictive. `standing` are the ladders above the ground, by metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from common.model.enums import TradingState
from common.model.time import NS_PER_DAY
from risk_guardian.policy import METRICS, Ladders, Level
from risk_guardian.state import Ladder


class Move(NamedTuple):
    """A ladder went from level `previous` to `level`, with `observed` past `threshold`."""

    metric: str
    level: int
    previous: int
    observed: float
    threshold: float
    actions: tuple[str, ...]


class Restriction(NamedTuple):
    """What all ladders together demand. Factors in [0, 1], 1 is normal; signals under `min_confidence` open nothing."""

    state: TradingState
    exposure_factor: float
    stop_factor: float
    min_confidence: float


NONE: Final = Restriction(TradingState.ACTIVE, 1.0, 1.0, 0.0)
_STATES: Final = tuple(TradingState)  # the least restrictive first
_GROUND: Final = Ladder()


def next_level(levels: Sequence[Level], level: int, observed: float, stood_ns: int) -> int:
    """The level to stand on at `observed`, coming from `level` (0 is the ground) after `stood_ns` there.

    Up as far as triggers are exceeded; down one by one while under the release of the level stood on, but never off a
    level that only an operator ends, nor before its time.
    """
    up = max((number for number, rung in enumerate(levels, start=1) if observed > rung.trigger), default=0)
    if up > level:
        return up
    while level > 0 and _lets_go(levels[level - 1], observed, stood_ns):
        level -= 1
    return level


def moves(
    ladders: Ladders, standing: Mapping[str, Ladder], observed: Mapping[str, float | None], ts: int
) -> Iterator[Move]:
    """Every ladder that changes its level now. What is not observed (None) moves nothing."""
    for metric in METRICS:
        levels, value = getattr(ladders, metric), observed.get(metric)
        ladder = standing.get(metric, _GROUND)
        if value is None or not levels or (ladder.level == 0 and value <= levels[0].trigger):
            continue
        level = next_level(levels, ladder.level, value, ts - ladder.since_ns)
        if level != ladder.level:
            yield move(levels, metric, ladder.level, level, value)


def move(levels: Sequence[Level], metric: str, previous: int, level: int, observed: float) -> Move:
    """From `previous` to `level`, with the threshold that was passed."""
    rung = levels[max(level, previous) - 1]
    threshold = rung.trigger if level > previous else rung.release
    return Move(metric, level, previous, observed, threshold, _actions(levels[level - 1]) if level else ("released",))


def stand(standing: dict[str, Ladder], step: Move, ts: int) -> None:
    """Books a move."""
    if step.level:
        standing[step.metric] = Ladder(level=step.level, since_ns=ts, observed=step.observed)
    else:
        del standing[step.metric]


def restriction(ladders: Ladders, standing: Mapping[str, Ladder], ts: int) -> Restriction:
    """The most restrictive of all levels up to those stood on; trading states less what time has lifted."""
    if not standing:
        return NONE
    state, exposure, stop, confidence = NONE
    for metric, ladder in standing.items():
        stood_ns = ts - ladder.since_ns
        for rung in getattr(ladders, metric)[: ladder.level]:
            exposure, stop = min(exposure, rung.exposure_factor), min(stop, rung.stop_factor)
            confidence = max(confidence, rung.min_confidence)
            if not rung.lift_after_days or stood_ns < rung.lift_after_days * NS_PER_DAY:
                state = max(state, rung.state, key=_STATES.index)
    return Restriction(state, exposure, stop, confidence)


def reason(standing: Mapping[str, Ladder]) -> str:
    """Who demands what is in force, for people."""
    return (
        ", ".join(f"{metric} ladder level {each.level}" for metric, each in standing.items()) or "all ladders released"
    )


def closes_most_volatile(ladders: Ladders, moved: Sequence[Move]) -> bool:
    """Whether one of the levels just climbed wants its cut taken from the most volatile positions."""
    return any(
        rung.close_most_volatile for step in moved for rung in getattr(ladders, step.metric)[step.previous : step.level]
    )


def _lets_go(rung: Level, observed: float, stood_ns: int) -> bool:
    return not rung.manual and observed < rung.release and stood_ns >= rung.hold_days * NS_PER_DAY


def _actions(rung: Level) -> tuple[str, ...]:
    """What the level does, in words for people."""
    first = ", the most volatile first" if rung.close_most_volatile else ""
    words = (
        (rung.exposure_factor < 1, f"cut positions to {_percent(rung.exposure_factor)}{first}"),
        (rung.stop_factor < 1, f"tighten stops to {_percent(rung.stop_factor)}"),
        (rung.min_confidence > 0, f"ignore signals under a confidence of {rung.min_confidence:g}"),
        (rung.state is not TradingState.ACTIVE, f"trading state {rung.state}"),
        (rung.lift_after_days > 0, f"the state is lifted after {rung.lift_after_days} days"),
        (rung.manual, "manual resume"),
    )
    return tuple(word for applies, word in words if applies)


def _percent(share: float) -> str:
    return f"{share * 100:g}%"
