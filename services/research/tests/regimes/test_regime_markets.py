"""Labeled markets are what their parameters say, the parameters are those of real prices, and the exact filter is exact."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import pytest
from scipy import integrate, linalg, stats

from research.regimes import labels
from research.regimes.markets import (
    BUILD_UP,
    PHASES,
    STATES,
    STRESSED,
    bars_of,
    ceiling,
    closes,
    generator,
    leaves,
    moments,
    simulate,
    student,
    transition,
    with_range,
)
from research.regimes.scores import calibration
from research.regimes.worlds import (
    CRYPTO,
    EVALUATION_SEEDS,
    FX,
    TUNING_SEEDS,
    WORLDS,
    World,
)

SEED: Final = 1
ALL = pytest.mark.parametrize("world", WORLDS.values(), ids=list(WORLDS))


@pytest.mark.req("REG-09")
@ALL
def test_steps_are_the_exponential_of_the_rates(world: World) -> None:
    expected = linalg.expm(generator(world) / world.bars_a_day)
    np.testing.assert_allclose(transition(world), expected, atol=1e-8)
    np.testing.assert_allclose(transition(world).sum(axis=1), 1.0, atol=1e-9)


@pytest.mark.req("REG-09")
def test_tuning_and_evaluation_never_share_a_seed() -> None:
    assert not set(TUNING_SEEDS) & set(EVALUATION_SEEDS)


@pytest.mark.req("REG-09")
def test_the_same_seed_gives_the_same_market_and_another_one_another() -> None:
    one, again, other = (simulate(CRYPTO, seed, 500) for seed in (SEED, SEED, SEED + 1))
    np.testing.assert_array_equal(one.prices, again.prices)
    np.testing.assert_array_equal(one.volume, again.volume)
    assert (one.prices != other.prices).any()


@pytest.mark.req("REG-09")
@ALL
def test_bars_are_bars(world: World) -> None:
    market = simulate(world, SEED, 2_000)
    open_, high, low, close = market.prices.T
    assert (high >= np.maximum(open_, close)).all()
    assert (low <= np.minimum(open_, close)).all()
    assert (low > 0).all()
    np.testing.assert_allclose(open_[1:], close[:-1], rtol=1e-12)
    assert (np.diff(market.ts) > 0).all()
    np.testing.assert_array_equal(market.stressed, market.states % PHASES == STRESSED)


@pytest.mark.req("REG-09")
def test_a_market_without_weekends_has_none() -> None:
    ts = closes(FX, 24 * 30) - 1
    weekday = (ts // 86_400_000_000_000 + 3) % 7
    assert set(weekday.tolist()) == set(range(5))


@pytest.mark.req("REG-09")
@ALL
def test_states_last_as_long_as_the_chain_says(world: World) -> None:
    values, vectors = np.linalg.eig(transition(world).T)
    stationary = np.real(vectors[:, np.argmax(np.real(values))])
    stationary /= stationary.sum()
    states = simulate(world, SEED, 400_000).states
    shares = np.bincount(states, minlength=STATES) / states.size
    np.testing.assert_allclose(shares, stationary, atol=0.06)


@pytest.mark.req("REG-09")
def test_announced_shifts_have_a_build_up_and_memoryless_ones_none() -> None:
    for name in ("crypto", "crypto-announced", "fx", "fx-announced"):  # of days, many build-ups lie within a bar
        states = simulate(WORLDS[name], SEED, 50_000).states % PHASES
        before = states[:-1][(states[1:] == STRESSED) & (states[:-1] != STRESSED)]
        share = float(np.mean(before == BUILD_UP))
        assert share == pytest.approx(0.8 if name.endswith("announced") else 0.0, abs=0.1)


@pytest.mark.req("REG-09")
def test_shocks_have_unit_variance_and_the_tails_of_student() -> None:
    shocks, mixing = student(np.random.Generator(np.random.PCG64(1)), 9.0, 200_000)
    assert shocks.var() == pytest.approx(1.0, abs=0.02)
    assert mixing.mean() == pytest.approx(1.0, abs=0.02)
    assert stats.kstest(shocks * np.sqrt(9.0 / 7.0), stats.t(9.0).cdf).pvalue > 0.01


@pytest.mark.req("REG-09")
def test_a_bar_reaches_as_far_as_a_brownian_path() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    moves = rng.standard_normal(200_000)
    open_, high, low, _ = np.log(with_range(moves * 1e-3, np.full(moves.size, 1e-6), rng).T)
    mean = np.sqrt(2.0 / np.pi)  # of the running maximum at time 1 (reflection principle)
    assert ((high - open_) / 1e-3).mean() == pytest.approx(mean, abs=0.01)
    assert ((open_ - low) / 1e-3).mean() == pytest.approx(mean, abs=0.01)


@pytest.mark.req("REG-09")
def test_the_density_of_the_exact_filter_is_the_integral_over_the_bars_variance() -> None:
    """Of two states, a bar's odds by numbers from quadrature and by the closed form."""
    dof, move, up, down = 3.1, 0.8, 1.1, -0.3

    def density(scale: float) -> float:
        def at(variance: float) -> float:
            shape = stats.invgamma(dof / 2.0, scale=(dof - 2.0) / 2.0 * scale**2).pdf(variance)
            high = 2.0 * (2.0 * up - move) / variance * np.exp(-2.0 * up * (up - move) / variance)
            low = 2.0 * (move - 2.0 * down) / variance * np.exp(-2.0 * down * (down - move) / variance)
            return float(shape * stats.norm(0.0, np.sqrt(variance)).pdf(move) * high * low)

        return float(integrate.quad(at, 0.0, np.inf, limit=200)[0])

    def closed(scale: float) -> float:
        rate = (dof - 2.0) * scale**2 / 2.0
        far = move**2 / 2.0 + 2.0 * (up * (up - move) + down * (down - move))
        return float(rate ** (dof / 2.0) * (rate + far) ** (-dof / 2.0 - 2.5))

    assert density(1.4) / density(0.7) == pytest.approx(closed(1.4) / closed(0.7), rel=1e-6)


def hurried(world: World) -> World:
    """Trends change twenty times as often and drift four times as far: enough of them for frequencies to be seen."""
    cells = tuple(
        tuple(
            msgspec.structs.replace(cell, drift=4 * cell.drift, to_trend=tuple(20 * rate for rate in cell.to_trend))
            for cell in pair
        )
        for pair in world.cells
    )
    return msgspec.structs.replace(world, cells=cells)


@pytest.mark.req("REG-09")
@ALL
def test_what_the_exact_filter_calls_likely_happens_as_often(world: World) -> None:
    """It knows the truth but for chance, so its probabilities are frequencies: a wrong formula would show here."""
    market = simulate(hurried(world), SEED, 200_000)
    known = ceiling(market)
    for forecast, happened in (
        (known.stressed, market.stressed.astype(float)),
        (known.trend[:, 0], (market.trend == 0).astype(float)),
        (known.change_48h, labels.changes_within(market.trend, market.stressed, bars_of(world.timeframe, 48))),
    ):
        found = calibration(forecast, happened)
        assert found is not None
        assert found.skill is not None
        assert found.skill > 0
        for one in found.reliability:
            if one.count > 3_000:
                assert one.observed == pytest.approx(one.forecast, abs=0.04)


@pytest.mark.req("REG-09")
def test_one_volatility_for_all_trends_is_the_exact_filter_where_that_is_true_and_worse_where_it_is_not() -> None:
    def right(*, shared: bool) -> float:
        markets = [simulate(FX, seed) for seed in range(1, 7)]
        return float(np.mean([np.argmax(ceiling(one, shared=shared).trend, axis=1) == one.trend for one in markets]))

    one = tuple(
        tuple(msgspec.structs.replace(cell, sigma=sigma) for cell, sigma in zip(pair, (0.7, 1.4), strict=True))
        for pair in FX.cells
    )
    same = simulate(msgspec.structs.replace(FX, cells=one), SEED, 5_000)
    np.testing.assert_allclose(ceiling(same, shared=True).trend, ceiling(same).trend, rtol=1e-6)
    assert right(shared=True) < right(shared=False) - 0.02


@pytest.mark.req("REG-09")
def test_the_exact_filter_does_not_see_the_future() -> None:
    market = simulate(CRYPTO, SEED, 600)
    prices = market.prices.copy()
    prices[400:, 1] *= 1.05
    before, after = ceiling(market), ceiling(market._replace(prices=prices))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one[:400], other[:400])
    assert (before.stressed[400:] != after.stressed[400:]).any()


@pytest.mark.req("REG-06")
def test_leaving_is_never_less_likely_within_longer() -> None:
    chain = transition(CRYPTO)
    ways = np.array([leaves(chain, bars) for bars in (1, 6, 24, 48)])
    assert (np.diff(ways, axis=0) >= 0).all()
    assert ((ways >= 0) & (ways <= 1)).all()


@pytest.mark.req("REG-09")
def test_volatility_of_a_build_up_lies_between_calm_and_stressed() -> None:
    for world in WORLDS.values():
        _, sigma = moments(msgspec.structs.replace(world))
        by_phase = sigma.reshape(-1, PHASES)
        assert (np.diff(by_phase, axis=1) > 0).all()
