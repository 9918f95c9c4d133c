"""Synthetic markets and the detector's answers to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from common.messages.market_data import Bar, MarketSlice
from common.messages.regime import RegimeReading
from common.model.time import Timeframe
from regime.core import RegimeDetector
from regime.settings import Settings

Build = Callable[..., list[Bar]]
Read = Callable[..., list[RegimeReading]]


@pytest.fixture
def walk() -> Build:
    """Seeded random bars of 16 ticks each; `volatility` (of a bar) and `drift` as fractions, numbers or one per bar."""

    def build(
        bars: int,
        *,
        seed: int = 1,
        volatility: float | np.ndarray = 5e-4,
        drift: float = 0.0,
        timeframe: Timeframe = Timeframe.M1,
        instrument_id: str = "EUR-USD.SIM",
    ) -> list[Bar]:
        rng = np.random.default_rng(seed)
        ticks = rng.normal(0.0, 0.25, (bars, 16)) * np.broadcast_to(volatility, bars)[:, None] + drift / 16
        path = (100.0 * np.exp(np.cumsum(ticks.ravel()))).reshape(bars, 16).tolist()
        return [
            Bar(
                instrument_id=instrument_id,
                timeframe=timeframe,
                open=bar[0],
                high=max(bar),
                low=min(bar),
                close=bar[-1],
            )
            for bar in path
        ]

    return build


@pytest.fixture
def read() -> Read:
    """Feeds bars one a slice, at the pace of their timeframe; returns the readings."""

    def answer(bars: Iterable[Bar], settings: Settings | None = None) -> list[RegimeReading]:
        detector = RegimeDetector(settings or Settings())
        readings: list[RegimeReading] = []
        for step, bar in enumerate(bars, start=1):
            market = MarketSlice(ts_event=step * bar.timeframe.ns, book="sim", step=step, bars=(bar,))
            (answered,) = detector.handle(market)
            readings.extend(answered.readings)
        return readings

    return answer
