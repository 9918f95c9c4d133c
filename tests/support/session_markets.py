"""Series of bars with known properties."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.time import Timeframe, from_datetime
from common.quant.kernel import Floats
from research.sessions.series import Prices

MONDAY = from_datetime(
    datetime(2024, 1, 8, tzinfo=UTC)
)  # two weeks without a holiday of the four cities but one of New York


def instrument(name: str) -> Instrument:
    base, quote = name.partition(".")[0].split("-")
    return Instrument(
        instrument_id=name,
        asset_class=AssetClass.FX,
        base=base,
        quote=quote,
        price_increment=Decimal("0.00001"),
        qty_increment=Decimal(1),
        half_spread=Decimal("0.00005"),
    )


def series(
    close: Floats, *, name: str = "EUR-USD.X", timeframe: Timeframe = Timeframe.M30, start: int = MONDAY
) -> Prices:
    """Bars without a hole that open where the one before closed; the ATR is one, and the regime unknown."""
    opens = start + np.arange(close.size) * timeframe.ns
    open_ = np.concatenate([close[:1], close[:-1]])
    return Prices(
        instrument=instrument(name),
        timeframe=timeframe,
        opens=opens,
        closes=opens + timeframe.ns,
        open=open_,
        high=np.maximum(open_, close),
        low=np.minimum(open_, close),
        close=close,
        half_spread=np.full(close.size, 0.00005),
        atr=np.ones(close.size),
        regime=np.full(close.size, -1),
    )


def walk(seed: int, bars: int, size: float = 1e-4) -> Floats:
    return np.asarray(1.1 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, size, bars))))
