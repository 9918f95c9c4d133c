"""Experiments name what they change; what does not exist cannot be changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from research.overrides import with_values


def config() -> dict[str, Any]:
    return {"portfolio": {"drift_band": 0.2, "exits": {"enabled": False}}, "signals": {"params": {}}}


@pytest.mark.req("RES-05")
def test_only_the_named_keys_of_the_copy_change() -> None:
    before = config()
    after = with_values(before, {"portfolio.exits.enabled": True})
    assert after == {"portfolio": {"drift_band": 0.2, "exits": {"enabled": True}}, "signals": {"params": {}}}
    assert before == config()


@pytest.mark.req("SIG-04")
def test_parameters_of_a_strategy_need_no_table_of_their_own_before() -> None:
    after = with_values(config(), {"signals.params.sma_cross.NORMAL": {"fast": 5}, "signals.params.ema.NORMAL.slow": 9})
    assert after["signals"]["params"] == {"sma_cross": {"NORMAL": {"fast": 5}}, "ema": {"NORMAL": {"slow": 9}}}


@pytest.mark.req("RES-05")
@pytest.mark.parametrize(
    "key", ["portfolio.nothing", "nothing.drift_band", "portfolio.drift_band.more", "drift_band", ""]
)
def test_a_key_that_does_not_exist_is_refused_by_name(key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: no such key"):
        with_values(config(), {key: 1})


@pytest.mark.req("RES-05")
@given(st.floats(allow_nan=False), st.booleans())
def test_values_are_taken_as_they_are_and_in_any_order(band: float, enabled: bool) -> None:
    changes = {"portfolio.drift_band": band, "portfolio.exits.enabled": enabled}
    assert with_values(config(), changes) == with_values(config(), dict(reversed(changes.items())))
    assert with_values(config(), changes)["portfolio"]["drift_band"] == band
