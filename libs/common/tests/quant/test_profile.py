"""Volume profile: the value area against brute force, levels against a plain count, the same bits bar by bar and over arrays."""

from __future__ import annotations

from collections import Counter
from math import floor, log

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from common.quant import profile
from common.quant.profile_levels import bin_of, levels, price_at, value_area

weights = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=14).filter(any)
COLUMNS = ("high", "low", "close", "volume", "seconds")


def market(seed: int, count: int, *, volumes: bool = True) -> dict[str, np.ndarray]:
    """Bars of five minutes with holes."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.002, count)))
    volume = rng.integers(0, 9, count) if volumes else np.zeros(count)
    minutes = 5 * np.cumsum(rng.choice([1, 1, 1, 2, 7, 30], count))
    return {
        "high": close * (1.0 + rng.uniform(0.0, 0.002, count)),
        "low": close * (1.0 - rng.uniform(0.0, 0.002, count)),
        "close": close,
        "volume": volume.astype(float),
        "seconds": minutes * 60.0,
    }


def over_arrays(of: dict[str, np.ndarray], days: int = 1) -> np.ndarray:
    return profile.profile(*(of[name] for name in COLUMNS), days)


def stream(of: dict[str, np.ndarray], state: np.ndarray, days: int = 1) -> np.ndarray:
    out = np.empty((of["close"].size, 4))
    for i, bar in enumerate(zip(*(of[name] for name in COLUMNS), strict=True)):
        profile.profile_step(state, *bar, days)
        out[i] = state[:4]
    return out


@pytest.mark.req("SIG-08")
@given(weights, st.sampled_from((0.5, 0.7, 0.9, 1.0)))
def test_the_value_area_is_the_shortest_run_around_the_largest_bin_that_holds_the_share(
    volumes: list[float], share: float
) -> None:
    poc, low, high = value_area(volumes, share)
    total = sum(volumes)
    assert volumes[poc] == max(volumes)
    assert max(volumes) not in volumes[:poc]
    runs = [
        (end - start, -sum(volumes[start : end + 1]), start)
        for start in range(poc + 1)
        for end in range(poc, len(volumes))
        if sum(volumes[start : end + 1]) >= share * total
    ]
    assert (high - low, -sum(volumes[low : high + 1]), low) == min(runs)


@pytest.mark.req("SIG-08")
@given(weights)
def test_the_compiled_value_area_is_the_plain_one(volumes: list[float]) -> None:
    assert profile.value_area(np.array(volumes), 0.7) == value_area(volumes, 0.7)


@pytest.mark.req("SIG-08")
@given(st.floats(1e-6, 1e6))
def test_a_bin_is_a_thousandth_of_the_price_wide_and_holds_its_price(price: float) -> None:
    number = bin_of(price)
    assert price_at(number) * (1 - 1e-9) <= price < price_at(number + 1) * (1 + 1e-9)
    assert price_at(number + 1) / price_at(number) == pytest.approx(1.001)
    assert profile.bin_of(price) == number == floor(log(price) / log(1.001))


@pytest.mark.req("SIG-08")
def test_levels_of_a_profile_by_hand_and_of_one_in_which_nothing_was_traded() -> None:
    found = levels(1000, [1.0, 2.0, 10.0, 4.0, 0.0, 3.0])
    assert found is not None
    assert found == pytest.approx((1.001**1002.5, 1.001**1004, 1.001**1002))
    assert levels(1000, [0.0, 0.0]) is None
    assert levels(1000, []) is None


@pytest.mark.req("SIG-08")
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 300), cut=st.integers(0, 300))
def test_bar_by_bar_is_over_arrays_even_after_a_restart(seed: int, count: int, cut: int) -> None:
    of, state = market(seed, count), np.zeros(profile.profile_words(1))
    first = stream({name: values[:cut] for name, values in of.items()}, state)
    second = stream({name: values[cut:] for name, values in of.items()}, state.copy())
    assert np.concatenate((first, second)).tobytes() == over_arrays(of).tobytes()


@pytest.mark.req("SIG-08", "RES-01")
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 300), factor=st.floats(0.3, 3.0))
def test_later_bars_never_change_a_level(seed: int, cut: int, factor: float) -> None:
    of = market(seed, 300)
    later = np.arange(300) >= cut
    changed = {name: np.where(later, values * factor, values) for name, values in of.items()}
    changed["seconds"] = of["seconds"]
    assert over_arrays(of)[:cut].tobytes() == over_arrays(changed)[:cut].tobytes()


@pytest.mark.req("SIG-08")
@pytest.mark.parametrize("volumes", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_levels_are_those_of_a_plain_count_over_the_last_hours_and_change_only_with_the_hour(
    seed: int, *, volumes: bool
) -> None:
    """Without any volume bars are counted."""
    of = market(seed, 700, volumes=volumes)
    got, hours = over_arrays(of), -(-of["seconds"] // 3600)
    typical, checked = (of["high"] + of["low"] + of["close"]) / 3.0, 0
    for i in range(0, 700, 7):
        over = np.unique(hours[: i + 1])
        over = over[over * 3600 <= of["seconds"][i]][-24:]
        if over.size < 24:
            assert np.isnan(got[i]).all()
            continue
        counted: Counter[int] = Counter()
        for k in np.flatnonzero(np.isin(hours[: i + 1], over)):
            counted[bin_of(typical[k])] += of["volume"][k] if volumes else 1
        first = min(counted)
        plain = [float(counted[first + n]) for n in range(max(counted) - first + 1)]
        assert got[i, :3] == pytest.approx(levels(first, plain), rel=1e-12)
        assert got[i, 3] == counted[bin_of(of["close"][i])] / max(plain)
        checked += 1
    assert checked > 40


@pytest.mark.req("SIG-08")
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_point_of_control_lies_in_the_value_area_and_shares_are_shares(seed: int) -> None:
    got = over_arrays(market(seed, 400))
    known = got[~np.isnan(got[:, 0])]
    assume(len(known))
    poc, vah, val, here = known.T
    assert ((val < poc) & (poc < vah)).all()
    assert ((here >= 0.0) & (here <= 1.0)).all()


def rising(hours: int) -> dict[str, np.ndarray]:
    """A day of one price, but for its last hours, each of which goes by 49 bins from the same one on, a volume each."""
    climb = 100.05 * 1.001 ** np.arange(49)
    seconds = np.concatenate(
        [np.arange(1, 25 - hours) * 3600.0, *(3600.0 * (k + (np.arange(49) + 1) / 49) for k in range(24 - hours, 24))]
    )
    close = np.concatenate([np.full(24 - hours, 100.05), *[climb] * hours])
    return {"high": close, "low": close, "close": close, "volume": np.ones(close.size), "seconds": seconds.round()}


@pytest.mark.req("SIG-08")
def test_a_wild_hour_among_quiet_ones_is_counted_price_by_price() -> None:
    poc, vah, val, here = over_arrays(rising(1))[-1]
    first = bin_of(100.05)
    assert poc == pytest.approx(price_at(first + 0.5))
    # 24 at the first price, one each at the next 48: 50.4 of 72 are wanted.
    assert (val, vah) == pytest.approx((price_at(first), price_at(first + 28)))
    assert here == pytest.approx(1 / 24)


@pytest.mark.req("SIG-08")
def test_where_every_hour_is_wild_a_day_knows_408_prices_and_every_later_hour_eight() -> None:
    """Eight hours are known by their 49 prices, the ninth by 16, the others by 8; the rest counts at the nearest of them."""
    poc, *_, here = over_arrays(rising(24))[-1]
    assert poc == pytest.approx(price_at(bin_of(100.05) + 7.5))
    assert here == pytest.approx(8 / (8 + 1 + 15 * 42))


@pytest.mark.req("SIG-08")
def test_a_price_off_the_scale_is_not_counted() -> None:
    """An hour is a hundred times as dear as the others."""
    close = np.where(np.arange(24) == 22, 10_000.0, 100.05)
    seconds, volume = np.arange(1, 25) * 3600.0, np.where(close > 1_000.0, 500.0, 1.0)
    poc, vah, val, here = over_arrays(
        {"high": close, "low": close, "close": close, "volume": volume, "seconds": seconds}
    )[-1]
    first = bin_of(100.05)
    assert (poc, val, vah, here) == pytest.approx((price_at(first + 0.5), price_at(first), price_at(first + 1), 1.0))


@pytest.mark.req("SIG-08")
@pytest.mark.parametrize("ever", [True, False])
def test_bars_in_which_nothing_was_traded_take_no_price_of_the_hour(ever: bool) -> None:
    """In the last hour quotes fall by twenty bins without a trade, then everything is traded 5 % above."""
    seconds = np.concatenate((np.arange(1, 24) * 3600.0, 23 * 3600.0 + np.arange(1, 21), [24 * 3600.0]))
    close = np.concatenate((np.full(23, 100.05), 100.05 * 1.001 ** -np.arange(20), [105.0]))
    volume = np.concatenate((np.full(23, float(ever)), np.zeros(20), [1_000.0]))
    poc, vah, val, here = over_arrays(
        {"high": close, "low": close, "close": close, "volume": volume, "seconds": seconds}
    )[-1]
    first = bin_of(105.0)
    assert (poc, val, vah, here) == pytest.approx((price_at(first + 0.5), price_at(first), price_at(first + 1), 1.0))


@pytest.mark.req("SIG-08")
def test_bars_are_counted_only_until_there_is_a_volume() -> None:
    of = market(1, 700)
    before = dict(of, volume=np.where(np.arange(700) < 100, 0.0, of["volume"] + 1.0))
    never = dict(of, volume=np.zeros(700))
    assert np.isfinite(over_arrays(never)[-1]).all()
    alone = {name: values[100:] for name, values in before.items()}
    np.testing.assert_array_equal(over_arrays(before)[-1], over_arrays(alone)[-1])


@pytest.mark.req("SIG-08", "MKT-06")
def test_the_state_of_a_week_is_small_enough_for_the_snapshots_of_a_hundred_series() -> None:
    assert 100 * 8 * profile.profile_words(7) < 8 * 2**20
