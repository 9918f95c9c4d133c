"""What the regime detector remembers."""

from __future__ import annotations

import msgspec

from common.quant.rows import Table
from regime.holding import Holding


class State(msgspec.Struct):
    """One row per series (instrument and timeframe): its number, its indicators (float64[rows, width]), its regime."""

    indicators: Table
    rows: dict[str, int] = msgspec.field(default_factory=dict)
    holdings: list[Holding] = msgspec.field(default_factory=list)
