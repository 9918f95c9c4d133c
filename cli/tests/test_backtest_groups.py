"""`ballast backtest` tells results by group: as JSON for programs, as a table for people."""

from __future__ import annotations

import pytest
from support.command import Ballast

SPAN = ("--from", "2015-01-01", "--to", "2015-06-01", "--no-keep")


@pytest.mark.req("RES-02")
def test_results_are_told_by_group(ballast: Ballast) -> None:
    told = ballast("backtest", *SPAN, "--json").json
    assert list(told["groups"]) == ["strategy", "regime", "session", "timeframe", "volume"]
    assert sum(one["trades"] for one in told["groups"]["regime"].values()) == told["metrics"]["trades"] > 5
    assert list(told["groups"]["volume"]) == ["NONE"]  # reference rates have none
    assert told["costs"]["financing"] > 0

    lines = ballast("backtest", *SPAN).out.splitlines()
    assert not [line for line in lines if line.startswith("groups")]
    for name, one in told["groups"]["strategy"].items():
        [line] = [line for line in lines if line.split()[:2] == ["strategy", name]]
        assert f"{one['profit']:,.2f}" in line.split()
