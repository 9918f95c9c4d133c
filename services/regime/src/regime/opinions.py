"""What fitted models say of the bars of a slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.messages.market_data import Bar
from common.messages.regime import ModelReading
from common.quant.kernel import Floats, Ints
from regime.model_kernel import OPINIONS, hour_of, opine, packed
from regime.models import Models


class Opinionated:
    """The models, and which series has which."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._packed = np.array([packed(model) for model in models.models])
        self._places: dict[str, int] = {}  # by series, found once

    def __bool__(self) -> bool:
        return bool(self._models.models)

    def read(self, state: Floats, bars: Sequence[Bar], rows: Ints, ts_event: int) -> tuple[ModelReading, ...]:
        """One reading for each bar whose series has a model, in order. `state` has a row for every series."""
        places = [self._place(bar) for bar in bars]
        heard = [i for i, place in enumerate(places) if place >= 0]
        if not heard:
            return ()
        hour = hour_of(ts_event)
        values = [(bars[i].high, bars[i].low, bars[i].close, bars[i].volume, hour) for i in heard]
        out, chosen = np.empty((len(heard), OPINIONS)), np.array([places[i] for i in heard], np.int64)
        opine(state, rows[heard], np.array(values, np.float64), self._packed, chosen, out)
        return tuple(_reading(bars[i], values) for i, values in zip(heard, out.tolist(), strict=True))

    def _place(self, bar: Bar) -> int:
        key = bar.instrument_id + " " + bar.timeframe
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._models.find(bar.instrument_id, bar.timeframe)
        return place


def _reading(bar: Bar, values: list[float]) -> ModelReading:
    """Values that are NaN are None."""
    if values[0] != values[0]:
        return ModelReading(instrument_id=bar.instrument_id, timeframe=bar.timeframe)
    return ModelReading(
        instrument_id=bar.instrument_id,
        timeframe=bar.timeframe,
        bull=values[0],
        bear=values[1],
        sideways=values[2],
        high_volatility=values[3],
        forecast_vol=values[4],
        change_24h=values[5],
        change_48h=values[6],
    )
