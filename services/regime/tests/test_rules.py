"""The table of regimes: thresholds, order, confidence; and how long a label must hold."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.enums import Regime, VolState
from common.model.time import NS_PER_MINUTE
from regime.holding import Holding, observe, persistence
from regime.rules import Values, judge, vol_state
from regime.settings import Settings

NAN = float("nan")
SETTINGS = Settings()
QUIET = Values(
    adx=22.0,
    plus_di=20.0,
    minus_di=15.0,
    chop=50.0,
    atr=1.0,
    atr_percentile=0.5,
    atr_ratio=1.0,
    bb_width=0.05,
    vol_ratio=1.0,
    close=100.0,
)


@pytest.mark.req("REG-01", "REG-02")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Regime.UNCERTAIN),
        ({"adx": 25.1}, Regime.TRENDING_UP),
        ({"adx": 25.1, "plus_di": 14.0}, Regime.TRENDING_DOWN),
        ({"adx": 25.1, "chop": 61.9}, Regime.CHOPPY),
        ({"chop": 38.1}, Regime.TRENDING_UP),
        ({"chop": 38.1, "adx": 19.9}, Regime.RANGING),
        ({"chop": 61.9}, Regime.CHOPPY),
        ({"adx": 19.9}, Regime.RANGING),
        ({"bb_width": 0.029}, Regime.RANGING),
        ({"atr_ratio": 2.1}, Regime.VOLATILE),
        ({"adx": 40.0, "atr_ratio": 2.1}, Regime.VOLATILE),
        ({"vol_ratio": 2.6}, Regime.VOLATILE),
        ({"atr_percentile": 0.95}, Regime.UNCERTAIN),
        ({"atr_percentile": 0.95, "vol_ratio": 1.5}, Regime.VOLATILE),
        ({"adx": NAN, "atr_ratio": 2.1}, Regime.UNCERTAIN),
        ({"adx": 30.0, "atr_percentile": NAN, "vol_ratio": NAN}, Regime.TRENDING_UP),
    ],
)
def test_values_get_the_label_of_the_first_rule_that_applies(changes: Mapping[str, float], expected: Regime) -> None:
    assert judge(QUIET._replace(**changes), SETTINGS)[0] is expected


anything = st.floats(0.0, 200.0) | st.just(NAN)


@pytest.mark.req("REG-01")
@given(st.builds(Values, *[anything] * 10))
def test_there_is_always_exactly_one_label_and_confidence_is_zero_only_where_uncertain(values: Values) -> None:
    label, confidence = judge(values, SETTINGS)
    assert label is not Regime.CRISIS
    assert confidence == 0.0 if label is Regime.UNCERTAIN else 0.5 <= confidence <= 1.0


@pytest.mark.req("REG-01")
def test_a_stronger_trend_is_more_certain() -> None:
    weak, strong = QUIET._replace(adx=26.0), QUIET._replace(adx=48.0, chop=30.0, minus_di=2.0)
    assert judge(weak, SETTINGS)[1] < judge(strong, SETTINGS)[1]


@pytest.mark.req("REG-02")
@pytest.mark.parametrize(
    ("ratio", "state"),
    [
        (1.49, VolState.NORMAL),
        (1.5, VolState.ELEVATED),
        (2.5, VolState.ELEVATED),
        (2.51, VolState.STRESS),
        (NAN, VolState.NORMAL),
    ],
)
def test_volatility_is_elevated_from_one_and_a_half_and_stress_above_two_and_a_half(
    ratio: float, state: VolState
) -> None:
    assert vol_state(ratio, SETTINGS) is state


@pytest.mark.req("REG-02")
@pytest.mark.parametrize(
    "contradiction",
    [{"adx_range": 30.0}, {"chop_trend": 70.0}, {"vol_elevated": 3.0}],
)
def test_thresholds_that_contradict_each_other_are_refused(contradiction: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError, match="Expected"):
        msgspec.convert(contradiction, Settings)


HOLD_NS = 15 * NS_PER_MINUTE


def held(labels: list[Regime], minutes: int = 5) -> list[Regime]:
    """The stable regime after each verdict, `minutes` apart."""
    holding, stable = Holding(since_ns=0, pending_ns=0), []
    for i, label in enumerate(labels):
        observe(holding, label, i * minutes * NS_PER_MINUTE, HOLD_NS)
        stable.append(holding.stable)
    return stable


@pytest.mark.req("REG-04")
def test_a_change_is_stable_only_after_fifteen_minutes_without_a_break() -> None:
    up, choppy, unsure = Regime.TRENDING_UP, Regime.CHOPPY, Regime.UNCERTAIN
    assert held([up, up, up, up]) == [unsure, unsure, unsure, up]
    assert held([up, up, choppy, up, up, up, up]) == [*[unsure] * 6, up]
    assert held([up] * 4 + [choppy, up, choppy, choppy, choppy, choppy])[-2:] == [up, choppy]


@pytest.mark.req("REG-04", "REG-03")
def test_a_crisis_is_stable_at_once_and_leaving_it_takes_fifteen_minutes() -> None:
    crisis, calm = Regime.CRISIS, Regime.RANGING
    assert held([crisis, calm, calm, calm, calm]) == [crisis, crisis, crisis, crisis, calm]


@pytest.mark.req("REG-04")
def test_on_a_timeframe_longer_than_the_holding_time_the_next_bar_confirms() -> None:
    up = Regime.TRENDING_UP
    assert held([up, up], minutes=24 * 60) == [Regime.UNCERTAIN, up]


@pytest.mark.req("REG-04")
@given(st.lists(st.tuples(st.sampled_from(Regime), st.integers(1, 20)), min_size=1, max_size=60))
def test_persistence_sums_to_the_age_of_the_series_and_regimes_never_change_faster_than_they_may(
    verdicts: list[tuple[Regime, int]],
) -> None:
    holding, ts, before = Holding(since_ns=0, pending_ns=0), 0, Regime.UNCERTAIN
    changes = 0
    for label, minutes in verdicts:
        ts += minutes * NS_PER_MINUTE
        observe(holding, label, ts, HOLD_NS)
        if holding.stable is not before:
            changes += 1
            assert holding.stable is label
            assert label is Regime.CRISIS or ts - holding.pending_ns >= HOLD_NS
        before = holding.stable
    statistics = persistence(holding, ts)
    assert sum(one.held_ns for one in statistics.values()) == ts
    assert sum(one.episodes for one in statistics.values()) == changes + 1
