"""Everyone who is judged sees the past only, and says what the running system would."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import pytest

from common.messages import RegimeStep
from common.messages.market_data import Bar, MarketSlice
from common.model.enums import Regime
from common.model.time import Timeframe
from common.testing.builders import a
from regime.core import RegimeDetector
from regime.models import load_models
from regime.settings import Settings
from research.regimes.judges import (
    DIRECTIONS,
    INPUTS,
    NONE,
    RULES_WITHOUT,
    Fitted,
    Judge,
    Rules,
    Said,
    Series,
    coarser,
    held,
    plain,
    rules_without,
)
from research.regimes.markets import simulate
from research.regimes.worlds import BEAR, BULL, CRYPTO, FX, SIDEWAYS

BARS: Final = 2_400


def series(seed: int = 1, bars: int = BARS) -> Series:
    market = simulate(CRYPTO, seed, bars)
    return Series("crypto", CRYPTO.timeframe, market.ts, market.high_low_close, market.volume)


def judges() -> dict[str, Judge]:
    models = load_models("builtin")
    return {
        "rules": Rules(),
        "rules, daily": Rules(Settings(), Timeframe.D1),
        "models": Fitted(models),
        **{f"models without {name}": Fitted(models, name) for name in INPUTS},
        "plain": plain([series(2, 1_000)]),
    }


def parts(said: Said) -> list[np.ndarray]:
    return [each for each in said if each is not None]


@pytest.mark.req("REG-05")
@pytest.mark.parametrize("name", list(judges()))
def test_no_verdict_depends_on_what_comes_later(name: str) -> None:
    judge, whole, cut = judges()[name], series(), BARS - 500
    wild = whole.high_low_close.copy()
    wild[cut:] *= np.exp(np.random.Generator(np.random.PCG64(9)).standard_normal(500) * 0.2)[:, None]
    before, after = judge(whole), judge(whole._replace(high_low_close=wild))
    for one, other in zip(parts(before), parts(after), strict=True):
        np.testing.assert_array_equal(one[:cut], other[:cut])
    assert any((one[cut:] != other[cut:]).any() for one, other in zip(parts(before), parts(after), strict=True))


@pytest.mark.req("REG-09")
def test_the_rules_are_judged_by_what_the_detector_publishes() -> None:
    bars = series(bars=300)
    detector = RegimeDetector(Settings(timeframes=(Timeframe.H1,)))
    published = []
    for step, (ts, (high, low, close)) in enumerate(
        zip(bars.ts.tolist(), bars.high_low_close.tolist(), strict=True), start=1
    ):
        bar = a(Bar, timeframe=Timeframe.H1, open=close, high=high, low=low, close=close)
        answers = detector.handle(a(MarketSlice, ts_event=ts, step=step, bars=(bar,)))
        published += [one.readings[0].regime for one in answers if isinstance(one, RegimeStep)]
    direction = NONE
    for said, regime in zip(Rules()(bars).trend.tolist(), published, strict=True):
        direction = DIRECTIONS.get(regime, direction)
        assert said == direction


@pytest.mark.req("REG-09")
def test_only_four_regimes_speak_of_a_direction() -> None:
    assert DIRECTIONS == {
        Regime.TRENDING_UP: BULL,
        Regime.TRENDING_DOWN: BEAR,
        Regime.RANGING: SIDEWAYS,
        Regime.CHOPPY: SIDEWAYS,
    }


@pytest.mark.req("REG-09")
def test_what_says_nothing_leaves_what_was_said_before() -> None:
    assert held(np.array([NONE, 1, NONE, NONE, 0], np.int8)).tolist() == [NONE, 1, 1, 1, 0]


@pytest.mark.req("REG-09")
def test_days_are_made_of_their_hours_and_known_when_they_are_over() -> None:
    hours = series(bars=24 * 30)
    days, at = coarser(hours, Timeframe.D1)
    by_day = hours.high_low_close.reshape(30, 24, 3)
    np.testing.assert_array_equal(days.high_low_close[:, 0], by_day[:, :, 0].max(axis=1))
    np.testing.assert_array_equal(days.high_low_close[:, 1], by_day[:, :, 1].min(axis=1))
    np.testing.assert_array_equal(days.high_low_close[:, 2], by_day[:, -1, 2])
    np.testing.assert_allclose(days.volume, hours.volume.reshape(30, 24).sum(axis=1))
    assert at[:23].tolist() == [-1] * 23
    assert at[23:48].tolist() == [0] * 24 + [1]


@pytest.mark.req("REG-09")
def test_a_plain_model_finds_states_that_cannot_be_missed() -> None:
    """Drifts of a whole deviation: three states in the order bull, bear, sideways."""
    cells = tuple(
        tuple(msgspec.structs.replace(cell, drift=drift * 5, sigma=0.7, flip=0.001) for cell in pair)
        for pair, drift in zip(FX.cells, (1.5, -1.5, 0.0), strict=True)
    )
    easy = msgspec.structs.replace(FX, cells=cells, dof=30.0, alpha=0.0, beta=0.0, profile=(), bars=40_000)
    market = simulate(easy, 1)
    bars = Series("easy", easy.timeframe, market.ts, market.high_low_close, market.volume)
    said = plain([bars])(bars)
    known = market.trend != SIDEWAYS
    assert np.mean(said.trend[known] == market.trend[known]) > 0.9


@pytest.mark.req("REG-09")
@pytest.mark.parametrize("name", RULES_WITHOUT)
def test_a_value_that_is_withheld_changes_some_verdict_or_is_of_no_use(name: str) -> None:
    whole = series(bars=8_000)
    with_it, without = Rules()(whole), Rules(rules_without(name, Settings()))(whole)
    differ = sum(int((one != other).sum()) for one, other in zip(parts(with_it), parts(without), strict=True))
    assert differ > 0
