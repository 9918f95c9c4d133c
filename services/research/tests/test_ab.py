"""Every feature is found in the configuration, switched off alone, and judged by paired differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast_cli.configuration import effective
from common.runtime.settings import profile_names
from market_data.source import source
from research.backtest import cores
from research.overrides import with_values
from research.truth.ab import CONFIGURED, Outcome, compare, contributions, holm
from research.truth.features import Feature, all_on, features


def config(profile: str = "fx", data: str = "synthetic:trend") -> dict[str, Any]:
    return effective(profile, data=data)


def leaves(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{prefix}.{key}")
    else:
        yield prefix, value


@pytest.mark.req("RES-03")
@pytest.mark.parametrize("profile", profile_names())
def test_every_feature_of_a_profile_can_be_switched_off_alone(profile: str) -> None:
    everything = all_on(config(profile))
    found = features(everything)

    names = [each.name for each in found]
    assert len(names) == len(set(names))
    assert {"portfolio.exits", "execution.algorithms", "ladder drawdown", "risk_guardian.limits.resize"} <= set(names)
    assert sum(name.startswith("strategy ") for name in names) == 10
    for each in found:
        without = with_values(everything, each.off)
        cores(without)  # every value is one its settings take
        was, became = dict(leaves(everything)), dict(leaves(without))
        changed = {key.lstrip(".") for key in was.keys() | became.keys() if was.get(key) != became.get(key)}
        assert changed == set(each.off), each.name


@pytest.mark.req("RES-03")
def test_a_feature_that_comes_later_joins_by_itself() -> None:
    made = config()
    made["portfolio"]["later"] = {"enabled": False, "deep": {"enabled": True}}
    found = {each.name: each.off for each in features(all_on(made))}

    assert found["portfolio.later"] == {"portfolio.later.enabled": False}
    assert found["portfolio.later.deep"] == {"portfolio.later.deep.enabled": False}


@pytest.mark.req("RES-03")
def test_neither_the_guardian_nor_costs_nor_all_strategies_can_be_switched_off() -> None:
    found = features(all_on(config()))
    keys = {key for each in found for key in each.off}
    assert not any("bps" in key or "spread" in key or "latency" in key for key in keys)
    ladders = [each for each in found if each.name.startswith("ladder ")]
    assert all(len(each.off) == 1 for each in ladders)
    one = with_values(config(), {"signals.strategies": ["ma_slope"]})
    assert not [each for each in features(one) if each.name.startswith("strategy ")]


@pytest.mark.req("RES-01")
@pytest.mark.parametrize("profile", profile_names())
def test_costs_are_on_by_default(profile: str) -> None:
    """Commission in every profile (fx: 0.2 bps, what a raw-spread broker takes), and a spread on every instrument."""
    made = config(profile)
    assert made["execution"]["taker_bps"] > 0
    assert made["execution"]["maker_bps"] > 0
    assert made["execution"]["latency_ms"] > 0
    instruments = source(config("fx", "builtin")).feed.instruments
    assert all(instrument.half_spread > 0 for instrument in instruments)


@pytest.mark.req("RES-03")
def test_the_comparison_has_everything_the_profile_and_each_feature_on_the_same_days() -> None:
    made = with_values(config(), {"signals.timeframes": ["1h"], "signals.strategies": ["ma_slope", "pullback"]})
    made["market_data"]["symbols"] = ["EUR-USD"]
    made["run"]["end_ns"] = 1_704_067_200_000_000_000 + 60 * 86_400 * 10**9
    heard: list[str] = []

    found = compare(
        made, only=("strategy", "connection"), replications=200, said=lambda number, name: heard.append(name)
    )

    by_name = {each.feature: each for each in found.contributions}
    assert list(by_name) == ["strategy ma_slope", "strategy pullback", "ladder connection"]
    assert heard == ["all on", *by_name, CONFIGURED]
    assert found.configured is not None  # exits and algorithms are off in the profile
    idle = by_name["ladder connection"]  # the paper venue never goes away
    assert (idle.active, idle.annual_return, idle.p_value) == (False, None, None)
    slope = by_name["strategy ma_slope"]
    assert slope.active
    assert slope.annual_return is not None
    assert slope.annual_return.low <= slope.annual_return.estimate <= slope.annual_return.high
    assert slope.without.trades < found.everything.trades
    assert np.array_equal(slope.without.days, found.everything.days)


def outcome(name: str, returns: np.ndarray) -> Outcome:
    equity = 100_000.0 * np.cumprod(np.concatenate([[1.0], 1.0 + returns]))
    return Outcome(
        name=name,
        total_return=None,
        sharpe=None,
        max_drawdown=None,
        commission=0.0,
        turnover=0.0,
        trades=0,
        fills=0,
        halts=0,
        digest=name,
        days=np.arange(equity.size),
        equity=equity,
        days_a_year=252,
        features_off=(),
    )


@pytest.mark.req("RES-03")
def test_a_feature_that_adds_two_points_a_year_is_seen_though_the_market_moves_fifty_times_as_much() -> None:
    rng = np.random.default_rng(4)
    market = rng.normal(0, 0.01, 1000)
    gain = 0.02 / 252 + rng.normal(0, 0.0001, 1000)
    useful, noise = outcome("useful", market - gain), outcome("noise", market + rng.normal(0, 0.0001, 1000))

    found = contributions(outcome("all", market), [useful, noise], seed=1, replications=1000)

    assert found[0].annual_return is not None
    assert found[0].annual_return.estimate == pytest.approx(float(gain.mean()) * 252)
    assert 0.0 < found[0].annual_return.low < 0.02 < found[0].annual_return.high
    assert found[0].p_value is not None
    assert found[0].p_value < 0.01
    assert found[1].p_value is not None
    assert found[1].p_value > 0.05


@pytest.mark.req("RES-03")
def test_holm_corrects_as_in_his_example() -> None:
    corrected = holm([0.01, None, 0.04, 0.03, 0.005])  # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") in R
    assert corrected == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06), pytest.approx(0.02)]


@given(st.lists(st.floats(0.0, 1.0), max_size=20))
def test_correction_never_makes_a_p_value_smaller_nor_changes_their_order(values: list[float]) -> None:
    corrected = holm(values)
    assert all(was <= now <= 1.0 for was, now in zip(values, corrected, strict=True) if now is not None)
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [corrected[i] for i in order] == sorted(corrected[i] for i in order)  # type: ignore[type-var]


def test_a_feature_is_plain_data() -> None:
    each = Feature(name="x", off={"portfolio.exits.enabled": False})
    assert msgspec.json.decode(msgspec.json.encode(each), type=Feature) == each
