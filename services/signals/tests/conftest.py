"""Synthetic markets, and the chain from bars over regimes to signals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from common.messages.control import FeatureChanged
from common.messages.market_data import Bar, MarketSlice
from common.messages.regime import RegimeReading, RegimeStep
from common.messages.signals import SignalsStep
from common.model.enums import Regime, VolState
from common.model.time import Timeframe
from signals.api import Opinion, Sma, Strategy, Tier
from signals.core import Signals
from signals.loader import load_strategies
from signals.settings import Settings

STEP_NS = Timeframe.D1.ns


def bar(close: float, *, spread: float = 0.0, instrument_id: str = "EUR-USD.SIM") -> Bar:
    return Bar(
        instrument_id=instrument_id,
        timeframe=Timeframe.D1,
        open=close,
        high=close + spread,
        low=close - spread,
        close=close,
    )


def reading(of: Bar, vol_state: VolState = VolState.NORMAL) -> RegimeReading:
    return RegimeReading(
        instrument_id=of.instrument_id,
        timeframe=of.timeframe,
        regime=Regime.RANGING,
        candidate=Regime.RANGING,
        since_ns=0,
        confidence=0.5,
        vol_state=vol_state,
        vol_ratio=1.0,
    )


@pytest.fixture
def walk() -> Callable[..., list[Bar]]:
    """Seeded random daily bars with slow swings, so that averages cross."""

    def build(bars: int, seed: int = 1, instrument_id: str = "EUR-USD.SIM") -> list[Bar]:
        rng = np.random.default_rng(seed)
        swing = 0.002 * np.sin(np.arange(bars) / 60.0)
        closes = 1.1 * np.exp(np.cumsum(rng.normal(0.0, 0.006, bars) + swing))
        spreads = rng.uniform(0.0, 0.004, bars)
        pairs = zip(closes.tolist(), spreads.tolist(), strict=True)
        return [bar(close, spread=spread, instrument_id=instrument_id) for close, spread in pairs]

    return build


@pytest.fixture
def run() -> Callable[..., list[SignalsStep]]:
    """Feeds bars one a slice, each with its volatility state; returns the steps. `core` goes on with a given one; `changes`
    receives what was said of features.
    """

    def answer(
        bars: Iterable[Bar],
        vol_states: Sequence[VolState] = (),
        *,
        core: Signals | None = None,
        strategies: Sequence[Strategy] | None = None,
        settings: Settings | None = None,
        first: int = 1,
        changes: list[FeatureChanged] | None = None,
    ) -> list[SignalsStep]:
        settings = settings or Settings()
        core = core or Signals(settings, load_strategies(settings) if strategies is None else strategies)
        steps: list[SignalsStep] = []
        for i, one in enumerate(bars):
            state = vol_states[i] if i < len(vol_states) else VolState.NORMAL
            core.handle(MarketSlice(ts_event=(first + i) * STEP_NS, book="sim", step=first + i, bars=(one,)))
            regime = RegimeStep(
                ts_event=(first + i) * STEP_NS, book="sim", step=first + i, readings=(reading(one, state),)
            )
            *said, step = core.handle(regime)
            if changes is not None:
                changes.extend(said)
            steps.append(step)
        return steps

    return answer


@pytest.fixture
def scripted() -> Callable[..., Strategy]:
    """A strategy that reads its opinions from the fractional part of the close: .1 LONG, .2 SHORT, .3 FLAT, else None."""

    def decide(ctx: Any) -> Opinion | None:
        from common.model.enums import Direction

        word = {1: Direction.LONG, 2: Direction.SHORT, 3: Direction.FLAT}.get(round(ctx.bar.close * 10) % 10)
        return None if word is None else Opinion(direction=word, strength=0.5, reason=f"close {ctx.bar.close}")

    def build(**changes: Any) -> Strategy:
        declared: dict[str, Any] = {
            "id": "scripted",
            "tier": Tier.CORE,
            "params": {state: {} for state in VolState},
            "features": lambda p: {"close": Sma(1)},
            "decide": decide,
            "hold_bars": 100,
        }
        return Strategy(**{**declared, **changes})

    return build


@pytest.fixture
def script() -> Callable[[str], list[Bar]]:
    """Bars for the scripted strategy: "L", "S", "F" or "." for each; two silent ones come first, to warm it up."""

    def build(words: str) -> list[Bar]:
        return [bar(100.0 + {"L": 0.1, "S": 0.2, "F": 0.3, ".": 0.0}[word]) for word in ".." + words]

    return build
