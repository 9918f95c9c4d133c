"""Learned windows as a TOML file for `--config`: section `[risk_guardian.windows]`, its evidence in comments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from common.errors import ConfigError
from research.sessions.windows import By, Window, names


def write(path: Path, windows: Sequence[Window], by: By, *, zone: str, outside_factor: float, source: str) -> list[str]:
    """Those that have earned their place; gives their instruments. Without any nothing is written. Raises ConfigError where it cannot
    be.
    """
    earned = [one for one in windows if one.earned]
    if not earned:
        return []
    try:
        path.write_text(toml(earned, by, zone=zone, outside_factor=outside_factor, source=source), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {path}: cannot be written: {error.strerror}") from None
    return [one.instrument_id for one in earned]


def toml(earned: Sequence[Window], by: By, *, zone: str, outside_factor: float, source: str) -> str:
    """Instruments by their symbol, which every venue shares; by their id where two of them have one symbol."""
    symbols = Counter(_symbol(one) for one in earned)
    lines = [
        f"# Learned by `ballast sessions learn` from {source}. Out of sample, walk-forward:",
        *map(_evidence, earned),
    ]
    lines += ["", "[risk_guardian.windows]", f"outside_factor = {outside_factor!r}"]
    lines += (
        [f'zone = "{zone}"', "", "[risk_guardian.windows.hours]"]
        if by is By.HOUR
        else ["", "[risk_guardian.windows.sessions]"]
    )
    for one in earned:
        key = _symbol(one) if symbols[_symbol(one)] == 1 else one.instrument_id
        values = (str(int(part)) if by is By.HOUR else f'"{part}"' for part in one.parts)
        lines.append(f'"{key}" = [{", ".join(values)}]')
    return "\n".join([*lines, ""])


def preferred(text: str, by: By, option: str) -> tuple[str, ...]:
    """Parts that the user names: `7-16,20` or `London,New York`. An hour range ends before its last hour and may go over midnight.
    Raises ConfigError.
    """
    found: list[str] = []
    for piece in filter(None, (piece.strip() for piece in text.split(","))):
        found += _hours(piece, option) if by is By.HOUR else [piece]
        if found[-1] not in names(by):
            raise ConfigError(f"{option} {piece}: expected one of {', '.join(names(by))}")
    return tuple(dict.fromkeys(found))


def _hours(piece: str, option: str) -> list[str]:
    first, dash, last = piece.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise ConfigError(f"{option} {piece}: expected hours such as 7-16,20")
    start, end = int(first), int(last) if dash else int(first) + 1
    if start > 23 or end > 24 or start == end:
        raise ConfigError(f"{option} {piece}: expected hours from 0 to 24, such as 22-2")
    return [f"{hour % 24:02d}" for hour in range(start, end if end > start else end + 24)]


def _symbol(one: Window) -> str:
    return one.instrument_id.rpartition(".")[0]


def _evidence(one: Window) -> str:
    return (
        f"# {one.instrument_id}: of {one.seen_later} later outcomes {one.left_out} left out; {one.window_bps:.0f} bps instead of "
        f"{one.always_bps:.0f}, {one.gain_bps_a_day or 0.0:+.2f} a day ({one.low or 0.0:+.2f} to {one.high or 0.0:+.2f}, p = "
        f"{one.p_value or 0.0:.4f})"
    )
