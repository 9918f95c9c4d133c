"""How large a share of the book is: PFL-03 by hand, tiers, correlation."""

from __future__ import annotations

from decimal import Decimal
from math import exp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.enums import Tier
from portfolio import sizing
from portfolio.settings import Settings


@pytest.mark.req("PFL-02", "PFL-03")
@pytest.mark.parametrize(
    ("changes", "qty", "base"),
    [
        ({}, 6000, 120),  # 100,000 x 60 % x 0.2 % = 120, lost over 2 cents a unit
        ({"tier": Tier.GROWTH}, 3000, 60),
        ({"tier": Tier.TACTICAL}, 1000, 20),
        ({"vol_ratio": 2.0}, 3000, 120),  # normal over current volatility
        ({"vol_ratio": 0.5}, 6000, 120),  # calm is no reason to bet more
        ({"vol_ratio": None}, 6000, 120),
        ({"size_factor": 0.75}, 4500, 120),
        ({"vol_ratio": 2.0, "size_factor": 0.4, "stop_fraction": 0.03}, 800, 120),
        ({"stop_fraction": 0.019}, 6315, 120),  # 6315.79, never more than asked
    ],
)
def test_size_is_base_times_volatility_times_regime_over_the_loss_at_the_stop(
    desk: Any, say: Any, changes: dict[str, Any], qty: int, base: int
) -> None:
    (target,) = desk().step(say(**changes), eur=1.0).targets
    (share,) = target.contributions
    assert (target.signed_qty, share.base) == (qty, base)
    assert share.risk == qty * Decimal(str(changes.get("stop_fraction", 0.02)))
    assert share.regime_adjustment == changes.get("size_factor", 1.0)


@pytest.mark.req("PFL-03")
def test_money_at_risk_is_counted_in_the_account_currency(desk: Any, say: Any) -> None:
    trader = desk()
    step = trader.step(say("yen", "SHORT", ref_px=110.0), yen=110.0)
    assert step.targets[0].signed_qty == -6000  # a unit is a dollar, whatever the yen
    assert step.total_risk == pytest.approx(Decimal(120))


def waves(count: int, sign: int = 1) -> list[float]:
    """Prices that move up and down by one in a hundred, in an irregular pattern."""
    level, prices = 0.0, []
    for i in range(count):
        level += 0.01 * sign * (1 if i * i % 7 < 3 else -1)
        prices.append(exp(level))
    return prices


@pytest.mark.req("PFL-03")
@pytest.mark.parametrize(
    ("direction", "other", "adjustment"),
    [("LONG", 1, 0.7), ("SHORT", 1, 1.0), ("LONG", -1, 1.0), ("SHORT", -1, 0.7)],
)
def test_excess_correlation_with_what_is_held_makes_smaller_and_a_hedge_does_not(
    desk: Any, say: Any, direction: str, other: int, adjustment: float
) -> None:
    trader = desk()
    moves = list(zip(waves(10), waves(10, other), strict=True))
    trader.step(say(), eur=moves[0][0], gbp=moves[0][1])
    for eur, gbp in moves[1:-1]:
        trader.step(say(ref_px=eur), eur=eur, gbp=gbp, low={"eur": eur})
    eur, gbp = moves[-1]
    (target,) = (
        t for t in trader.step(say("gbp", direction, ref_px=gbp), eur=eur, gbp=gbp).targets if "GBP" in t.instrument_id
    )
    assert target.contributions[0].correlation_adjustment == pytest.approx(adjustment)


@pytest.mark.req("PFL-03")
@given(st.floats(-1, 1) | st.none(), st.floats(0, 1))
def test_the_correlation_adjustment_is_one_less_the_excess(correlation: float | None, threshold: float) -> None:
    adjusted = sizing.correlation_adjustment(correlation, threshold)
    if correlation is None or correlation <= threshold:
        assert adjusted == 1.0
    else:
        assert adjusted == pytest.approx(1 - (correlation - threshold))


def test_correlation_is_unknown_without_enough_common_returns_or_without_any_move() -> None:
    moving = list(enumerate(waves(20)))
    assert sizing.return_correlation(moving, moving, 30) == pytest.approx(1.0)
    assert sizing.return_correlation(moving[:5], moving, 30) is None
    assert sizing.return_correlation(moving, [(ts + 100, px) for ts, px in moving], 30) is None
    assert sizing.return_correlation(moving, [(ts, 1.0) for ts, _ in moving], 30) is None


def test_mean_correlation_looks_at_the_other_positions_of_the_book() -> None:
    known = {("a", "b"): 0.9, ("a", "c"): 0.5, ("a", "d"): None}
    book = {"a": Decimal(5), "b": Decimal(1), "c": Decimal(-2), "d": Decimal(1), "e": Decimal(0)}
    assert sizing.mean_correlation("a", 1, book, lambda a, b: known[a, b]) == pytest.approx((0.9 - 0.5) / 2)
    assert sizing.mean_correlation("a", 1, {"a": Decimal(1)}, lambda a, b: 1.0) is None


@pytest.mark.req("PFL-02")
def test_allocations_beyond_everything_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected tier allocations that add up to at most 1, got 1.2"):
        Settings(allocation={Tier.CORE: 0.7, Tier.GROWTH: 0.5})


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=2, max_size=40), st.integers(5, 40))
def test_moves_computed_once_correlate_to_the_bit_like_those_of_every_pair(
    closes: list[tuple[float, float]], window: int
) -> None:
    one = [(ts, px) for ts, (px, _) in enumerate(closes)]
    other = [(ts, px) for ts, (_, px) in enumerate(closes)]
    shared = sizing.pearson(sizing.moves(one[-(window + 1) :]), sizing.moves(other[-(window + 1) :]))
    assert shared == sizing.return_correlation(one, other, window)
