"""How far parameters may go: a file of keys with bounds, and the way from one value to another in steps that are small enough."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from common.errors import ConfigError

SHIPPED: Final = Path(__file__).with_name("ranges.toml")
MOST_STEPS: Final = 20
_ROUNDING: Final = 1e-9

Value: TypeAlias = bool | int | float | str
Values: TypeAlias = dict[str, Value]


class Range(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See the head of ranges.toml."""

    low: float | None = None
    high: float | None = None
    largest_step: Annotated[float, Meta(gt=0, le=1)] | None = None
    choices: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError saying what was expected."""
        numbers = (self.low, self.high, self.largest_step)
        if self.choices:
            if numbers != (None, None, None):
                raise ValueError("expected either `choices`, or low, high and largest_step")
            return
        if self.low is None or self.high is None or self.largest_step is None:
            raise ValueError("expected low, high and largest_step, or `choices`")
        if not isfinite(self.low + self.high) or self.low >= self.high:
            raise ValueError(f"expected low < high, got low {self.low!r}, high {self.high!r}")

    def refusal(self, value: Value) -> str:
        """What was expected of `value`; empty where it is allowed."""
        if self.choices:
            fits = any(value == each and type(value) is type(each) for each in self.choices)
            return "" if fits else f"expected one of {', '.join(map(repr, self.choices))}"
        if isinstance(value, bool | str):
            return "expected a number"
        low, high, _ = self._numbers()
        return "" if low <= value <= high else f"expected {low:g} to {high:g}"

    def may_step(self, before: Value, after: Value) -> bool:
        """Whether one step may go that far. What is no number is one step anyhow; from 0, the width of the range counts."""
        if isinstance(before, bool | str) or isinstance(after, bool | str):
            return True
        distance = abs(after - before)
        if isinstance(before, int) and isinstance(after, int) and distance <= 1:
            return True
        low, high, largest = self._numbers()
        return distance <= largest * (abs(before) or high - low) * (1.0 + _ROUNDING)

    def _numbers(self) -> tuple[float, float, float]:
        assert self.low is not None  # a range always has all three, or choices: see __post_init__
        assert self.high is not None
        assert self.largest_step is not None
        return self.low, self.high, self.largest_step


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One key's way. `before` is what the system uses now, whether the profile says it or a strategy has it of its own."""

    key: str
    before: Value
    after: Value


def targets(now: Mapping[str, Value], wanted: Mapping[str, Value]) -> tuple[Target, ...]:
    """What has to move, in the order of `wanted`; 2 does for 2.0. `now` has every key of `wanted`."""
    found = []
    for key, value in wanted.items():
        after = float(value) if type(now[key]) is float and type(value) is int else value
        if after != now[key] or type(after) is not type(now[key]):
            found.append(Target(key=key, before=now[key], after=after))
    return tuple(found)


def load(path: Path = SHIPPED) -> dict[str, Range]:
    """By key, in the order of the file. Raises ConfigError with file, key and expectation."""
    try:
        plain = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    found = {}
    for key, raw in plain.items():
        try:
            found[key] = msgspec.convert(raw, Range)
        except msgspec.ValidationError as error:
            raise ConfigError(f'{path}: ["{key}"]: {error}') from None
    return found


def range_of(key: str, ranges: Mapping[str, Range]) -> Range:
    """Raises ConfigError for a key that may not be changed."""
    parts = key.split(".")
    for pattern, found in ranges.items():
        wanted = pattern.split(".")
        if len(wanted) == len(parts) and all(w in ("*", part) for w, part in zip(wanted, parts, strict=True)):
            return found
    raise ConfigError(f"{key}: may not be changed in a running system; expected one of {', '.join(ranges)}")


def check(targets: Sequence[Target], ranges: Mapping[str, Range]) -> None:
    """Raises ConfigError for the first value that is not allowed, naming key, value and expectation."""
    if not targets:
        raise ConfigError("no value differs from what the system uses now; expected at least one that does")
    for target in targets:
        _check_kind(target)
        found = range_of(target.key, ranges)
        for value, what in ((target.after, ""), (target.before, " (what it is now)")):
            if refusal := found.refusal(value):
                raise ConfigError(f"{target.key} = {value!r}{what}: {refusal}")


def path(targets: Sequence[Target], ranges: Mapping[str, Range], steps: int) -> tuple[Values, ...]:
    """The values after each step, from the first to exactly `after`; every one differs from the one before it.

    Numbers go evenly, whole ones rounded; what is no number changes with the last step. More than `steps` are taken where a
    range asks for smaller ones; whole numbers that are near each other may need fewer. Raises ConfigError for `steps` outside
    1 to 20, or where 20 are not enough.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise ConfigError(f"{steps} steps: expected 1 to {MOST_STEPS}")
    start: Values = {target.key: target.before for target in targets}
    for count in range(steps, MOST_STEPS + 1):
        even = [{target.key: _between(target, number / count) for target in targets} for number in range(1, count + 1)]
        taken = tuple(now for before, now in zip([start, *even], even, strict=False) if now != before)
        if _small_enough([start, *taken], ranges):
            return taken
    far = ", ".join(f"{each.key} from {each.before} to {each.after}" for each in targets)
    raise ConfigError(f"{far}: too far for {MOST_STEPS} steps; expected a nearer value")


def _small_enough(levels: Sequence[Values], ranges: Mapping[str, Range]) -> bool:
    pairs = pairwise(levels)
    return all(range_of(key, ranges).may_step(before[key], now[key]) for before, now in pairs for key in now)


def _between(target: Target, share: float) -> Value:
    before, after = target.before, target.after
    if share >= 1.0:
        return after
    if isinstance(before, bool | str) or isinstance(after, bool | str):
        return before
    if isinstance(before, int):
        return before + round((after - before) * share)
    raw = float(f"{before + (after - before) * share:.12g}")  # 0.325, not 0.32499999999999996
    return min(max(raw, min(before, after)), max(before, after))


def _check_kind(target: Target) -> None:
    before, after = target.before, target.after
    if isinstance(after, float) and not isfinite(after):
        raise ConfigError(f"{target.key} = {after!r}: expected a finite number")
    if type(before) is not type(after):
        raise ConfigError(f"{target.key} = {after!r}: expected a value like {before!r}")
