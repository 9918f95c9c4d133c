"""Readings as a ribbon: consecutive ones of the same regime are one span. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def spans(readings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Oldest first, from readings oldest first. `from_ns` and `until_ns` are the closes of the first and the last bar of a span,
    `bars` how many there are; `override` names who set it by hand.
    """
    found: list[dict[str, Any]] = []
    for one in readings:
        label = {"regime": one["regime"], "override": one["override"]}
        if not found or any(found[-1][name] != value for name, value in label.items()):
            found.append({**label, "from_ns": one["ts_event"], "until_ns": one["ts_event"], "bars": 0})
        found[-1]["until_ns"] = one["ts_event"]
        found[-1]["bars"] += 1
    return found


def columns(rows: Iterable[Mapping[str, Any]], names: Iterable[str]) -> dict[str, list[Any]]:
    """Rows as lists by column: less to send for the same numbers."""
    kept = list(rows)
    return {name: [row[name] for row in kept] for name in names}
