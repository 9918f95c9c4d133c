"""What the test lets pass, and what not: on made-up measurements, so that every rule is met alone."""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import DataError
from research.optimize.measure import METRICS, Measured
from research.updates.impact import StepImpact, Tolerances, compared
from research.updates.ranges import Values

pytestmark = pytest.mark.req("RES-06")

NOISE = np.random.default_rng(3).normal(0.0004, 0.01, 1000)
VALUES: Values = {"a": 1}
LIMITS = Tolerances(replications=500)


def measured(returns: np.ndarray, **metrics: float | None) -> Measured:
    figures: dict[str, float | None] = {**dict.fromkeys(METRICS), "sharpe": 0.6, "max_drawdown": 0.1, "turnover": 10.0}
    days = list(range(len(returns)))
    return Measured(metrics={**figures, **metrics}, returns=returns.tolist(), day_ns=days, days_a_year=252)


def judged(after: Measured) -> StepImpact:
    return compared(VALUES, measured(NOISE), after, LIMITS)


def test_what_changes_nothing_passes() -> None:
    found = judged(measured(NOISE))
    assert (found.reasons, found.sharpe_difference, found.return_difference) == ((), None, None)


def test_what_is_better_passes_with_its_interval() -> None:
    found = judged(measured(NOISE + 0.0002))
    assert found.reasons == ()
    assert found.return_difference is not None
    assert found.return_difference.estimate == pytest.approx(0.0002 * 252)


def test_a_loss_every_day_is_worse_beyond_chance_however_small_it_is() -> None:
    (reason, other) = judged(measured(NOISE - 0.00002)).reasons
    assert "Sharpe ratio worse beyond chance" in reason
    assert "return worse beyond chance" in other


def test_a_much_lower_sharpe_ratio_is_refused_even_where_it_may_be_chance() -> None:
    other = np.random.default_rng(4).normal(0.0002, 0.01, 1000)
    found = judged(measured(other))
    assert found.sharpe_difference is not None
    assert found.sharpe_difference.high > 0
    assert [reason.endswith("lower") for reason in found.reasons] == [True]


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ({"max_drawdown": 0.111}, "drawdown 0.1110 instead of 0.1000"),
        ({"turnover": 12.6}, "turnover 12.60 a year instead of 10.00"),
        ({"halts": 1.0}, "1 halts instead of 0"),
        ({"sharpe": None}, "does not trade any more"),
    ],
)
def test_each_tolerance_refuses_alone(metrics: dict[str, float | None], reason: str) -> None:
    assert judged(measured(NOISE, **metrics)).reasons == (reason,)


def test_inside_the_tolerances_nothing_is_refused() -> None:
    assert judged(measured(NOISE, max_drawdown=0.1099, turnover=12.5)).reasons == ()


def test_too_few_days_prove_nothing() -> None:
    few = measured(NOISE[:100])
    assert compared(VALUES, few, few, LIMITS).reasons == ("100 days held out, expected at least 250",)


def test_runs_over_other_days_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="other days"):
        compared(VALUES, measured(NOISE), measured(NOISE[1:]), LIMITS)
