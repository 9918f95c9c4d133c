"""Fitted models: their file, the same bits bar by bar and over arrays, never the future, probabilities always."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from common.messages.market_data import Bar, MarketSlice
from common.messages.regime import ModelReading
from common.model.time import NS_PER_DAY, Timeframe
from common.runtime import snapshots
from regime.core import RegimeDetector
from regime.models import Chance, Garch, Hidden, Model, Models, load_models
from regime.models_history import Views, look_back
from regime.settings import Settings

LEAVE = 0.002
HIDDEN = Hidden(
    start=(1 / 6,) * 6,
    transition=tuple(tuple(1 - 5 * LEAVE if i == j else LEAVE for j in range(6)) for i in range(6)),
    drifts=(0.1, 0.2, -0.1, -0.2, 0.0, 0.0),
    variances=(0.3, 1.0, 0.3, 1.0, 0.3, 1.0),
    spans=(-0.2, 0.5, -0.2, 0.5, -0.2, 0.5),
    deviations=(0.4, 0.5, 0.4, 0.5, 0.4, 0.5),
    alpha=0.02,
    beta=0.9,
)
MODEL = Model(
    instrument_id="*",
    timeframe=Timeframe.H1,
    hidden=HIDDEN,
    garch=Garch(omega=0.02, alpha=0.08, beta=0.9),
    move_evidence=2.0,
    change_24h=Chance(weights=(-0.5, 0.8, 0.1, 0.2, 0.3, 0.1)),
)
MODELS = Models(models=(MODEL,))


def stream(bars: list[Bar], models: Models, restart_at: int = -1) -> list[ModelReading]:
    detector, readings = RegimeDetector(Settings(), models), list[ModelReading]()
    for step, bar in enumerate(bars):
        if step == restart_at:
            payload, detector = snapshots.encode(detector, step, "mark"), RegimeDetector(Settings(), models)
            snapshots.restore(detector, payload, "mark")
        market = MarketSlice(ts_event=(step + 1) * bar.timeframe.ns, book="sim", step=step + 1, bars=(bar,))
        readings.extend(detector.handle(market)[-1].models)
    return readings


def columns(bars: list[Bar]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    prices = np.array([(bar.high, bar.low, bar.close) for bar in bars])
    ts = np.array([(i + 1) * bar.timeframe.ns for i, bar in enumerate(bars)])
    return prices, ts, np.array([bar.volume for bar in bars])


def shown(views: Views) -> list[list[float | None]]:
    return [[value if value == value else None for value in row] for row in np.column_stack(views).tolist()]


@pytest.mark.req("REG-05", "REG-06")
@pytest.mark.parametrize("explained", [0.0, 0.5])
@pytest.mark.parametrize("restart_at", [-1, 1, 90])
def test_bar_by_bar_is_the_bits_of_the_whole_series_even_after_a_restart(
    walk: Any, restart_at: int, explained: float
) -> None:
    model = msgspec.structs.replace(MODEL, explained=explained)
    bars = [
        msgspec.structs.replace(bar, volume=float(i % 7)) for i, bar in enumerate(walk(400, timeframe=Timeframe.H1))
    ]
    prices, ts, volume = columns(bars)
    batch = shown(look_back(prices, ts, model, volume))
    streamed = [
        list(msgspec.structs.astuple(reading)[2:]) for reading in stream(bars, Models(models=(model,)), restart_at)
    ]
    assert streamed == batch
    assert streamed[-1][0] is not None


@pytest.mark.req("REG-05", "REG-06")
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 200), explained=st.sampled_from([0.0, 0.5, 1.0]))
def test_what_comes_later_changes_nothing_that_was_said(seed: int, cut: int, explained: float) -> None:
    model = msgspec.structs.replace(MODEL, explained=explained)
    rng = np.random.default_rng(seed)
    close = np.exp(np.cumsum(rng.normal(0.0, 0.01, 200)))
    prices, ts = np.column_stack((close * 1.003, close * 0.996, close)), np.arange(1, 201) * Timeframe.H1.ns
    other = prices.copy()
    other[cut:] *= np.exp(rng.normal(0.0, 0.2, 200 - cut))[:, None]
    one, two = look_back(prices, ts, model), look_back(other, ts, model)
    for ours, theirs in zip(one, two, strict=True):
        assert ours[:cut].tobytes() == theirs[:cut].tobytes()


@pytest.mark.req("REG-05", "REG-06")
@given(
    moves=st.lists(st.floats(-0.3, 0.3) | st.sampled_from([0.0, 1e-12]), min_size=70, max_size=160),
    reach=st.floats(0.0, 0.2),
    timeframe=st.sampled_from([Timeframe.M1, Timeframe.H1, Timeframe.D1, Timeframe.W1]),
    explained=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_probabilities_are_probabilities_whatever_prices_do(
    moves: list[float], reach: float, timeframe: Timeframe, explained: float
) -> None:
    close = np.exp(np.cumsum(moves))
    before = np.concatenate((close[:1], close[:-1]))
    prices = np.column_stack((np.maximum(close, before) * (1 + reach), np.minimum(close, before), close))
    model = msgspec.structs.replace(MODEL, timeframe=timeframe, explained=explained)
    views = look_back(prices, np.arange(1, close.size + 1) * timeframe.ns, model)
    known = ~np.isnan(views.bull)
    for values in views:
        assert np.array_equal(np.isnan(values), ~known)
    np.testing.assert_allclose((views.bull + views.bear + views.sideways)[known], 1.0, atol=1e-9)
    for values in (*views[:4], views.change_24h, views.change_48h):
        assert ((values[known] >= 0.0) & (values[known] <= 1.0 + 1e-12)).all()
    assert (views.forecast_vol[known] > 0.0).all()


@pytest.mark.req("REG-05")
@pytest.mark.parametrize(("drift", "place"), [(3e-4, 0), (-3e-4, 1)])
def test_a_steady_drift_is_a_bull_or_a_bear_market(walk: Any, drift: float, place: int) -> None:
    prices, ts, _ = columns(walk(1_500, drift=drift, timeframe=Timeframe.H1))
    views = look_back(prices, ts, MODEL)
    assert np.mean(views[place][300:] > 0.5) > 0.8


@pytest.mark.req("REG-05")
def test_twice_the_volatility_is_the_turbulent_state(walk: Any) -> None:
    volatility = np.where(np.arange(1_000) < 900, 5e-4, 15e-4)
    prices, ts, _ = columns(walk(1_000, volatility=volatility, timeframe=Timeframe.H1))
    views = look_back(prices, ts, MODEL)
    assert views.high_volatility[400:900].mean() < 0.4
    assert views.high_volatility[905:].mean() > 0.8


@pytest.mark.req("REG-05")
def test_turbulence_that_is_explained_becomes_the_usual_later(walk: Any) -> None:
    volatility = np.where(np.arange(1_400) < 1_000, 5e-4, 10e-4)
    prices, ts, _ = columns(walk(1_400, volatility=volatility, timeframe=Timeframe.H1))
    forgets, keeps = (
        look_back(prices, ts, msgspec.structs.replace(MODEL, scale_bars=1_000, explained=explained)).high_volatility
        for explained in (0.0, 0.5)
    )
    assert keeps[600:1_000].mean() < 0.4
    assert forgets[1_050:].mean() < 0.3
    assert keeps[1_050:].mean() > 0.6


@pytest.mark.req("REG-06")
def test_the_forecast_is_of_the_next_days_return(walk: Any) -> None:
    """Sixteen ticks of a quarter of `volatility` each make a bar of that volatility; 24 of them make a day."""
    prices, ts, _ = columns(walk(4_000, volatility=1e-3, timeframe=Timeframe.H1))
    # With these, the variance in the long run is what this walk has, in units of its mean absolute return.
    variance = (1e-3 / float(np.abs(np.diff(np.log(prices[:, 2]))).mean())) ** 2
    model = msgspec.structs.replace(MODEL, garch=Garch(omega=variance * 0.1, alpha=0.05, beta=0.85))
    views = look_back(prices, ts, model)
    assert np.median(views.forecast_vol[500:]) == pytest.approx(1e-3 * np.sqrt(24), rel=0.1)


@pytest.mark.req("REG-06")
def test_without_a_fitted_chance_it_is_what_the_transition_matrix_says(walk: Any) -> None:
    prices, ts, _ = columns(walk(200, timeframe=Timeframe.H1))
    views = look_back(prices, ts, msgspec.structs.replace(MODEL, change_24h=None, change_48h=None))
    stay = 1 - 5 * LEAVE
    assert views.change_24h[-1] == pytest.approx(1 - stay**24, rel=1e-9)
    assert views.change_48h[-1] == pytest.approx(1 - stay**48, rel=1e-9)


@pytest.mark.req("REG-05")
def test_a_series_without_a_model_gets_no_reading_and_one_that_warms_up_an_empty_one(walk: Any) -> None:
    assert stream(walk(80, timeframe=Timeframe.M5), MODELS) == []
    readings = stream(walk(61, timeframe=Timeframe.H1), MODELS)
    assert [reading.bull is None for reading in readings] == [True] * 60 + [False]
    assert readings[0].change_24h is None


@pytest.mark.req("REG-05")
def test_an_instruments_own_model_is_taken_before_that_of_any() -> None:
    own = msgspec.structs.replace(MODEL, instrument_id="EUR-USD.ECB")
    models = Models(models=(MODEL, own))
    assert models.find("EUR-USD.ECB", Timeframe.H1) == 1
    assert models.find("USD-JPY.ECB", Timeframe.H1) == 0
    assert models.find("EUR-USD.ECB", Timeframe.D1) == -1


@pytest.mark.req("REG-05")
def test_a_file_its_content_and_what_ships_are_models(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_bytes(msgspec.json.encode(MODELS))
    assert load_models(str(path)) == load_models(path.read_text()) == MODELS
    assert load_models("") == Models()
    shipped = load_models("builtin")
    assert {model.timeframe for model in shipped.models} >= {Timeframe.H1, Timeframe.D1}


@pytest.mark.req("REG-05")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-5],
        lambda text: text.replace('"start":[0.16', '"start":[0.26', 1),
        lambda text: text.replace('"beta":0.9}', '"beta":0.95}'),
        lambda text: text.replace('"timeframe":"1h"', '"timeframe":"1y"'),
        lambda text: text.replace('"drifts":[0.1,', '"drifts":['),
    ],
)
def test_a_file_that_is_no_model_is_one_clear_error(tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "models.json"
    path.write_text(spoil(msgspec.json.encode(MODELS).decode()))
    with pytest.raises(ConfigError, match=r"regime\.models = .*expected a file of"):
        load_models(str(path))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_models(str(tmp_path / "nowhere.json"))


@pytest.mark.req("REG-05")
def test_times_that_do_not_rise_are_refused(walk: Any) -> None:
    prices, ts, _ = columns(walk(10))
    with pytest.raises(ValueError, match="rising"):
        look_back(prices, ts[::-1], MODEL)
    with pytest.raises(ValueError, match="one rising time"):
        look_back(prices, ts[:5], MODEL)


@pytest.mark.req("REG-05")
def test_a_pattern_by_hour_of_the_day_is_not_taken_for_turbulence(walk: Any) -> None:
    hour = np.arange(24 * 200) % 24
    volatility = np.where((hour >= 8) & (hour < 12), 15e-4, 5e-4)
    prices, ts, _ = columns(walk(hour.size, volatility=volatility, timeframe=Timeframe.H1))
    late = look_back(prices, ts, MODEL).high_volatility[-24 * 60 :].reshape(-1, 24).mean(axis=0)
    assert late.max() - late.min() < 0.25
    assert NS_PER_DAY // Timeframe.H1.ns == 24
