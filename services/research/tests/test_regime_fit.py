"""Fitting: labels give the states their meaning, and the models are worth more than a guess on seeds they have not seen."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from common.errors import DataError
from common.model.time import NS_PER_DAY, Timeframe
from common.runtime.settings import load
from regime.models import Model, Models, load_models
from regime.models_history import look_back
from research.fast.market import Bars
from research.fast.market import Series as MarketSeries
from research.regimes.fit import Sample, fit_model, logistic
from research.regimes.fit_data import fit_data, sample
from research.regimes.given import by_rule
from research.regimes.judges import Series
from research.regimes.labels import changes_within
from research.regimes.markets import Market, simulate
from research.regimes.worlds import WORLDS

CRYPTO = WORLDS["crypto"]
BARS = 24 * 500


def labeled(market: Market) -> Sample:
    return Sample(market.high_low_close, market.ts, market.trend, market.stressed, market.volume)


def accuracy(model: Model, market: Market) -> tuple[float, float]:
    views = look_back(market.high_low_close, market.ts, model, market.volume)
    known = ~np.isnan(views.bull)
    trend = np.argmax(np.column_stack(views[:3]), axis=1)[known] == market.trend[known]
    stressed = (views.high_volatility >= 0.5)[known] == market.stressed[known]
    return float(trend.mean()), float(stressed.mean())


@pytest.fixture(scope="module")
def model() -> Model:
    return fit_model([labeled(simulate(CRYPTO, seed, BARS)) for seed in (1, 2, 3)], timeframe=Timeframe.H1)


@pytest.mark.req("REG-05", "REG-09")
def test_a_model_is_better_than_any_guess_on_a_market_it_has_not_seen(model: Model) -> None:
    found = np.array([accuracy(model, simulate(CRYPTO, seed, BARS)) for seed in (4, 5)]).mean(axis=0)
    guesses = [max(np.mean(simulate(CRYPTO, seed, BARS).trend == trend) for trend in range(3)) for seed in (4, 5)]
    assert found[0] > np.mean(guesses) + 0.05
    assert found[1] > 0.72


@pytest.mark.req("REG-05")
def test_states_mean_what_the_labels_say(model: Model) -> None:
    hidden = model.hidden
    assert hidden.drifts[1] > hidden.drifts[0] > 0.0 > hidden.drifts[3]
    assert all(hidden.variances[k + 1] > 2.0 * hidden.variances[k] for k in (0, 2, 4))
    assert all(hidden.transition[k][k] > 0.95 for k in range(6))


@pytest.mark.req("REG-06")
def test_chances_of_change_are_calibrated_on_a_market_they_have_not_seen(model: Model) -> None:
    markets = [simulate(CRYPTO, seed, BARS) for seed in (4, 5, 6)]
    said, changed = [], []
    for market in markets:
        views = look_back(market.high_low_close, market.ts, model, market.volume)
        happened = changes_within(market.trend, market.stressed, 48)
        known = ~np.isnan(happened) & ~np.isnan(views.change_48h)
        said.append(views.change_48h[known])
        changed.append(happened[known])
    chance, happened = np.concatenate(said), np.concatenate(changed)
    assert chance.mean() == pytest.approx(happened.mean(), abs=0.04)
    low, high = chance < np.quantile(chance, 0.3), chance > np.quantile(chance, 0.7)
    assert happened[high].mean() > happened[low].mean() + 0.02


@pytest.mark.req("REG-05")
def test_without_labels_hidden_markov_models_draw_them() -> None:
    market = simulate(CRYPTO, 1, BARS)
    model = fit_model([Sample(market.high_low_close, market.ts, volume=market.volume)], timeframe=Timeframe.H1)
    bull, bear = (model.hidden.drifts[k] for k in (0, 2))
    assert bull > bear
    assert accuracy(model, simulate(CRYPTO, 2, BARS))[1] > 0.6


@pytest.mark.req("REG-05")
def test_fitting_twice_gives_the_same_model() -> None:
    sample = [labeled(simulate(CRYPTO, 1, 2_000))]
    assert fit_model(sample, timeframe=Timeframe.H1) == fit_model(sample, timeframe=Timeframe.H1)


@pytest.mark.req("REG-05")
def test_too_few_bars_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least 200 bars"):
        fit_model([labeled(simulate(CRYPTO, 1, 100))], timeframe=Timeframe.H1)


def still(bars: int) -> Sample:
    market = simulate(CRYPTO, 1, bars)
    return Sample(np.ones((bars, 3)), market.ts)


@pytest.mark.req("REG-05")
@pytest.mark.parametrize("unlabeled", [True, False])
def test_prices_that_do_not_move_or_have_no_labels_are_one_clear_error(unlabeled: bool) -> None:
    nothing = np.full(2_000, -1, np.int8)
    market = simulate(CRYPTO, 1, 2_000)
    sample = still(2_000) if unlabeled else labeled(market)._replace(trend=nothing)
    with pytest.raises(ValueError, match=r"^0 bars have labels, expected at least 100"):
        fit_model([sample], timeframe=Timeframe.H1)


@pytest.mark.req("REG-05")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bars", [1, 30, 2_000])
def test_an_instrument_that_says_nothing_does_not_spoil_the_others(bars: int) -> None:
    market = simulate(CRYPTO, 1, 3_000)
    bare = Sample(market.high_low_close, market.ts)
    assert fit_model([still(bars), bare], timeframe=Timeframe.H1) == fit_model([bare], timeframe=Timeframe.H1)


@pytest.mark.req("REG-06")
def test_bars_that_do_not_reach_two_days_ahead_leave_chances_to_the_transition_matrix() -> None:
    found = fit_model([labeled(simulate(CRYPTO, 1, 600))], timeframe=Timeframe.M5)
    assert (found.change_24h is None, found.change_48h is None) == (False, True)
    assert load_models(msgspec.json.encode(Models(models=(found,))).decode()).models == (found,)


@pytest.mark.req("REG-05")
def test_labels_to_fit_to_are_those_to_judge_by_however_long_a_day_of_trading_is() -> None:
    """Six hours a day: ten deviations of a day are not ten of twenty-four hours."""
    market = simulate(CRYPTO, 3, 9_000)
    day, hour = np.divmod(np.arange(9_000, dtype=np.int64), 6)
    ts = market.ts[0] + day * NS_PER_DAY + hour * Timeframe.H1.ns
    columns = np.vstack((market.prices.T, np.ones(9_000), np.full((2, 9_000), np.nan)))
    one = MarketSeries("X-USD.LOCAL", Timeframe.H1, True, Bars.of(np.arange(9_000), columns))
    ours = sample(one, ts, labeled=True)
    theirs = by_rule(Series("X-USD.LOCAL", Timeframe.H1, ts, market.high_low_close, market.volume))
    assert ours.trend is not None
    assert ours.turbulent is not None
    assert (theirs.trend >= 0).any()
    assert ours.trend.tolist() == theirs.trend.tolist()
    assert ours.turbulent.tolist() == theirs.stressed.tolist()


@pytest.mark.req("REG-06")
def test_a_logistic_regression_finds_the_weights_that_made_the_data() -> None:
    rng, truth = np.random.default_rng(3), np.array([-1.0, 0.8, -0.5])
    x = np.column_stack((np.ones(40_000), rng.standard_normal((40_000, 2))))
    y = (rng.random(len(x)) < 1.0 / (1.0 + np.exp(-x @ truth))).astype(float)
    np.testing.assert_allclose(logistic(x, y), truth, atol=0.05)


@pytest.fixture
def daily() -> dict[str, Any]:
    made = load("fx")
    made["market_data"]["symbols"] = ["EUR-USD"]
    made["run"] = {"data": "builtin", "start_ns": 13_000 * NS_PER_DAY, "end_ns": 15_000 * NS_PER_DAY}
    return made


@pytest.mark.req("REG-05")
def test_recorded_prices_give_models_of_each_and_of_any_which_the_service_takes(daily: dict[str, Any]) -> None:
    found = fit_data(daily, [Timeframe.D1], each=True, labeled=True, progress=lambda said: None)
    assert [(model.instrument_id, model.timeframe) for model in found.models] == [
        ("EUR-USD.ECB", Timeframe.D1),
        ("*", Timeframe.D1),
    ]
    assert load_models(msgspec.json.encode(found).decode()) == found
    assert isinstance(found, Models)


@pytest.mark.req("REG-05")
def test_a_timeframe_that_the_data_does_not_have_is_one_clear_error(daily: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="timeframe 1h: no bars"):
        fit_data(daily, [Timeframe.H1], each=False, labeled=True, progress=lambda said: None)
