"""What the signals service remembers."""

from __future__ import annotations

import msgspec

from common.isolation import Features
from common.messages.market_data import MarketSlice
from common.messages.regime import RegimeStep
from common.model.enums import VolState
from common.quant.rows import Table
from signals.tracking import Track


class Series(msgspec.Struct):
    """One instrument on one timeframe. Strategies act in `vol_state`; `away` counts bars in a row beyond it (> 0 worse,
    < 0 calmer).
    """

    bars: int = 0
    vol_state: VolState = VolState.NORMAL
    away: int = 0
    tracks: dict[str, Track] = msgspec.field(default_factory=dict)


class State(msgspec.Struct):
    """A row per series: `words` float64[rows, words] are the features' state, `values` float64[rows, features] their last
    values, `closes` float64[rows, longest window] the last closes, newest last. `layout` names strategies and features.
    """

    layout: str
    words: Table
    values: Table
    closes: Table
    rows: dict[str, int] = msgspec.field(default_factory=dict)
    series: list[Series] = msgspec.field(default_factory=list)
    slices: dict[int, MarketSlice] = msgspec.field(default_factory=dict)  # by step, waiting for their regime
    regimes: dict[int, RegimeStep] = msgspec.field(default_factory=dict)  # by step, waiting for their slice
    features: Features = msgspec.field(default_factory=dict)  # those that have failed
    last_ns: int = 0  # of the last step
