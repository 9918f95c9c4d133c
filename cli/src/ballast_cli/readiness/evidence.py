"""What a check answers."""

from __future__ import annotations

import msgspec


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """`did` and `saw` are for a person who was not there; `limit` is what it was held against. `passed` None: the control could
    not be exercised here, and `saw` says why.
    """

    passed: bool | None
    did: str
    saw: str
    limit: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A check with its evidence. `took_s` is wall clock."""

    check: str
    title: str
    evidence: Evidence
    took_s: float


def not_here(why: str) -> Evidence:
    """The control is not part of this system, or must not be touched in its present state."""
    return Evidence(passed=None, did="nothing", saw=why)


def seconds(value: float) -> str:
    return f"{value:.2f} s"
