"""What a model would have said of a whole series, bar by bar, to the bit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from common.model.time import NS_PER_DAY
from common.quant.kernel import Floats, Ints
from regime.model_kernel import HOURS, opinions, packed
from regime.models import Model


class Views(NamedTuple):
    """One value per bar, as in `ModelReading`; NaN while warming. The first three add up to 1."""

    bull: Floats
    bear: Floats
    sideways: Floats
    high_volatility: Floats
    forecast_vol: Floats
    change_24h: Floats
    change_48h: Floats


def look_back(high_low_close: Floats, ts: Ints, model: Model, volume: Floats | None = None) -> Views:
    """The views of a series from its first bar on. `high_low_close` is float64[bars, 3]; `ts` are the closes of the bars, rising;
    `volume` float64[bars], 0 where there is none. Raises ValueError where lengths differ or time does not rise.
    """
    if len(ts) != len(high_low_close) or np.any(np.diff(ts) <= 0):
        raise ValueError("Expected one rising time for each bar")
    said, _ = opinions(bars_of(high_low_close, ts, volume), packed(model))
    return Views(*np.ascontiguousarray(said.T))


def bars_of(high_low_close: Floats, ts: Ints, volume: Floats | None) -> Floats:
    """float64[bars, BAR], as the kernel takes them."""
    known = np.zeros(len(high_low_close)) if volume is None else volume
    hours = (ts - 1) // (NS_PER_DAY // HOURS) % HOURS  # as `hour_of`
    return np.column_stack((high_low_close, known, hours)).astype(np.float64)
