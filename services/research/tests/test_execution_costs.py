"""Execution algorithms against market orders at once, on the same bars (EXE-05, EXE-06)."""

from __future__ import annotations

from typing import Any

import pytest

from research.execution_costs import execution_costs


def trial(*, maker_bps: float, seed: int = 1) -> dict[str, Any]:
    config = {
        "market_data": {"symbols": ["EUR-USD"]},
        "execution": {"taker_bps": 5, "maker_bps": maker_bps},
        "run": {"data": "synthetic:calm:1m"},
    }
    return execution_costs(config, orders=20, seed=seed)


@pytest.mark.req("EXE-05", "EXE-06")
def test_where_makers_pay_less_orders_are_posted_all_of_them_fill_and_they_cost_what_was_expected() -> None:
    found = trial(maker_bps=1)["all/standard"]
    assert (found["orders"], found["filled_completely"], found["algorithms"]) == (20, 1.0, {"LIMIT": 20})
    assert found["cost_reduction"] > 0.4
    assert found["maker_share"] > 0.6
    assert found["worked_bps"] == pytest.approx(found["expected_bps"], abs=3 * found["saved_standard_error_bps"])


@pytest.mark.req("EXE-05")
def test_where_nothing_is_to_be_gained_both_ways_are_the_same() -> None:
    found = trial(maker_bps=5)["all/large"]
    assert (found["algorithms"], found["cost_reduction"], found["maker_share"]) == ({"MARKET": 20}, 0.0, 0.0)
    assert found["naive_bps"] == pytest.approx(5 + found["slippage_bps"]["naive"], abs=2e-3)


def test_the_same_seed_trades_the_same_orders() -> None:
    first, second = trial(maker_bps=1), trial(maker_bps=1)
    assert first == second
    assert trial(maker_bps=1, seed=2)["all/standard"] != first["all/standard"]
