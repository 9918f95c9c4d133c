"""A crisis of the whole market changes what is traded, and the engine that skips slices trades the same."""

from __future__ import annotations

from typing import Any

import pytest

from common.messages.market_data import MarketSlice
from common.model.enums import Regime
from common.model.time import Timeframe
from common.runtime.settings import load
from market_data.source import source
from regime.core import RegimeDetector
from regime.settings import Settings
from research.run import run


def config(world: str, **regime: Any) -> dict[str, Any]:
    made = load("fx")
    made["market_data"]["symbols"] = []
    made["signals"]["timeframes"] = ["1h"]
    made["signals"]["strategies"] = ["sma_cross_20_50", "macd_signal"]
    made["portfolio"]["exits"] = {"enabled": True, "regime_change": True}
    made["regime"] = {"models": "", **regime}
    made["run"] = {"data": f"synthetic:{world}:1h"}
    return made


@pytest.fixture(scope="module")
def spike() -> dict[str, Any]:
    return config("correlation_spike")


@pytest.mark.req("REG-03", "RES-01")
def test_both_engines_trade_the_same_through_a_crisis(spike: dict[str, Any]) -> None:
    plain, quick = run(spike, plain=True), run(spike)
    assert (plain.engine, quick.engine) == ("plain", "fast")
    assert quick.result() == plain.result()
    assert quick.metrics() == plain.metrics()
    without = run(config("correlation_spike", market={"crisis_volatility": 20.0}))
    assert without.result()["digest"] != quick.result()["digest"]


@pytest.mark.req("REG-03")
def test_a_correlation_spike_is_a_crisis_while_it_lasts_and_a_calm_market_never(spike: dict[str, Any]) -> None:
    def labels(made: dict[str, Any]) -> list[bool]:
        detector = RegimeDetector(Settings(timeframes=(Timeframe.H1,)))
        said = [detector.handle(message) for message in source(made).messages() if isinstance(message, MarketSlice)]
        return [any(reading.regime is Regime.CRISIS for reading in step.readings) for (step,) in said]

    found = labels(spike)
    first, last = found.index(True), len(found) - 1 - found[::-1].index(True)
    assert 0.5 * len(found) <= first < 0.52 * len(found)
    assert last < 0.66 * len(found)
    assert sum(found[first:last]) > 0.7 * (last - first)
    assert not any(labels(config("calm")))
