"""The limit sets of the profiles are those of the requirements (PFL-06, RSK-06)."""

from __future__ import annotations

from typing import Any

import pytest

from common.runtime.settings import load, profile_names, section
from risk_guardian.settings import Settings


def settings(profile: str) -> Settings:
    return section(load(profile), "risk_guardian", Settings)


@pytest.mark.req("PFL-06")
@pytest.mark.parametrize(
    ("profile", "wanted"),
    [
        (
            "crypto",
            {
                "max_position": 0.10,
                "max_currency": 0.10,
                "max_strategy_type": 0.15,
                "max_deployed": 0.70,
                "max_heat": 0.15,
                "max_correlated": 0.5,
            },
        ),
        ("crypto-perp", {"max_position": 0.40, "max_currency": 0.40, "max_correlated": 0.5}),
        ("multi-asset", {"max_sector": 0.30, "max_correlated": 0.5}),
        ("fx", {"max_correlated": 0.5}),
    ],
)
def test_a_profile_carries_the_limits_that_are_required_of_it(profile: str, wanted: dict[str, Any]) -> None:
    limits = settings(profile).limits
    assert {name: getattr(limits, name) for name in wanted} == wanted


@pytest.mark.req("PFL-06")
def test_every_us_sector_fund_has_its_sector_and_the_stocks_one_of_theirs() -> None:
    sectors = settings("multi-asset").limits.sectors
    funds = ("XLK", "XLF", "XLE", "XLV", "XLI", "XLP", "XLU", "XLY", "XLB", "XLRE", "XLC")
    assert len({sectors[fund] for fund in funds}) == len(funds)
    assert set(sectors.values()) == {sectors[fund] for fund in funds}


@pytest.mark.req("RSK-06")
@pytest.mark.parametrize("profile", profile_names())
def test_orders_are_cut_before_the_var_ladder_has_to_act(profile: str) -> None:
    made = settings(profile)
    assert 0.89 * made.ladders.var[0].trigger <= made.limits.max_var_95_1d < made.ladders.var[0].trigger
