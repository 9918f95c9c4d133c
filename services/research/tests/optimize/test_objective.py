"""What is sought and what is demanded, in words."""

from __future__ import annotations

from math import inf

import pytest

from common.errors import ConfigError
from research.optimize.objective import Constraint, constraint, objective, score, violations

METRICS = {"sharpe": 1.5, "max_drawdown": 0.12, "trades": 30.0, "calmar": None}


@pytest.mark.req("RES-05")
@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("max_drawdown<0.10", False),
        ("max_drawdown < 0.12", False),
        ("max_drawdown <= 0.12", True),
        ("max_drawdown<0.13", True),
        ("trades>=30", True),
        ("trades>30", False),
        ("trades > 2.9e1", True),
        ("calmar>0", False),
    ],
)
def test_a_condition_is_met_or_not(text: str, met: bool) -> None:
    assert (constraint(text).violation(METRICS) <= 0) is met


def test_how_far_a_condition_is_missed_is_finite_for_the_storage() -> None:
    assert constraint("calmar>0").violation(METRICS) == inf
    assert violations([constraint("calmar>0"), constraint("trades>=40")], METRICS) == [1e308, 10.0]
    assert str(constraint("max_drawdown<0.10")) == "max_drawdown < 0.1" == str(Constraint("max_drawdown", "<", 0.1))


@pytest.mark.parametrize(
    "text", ["", "sharpe", "sharpe=1", "sharp>1", "sharpe>1.2.3", "sharpe>-", "sharpe>1 and trades>2"]
)
def test_another_condition_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--constraint .*expected"):
        constraint(text)


@pytest.mark.req("RES-05")
def test_more_is_better_so_a_drawdown_counts_negative() -> None:
    assert objective("drawdown") == objective("-drawdown") == "drawdown"
    assert score("drawdown", METRICS) == -0.12
    assert score("sharpe", METRICS) == 1.5
    assert score("calmar", METRICS) is None
    with pytest.raises(ConfigError, match=r"^--objective sharp: expected one of sharpe, sortino"):
        objective("sharp")
