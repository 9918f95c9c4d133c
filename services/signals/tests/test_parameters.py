"""Other parameters for a strategy, from the configuration: replaced where they fit, refused by name where they do not."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import ConfigError
from common.model.enums import VolState
from common.runtime.settings import section
from signals.features import Sma
from signals.loader import load_strategies, with_params
from signals.settings import Settings

NORMAL, ELEVATED, STRESS = VolState.NORMAL, VolState.ELEVATED, VolState.STRESS
SHIPPED = {strategy.id: strategy for strategy in load_strategies(Settings())}
CROSS = SHIPPED["sma_cross_20_50"]


@pytest.mark.req("SIG-04")
def test_named_parameters_are_replaced_and_everything_else_stays() -> None:
    changed = with_params(CROSS, {NORMAL: {"fast": 5}, STRESS: {"fast": 30, "slow": 90}})
    assert changed.params == {
        NORMAL: {"fast": 5, "slow": 50},
        ELEVATED: CROSS.params[ELEVATED],
        STRESS: {"fast": 30, "slow": 90},
    }
    assert changed.features(changed.params[NORMAL])["fast"] == Sma(5)
    assert (changed.id, changed.decide, changed.directions) == (CROSS.id, CROSS.decide, CROSS.directions)
    assert CROSS.params[NORMAL] == {"fast": 20, "slow": 50}
    assert with_params(CROSS, {}) is CROSS


@pytest.mark.req("SIG-04")
def test_the_configuration_changes_one_strategy_and_leaves_the_others() -> None:
    config = {"signals": {"params": {"macd_signal": {"NORMAL": {"fast": 8.0, "signal": 5}}}}}
    loaded = {strategy.id: strategy for strategy in load_strategies(section(config, "signals", Settings))}
    assert loaded["macd_signal"].params == {NORMAL: {"fast": 8, "slow": 26, "signal": 5}}
    assert all(loaded[name].params == SHIPPED[name].params for name in SHIPPED if name != "macd_signal")


@pytest.mark.req("SIG-04")
def test_parameters_of_a_strategy_that_does_not_run_are_no_error() -> None:
    settings = Settings(strategies=("ma_slope",), params={"macd_signal": {NORMAL: {"fast": 8}}})
    assert [strategy.params for strategy in load_strategies(settings)] == [SHIPPED["ma_slope"].params]


@pytest.mark.req("SIG-04")
@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        (
            {"nobody": {NORMAL: {"fast": 1}}},
            r"signals\.params\.nobody: no such strategy; expected some of .*ema_cross_20_50,",
        ),
        (
            {"macd_signal": {STRESS: {"fast": 1}}},
            r"signals\.params\.macd_signal\.STRESS: \['fast'\]; expected some of NORMAL: fast, slow, signal$",
        ),
        (
            {"ema_cross_20_50": {ELEVATED: {"fast": 1, "speed": 2}}},
            r"ema_cross_20_50\.ELEVATED: \['fast', 'speed'\]; expected some of NORMAL: fast, slow, ELEVATED: fast, slow$",
        ),
        (
            {"sma_cross_20_50": {NORMAL: {"fast": 2.5}}},
            r"signals\.params\.sma_cross_20_50: Sma: period 2\.5: expected a whole number of bars from 1 to 100000$",
        ),
    ],
)
def test_what_does_not_fit_is_refused_naming_key_value_and_expectation(params: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_strategies(Settings(params=params))


@pytest.mark.req("SIG-04")
def test_other_parameters_change_what_is_said(run: Any, walk: Any) -> None:
    bars, cross = walk(200), SHIPPED["sma_cross_20_50"]
    first = {
        fast: next(step.step for step in run(bars, strategies=[with_params(cross, {NORMAL: params})]) if step.signals)
        for fast, params in ((20, {}), (3, {"fast": 3, "slow": 10}))
    }
    assert first == {
        20: 51,
        3: 16,
    }  # the slow average is warm for two bars; at 3 and 10 the true range of 14 bars is later
