"""What is run: section `[run]` of the effective configuration, written by `ballast up`."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from common.model.time import NS_PER_SECOND


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two runs with equal `profile`, `data`, `start_ns` and `end_ns` under the same settings say the same things.

    `id` tells two of them apart: it is part of the ids of what enters the tape from outside, which a broker remembers for a
    while and would otherwise take for said already.
    """

    id: Annotated[str, msgspec.Meta(description="made by `ballast up` for every new run")] = ""
    profile: Annotated[str, msgspec.Meta(description="what `--profile` said")] = "fx"
    data: Annotated[
        str, msgspec.Meta(description='"builtin", "builtin-h1", "live", "synthetic:NAME" or a directory')
    ] = "builtin"
    start_ns: Annotated[int | None, msgspec.Meta(description="first bar closes after this time")] = None
    end_ns: Annotated[int | None, msgspec.Meta(description="last bar closes by this time")] = None
    speed: Annotated[str, msgspec.Meta(description='"max", "5" slices a second, or "60x" real time')] = "max"
    build: Annotated[str, msgspec.Meta(description="version of the code that runs")] = ""

    def __post_init__(self) -> None:
        pace(self.speed)


def pace(speed: str) -> tuple[float | None, float | None]:
    """(seconds between slices, seconds of wall clock per nanosecond of data time); None where it does not bind.

    Raises ValueError naming what was expected.
    """
    if speed == "max":
        return None, None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(x?)", speed)
    if found is None or float(found[1]) <= 0:
        raise ValueError(f'Expected a speed such as "max", "5" (slices a second) or "60x" (real time), got {speed!r}')
    value = float(found[1])
    return (None, 1 / (value * NS_PER_SECOND)) if found[2] else (1 / value, None)
