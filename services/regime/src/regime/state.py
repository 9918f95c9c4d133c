"""What the regime detector remembers."""

from __future__ import annotations

import msgspec

from common.quant.rows import Table
from regime.holding import Holding
from regime.market import MarketState
from regime.overrides import Overrides


class State(msgspec.Struct):
    """One row per series (instrument and timeframe): its number, its indicators (float64[rows, width]), its regime, and what its
    model knows (float64[rows, MODEL_STATE]), if it has one.
    """

    indicators: Table
    opinions: Table
    market: MarketState
    rows: dict[str, int] = msgspec.field(default_factory=dict)
    holdings: list[Holding] = msgspec.field(default_factory=list)
    overrides: Overrides = msgspec.field(default_factory=Overrides)
