"""Performance metrics agree with empyrical-reloaded, and are empty where they are undefined."""

from __future__ import annotations

from typing import Any

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.time import NS_PER_DAY, NS_PER_HOUR
from common.quant import performance as p

RATIOS = ("annual_return", "annual_volatility", "sharpe_ratio", "sortino_ratio", "calmar_ratio")
moves = st.lists(st.floats(-0.2, 0.2).map(lambda x: round(x, 6)), min_size=2, max_size=60).map(np.array)


def same(ours: float | None, theirs: float) -> bool:
    """Equal to 1e-9; what has no finite value there is None here."""
    if ours is None:
        return not np.isfinite(theirs)
    return ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@pytest.mark.req("PFL-11")
@pytest.mark.parametrize("annualization", [252, 365])
@given(returns=moves)
def test_every_ratio_agrees_with_empyrical(returns: np.ndarray, annualization: int) -> None:
    for name in RATIOS:
        with np.errstate(all="ignore"):
            theirs = getattr(empyrical, name)(returns, annualization=annualization)
        assert same(getattr(p, name)(returns, annualization), theirs), name


@pytest.mark.req("PFL-11")
@given(returns=moves)
def test_total_return_and_drawdown_agree_with_empyrical_and_drawdown_is_negative(returns: np.ndarray) -> None:
    assert same(p.cum_returns_final(returns), empyrical.cum_returns_final(returns))
    assert same(p.max_drawdown(returns), empyrical.max_drawdown(returns))
    assert p.max_drawdown(np.array([0.1, -0.25, 0.5])) == pytest.approx(-0.25)


@pytest.mark.req("PFL-11")
@given(st.lists(st.tuples(*[st.floats(-0.2, 0.2).map(lambda x: round(x, 6))] * 2), min_size=3, max_size=60))
def test_alpha_and_beta_agree_with_empyrical(pairs: list[tuple[float, float]]) -> None:
    returns, benchmark = np.array(pairs).T
    with np.errstate(all="ignore"):
        alpha, beta = empyrical.alpha_beta_aligned(returns, benchmark, annualization=252)
    assert same(p.beta(returns, benchmark), beta)
    assert same(p.alpha(returns, benchmark, 252), alpha)


@pytest.mark.req("PFL-11")
def test_published_values_of_empyrical_hold(reference: Any) -> None:
    drawdown, ratios = reference.case("perf.max_drawdown"), reference.case("perf.cagr_vol_calmar")
    relative = reference.case("perf.alpha_beta")
    mixed = np.array([np.nan if x is None else x for x in drawdown["input"]["mixed"]])
    negative = np.array(drawdown["input"]["negative"])
    flat_start = np.nan_to_num(mixed)  # a first day without a return still is a day
    assert p.max_drawdown(flat_start) == pytest.approx(drawdown["expected"]["mixed"], abs=1e-8)
    assert p.max_drawdown(negative) == pytest.approx(drawdown["expected"]["negative"], abs=1e-7)
    assert p.annual_return(flat_start, 252) == pytest.approx(ratios["expected"]["cagr_daily"], abs=1e-8)
    assert p.annual_volatility(mixed[1:], 252) == pytest.approx(ratios["expected"]["annual_vol"], abs=1e-8)
    assert p.calmar_ratio(flat_start, 252) == pytest.approx(ratios["expected"]["calmar"], abs=1e-8)
    assert p.beta(mixed[1:], negative[1:]) == pytest.approx(relative["expected"]["beta"], abs=1e-8)
    assert p.alpha(mixed[1:], negative[1:], 252) == pytest.approx(relative["expected"]["alpha"], abs=1e-8)
    lean = reference.case("perf.lean_annual_variance_te")
    returns = np.array(lean["input"]["performance"])
    assert p.annual_volatility(returns, 252) == pytest.approx(lean["expected"]["annual_std"], abs=1e-12)


@pytest.mark.req("PFL-11")
def test_what_is_undefined_is_empty_and_never_zero() -> None:
    nothing = p.performance(np.empty(0), 252)
    assert set(vars_of(nothing).values()) == {None}
    steady = p.performance(np.full(5, 0.01), 252, trade_profits=(1.0, 2.0), benchmark=np.zeros(5))
    assert steady.sharpe_ratio is None
    assert steady.sortino_ratio is None
    assert steady.calmar_ratio is None
    assert steady.beta is None
    assert steady.alpha is None
    assert steady.profit_factor is None
    assert p.annual_return(np.array([-1.5, 0.1]), 365) is None


def vars_of(metrics: p.Performance) -> dict[str, float | None]:
    return {name: getattr(metrics, name) for name in metrics.__struct_fields__}


@pytest.mark.req("PFL-11")
@pytest.mark.parametrize("returns", [[0.1, -1.5, 0.2], [-1.5], [-1.5, -3.0], [-2.0, 0.1, 0.1, -4.0]])
def test_no_growth_compounds_from_less_than_nothing(returns: list[float]) -> None:
    """Raised to a whole power a negative level looks like a positive one."""
    assert p.annual_return(np.array(returns), 252) is None
    assert p.calmar_ratio(np.array(returns), 252) is None
    assert p.annual_return(np.array([0.1, -1.0, 0.2]), 252) == -1.0


@pytest.mark.req("PFL-11")
@pytest.mark.parametrize("growth", [1e-4, 1e-3, -0.01])
def test_an_equity_that_grows_evenly_but_for_rounding_has_no_sharpe_ratio(growth: float) -> None:
    equity = 100_000.0 * (1.0 + growth) ** np.arange(60)
    returns = equity[1:] / equity[:-1] - 1.0
    assert len(set(returns.tolist())) > 1
    assert p.sharpe_ratio(returns, 252) is None


@pytest.mark.req("PFL-11")
def test_trades_exposure_and_turnover_are_plain_shares() -> None:
    profits = (30.0, -10.0, 0.0, 20.0)
    assert p.win_rate(profits) == 0.5
    assert p.profit_factor(profits) == 5.0
    equity = np.array([100.0, 200.0])
    assert p.exposure(np.array([50.0, 50.0]), equity) == pytest.approx(0.375)
    assert p.turnover(np.array([10.0, 0.0]), equity, 252) == pytest.approx(0.05 * 252)
    assert p.exposure(np.array([50.0]), np.array([0.0])) is None


@pytest.mark.req("PFL-11")
@given(st.lists(st.tuples(st.integers(1, 3 * 24), st.floats(50.0, 200.0)), min_size=2, max_size=80))
def test_daily_returns_compound_to_the_whole_and_take_the_last_point_of_each_day(
    points: list[tuple[int, float]],
) -> None:
    hours = np.cumsum([gap for gap, _ in points])
    ts_ns, equity = [int(hour) * NS_PER_HOUR for hour in hours], [value for _, value in points]
    returns = p.daily_returns(ts_ns, equity)
    assert np.prod(1.0 + returns) == pytest.approx(equity[-1] / equity[0])
    assert returns.size == len({(ts - 1) // NS_PER_DAY for ts in ts_ns[1:]})


@pytest.mark.req("PFL-11")
def test_a_point_at_midnight_closes_the_day_before() -> None:
    ts_ns = [0, 12 * NS_PER_HOUR, NS_PER_DAY, NS_PER_DAY + 1, 2 * NS_PER_DAY]
    assert p.daily_returns(ts_ns, [100.0, 50.0, 110.0, 1.0, 121.0]) == pytest.approx([0.1, 0.1])
    assert p.daily_returns([0], [100.0]).size == 0


@pytest.mark.req("PFL-11")
@given(st.lists(st.tuples(*[st.floats(-0.2, 0.2).map(lambda x: round(x, 6))] * 2), min_size=3, max_size=60))
def test_correlation_is_pearsons(pairs: list[tuple[float, float]]) -> None:
    returns, benchmark = np.array(pairs).T
    ours = p.correlation(returns, benchmark)
    if ours is None:
        assert min(np.std(returns), np.std(benchmark)) < 1e-7
    else:
        assert ours == pytest.approx(np.corrcoef(returns, benchmark)[0, 1], abs=1e-7)


@pytest.mark.req("PFL-11")
def test_diversification_of_one_position_is_one_and_of_independent_equals_its_root() -> None:
    rng = np.random.default_rng(1)
    apart = rng.normal(size=(20_000, 4))
    assert p.diversification_ratio(apart[:, :1]) == pytest.approx(1.0)
    assert p.diversification_ratio(np.repeat(apart[:, :1], 4, axis=1)) == pytest.approx(1.0)
    assert p.diversification_ratio(apart) == pytest.approx(2.0, rel=0.02)  # the square root of four
    assert p.diversification_ratio(np.column_stack((apart[:, 0], -apart[:, 0]))) is None
    assert p.diversification_ratio(apart[:2]) is None


@pytest.mark.req("PFL-11")
@given(st.lists(st.tuples(*[st.floats(-1, 1).map(lambda x: round(x, 6))] * 3), min_size=3, max_size=40))
def test_positions_together_never_move_more_than_apart(rows: list[tuple[float, float, float]]) -> None:
    found = p.diversification_ratio(np.array(rows))
    assert found is None or found >= 1.0 - 1e-9
