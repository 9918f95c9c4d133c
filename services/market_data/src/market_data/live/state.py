"""What live market data remembers: what it would need to go on, should it die now."""

from __future__ import annotations

import msgspec

from common.model.instrument import Instrument
from market_data import state as slices


class Unsaid(msgspec.Struct, frozen=True):
    """A message by its type; `data` is JSON."""

    type: str
    data: bytes


class State(msgspec.Struct):
    """`number` counts what was said together, from 1; `unsaid` is the last of it, which may not have got out. `cut_ns` is the end
    of the last period that is over. `instruments` are those of the run, empty until it has begun. `origin_ns` is when it was
    first started.

    Rows of the period under way are not in it: whoever starts anew has missed a part of that period, and leaves it out. Nor is
    how the feeds are: the connections are new ones.
    """

    slices: slices.State
    number: int = 0
    unsaid: list[Unsaid] = msgspec.field(default_factory=list)
    cut_ns: int = 0
    instruments: tuple[Instrument, ...] = ()
    origin_ns: int = 0
