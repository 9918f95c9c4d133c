"""VaR, ES and their back-tests against published numbers, other people's libraries and the laws they must keep."""

from __future__ import annotations

from itertools import pairwise
from math import inf, nan, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.quant import tail_risk
from common.quant.tail_risk import Tail

METHODS = (tail_risk.historical, tail_risk.parametric, tail_risk.cornish_fisher)
fat = np.random.default_rng(7).standard_t(4, 499) * 0.01  # sums to -0.5629129368425047
finite = st.floats(-0.5, 0.5).map(lambda value: round(value, 6))
samples = st.lists(finite, min_size=4, max_size=300).map(np.array)
levels = st.sampled_from([0.9, 0.95, 0.975, 0.99])


def student(returns, level, seed=1):
    return tail_risk.student_t(returns, level, dof=5.0, draws=50_000, seed=seed)


# --- numbers of others -----------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-03")
@pytest.mark.parametrize("level", [0.99, 0.95, 0.90])
def test_a_rolling_normal_var_is_that_of_lean(reference, level):
    case = reference.case(f"risk.var_normal_rolling252_{level * 100:.0f}")
    returns = reference.column(case, "returns")
    ends = range(returns.size - len(case["expected"]), returns.size)
    found = [tail_risk.parametric(returns[end - 251 : end + 1], level) for end in ends]
    # LEAN counts losses negative.
    assert [-tail.var for tail in found if tail] == pytest.approx(case["expected"], abs=case["tolerance"]["abs"])


@pytest.mark.req("RSK-03")
def test_the_expected_shortfall_of_a_standard_normal_is_the_closed_form(reference):
    case = reference.case("risk.es_normal")
    found = [tail_risk.normal(0.0, 1.0, level).es for level in case["input"]["confidence"]]
    assert found == pytest.approx(case["expected"], abs=case["tolerance"]["abs"])


@pytest.mark.req("RSK-03")
def test_two_positions_make_the_var_of_hulls_book(reference):
    case = reference.case("risk.hull_two_asset_var10d99")
    first, second = case["input"]["positions"]
    a, b, r = *case["input"]["daily_vol"], case["input"]["corr"]
    sigma = sqrt((first * a) ** 2 + (second * b) ** 2 + 2 * r * first * a * second * b) * sqrt(10)
    level = NormalDist().cdf(case["input"]["z"])
    assert tail_risk.normal(0.0, sigma, level).var == pytest.approx(case["expected"]["portfolio"], abs=2)


@pytest.mark.req("RSK-03")
@pytest.mark.parametrize(
    ("level", "var", "es"),
    [
        (0.95, 0.02447920347279808, 0.031263798643785895),  # skfolio 1.12.2: value_at_risk and cvar of the same returns
        (0.99, 0.036146485497411306, 0.04180778262962177),
    ],
)
def test_historical_var_and_es_are_those_of_skfolio(level, var, es):
    assert tail_risk.historical(fat, level) == pytest.approx((var, es), rel=1e-12)


@pytest.mark.req("RSK-03")
def test_moments_are_those_of_scipy():
    found = tail_risk.moments(fat)
    assert found.skewness == pytest.approx(-0.001427007272378234, rel=1e-9)
    assert found.excess == pytest.approx(2.4484211186384117, rel=1e-12)


@pytest.mark.req("RSK-03")
@pytest.mark.parametrize("name", ["1043_57_95", "1043_17_99", "1043_59_95", "1043_12_99", "1043_22_99"])
def test_kupiec_is_that_of_the_risk_management_toolbox(reference, name):
    case = reference.case(f"varbt.kupiec_pof_{name}")
    asked = case["input"]
    found = tail_risk.kupiec(asked["observations"], asked["failures"], asked["var_level"])
    expected = (case["expected"]["LR"], case["expected"]["p_value"])
    assert tuple(found) == pytest.approx(expected, abs=case["tolerance"]["abs"])


@pytest.mark.req("RSK-03")
def test_kupiec_is_that_of_vartests():
    # vartests 0.4.1: kupiec_test(x=9, n=250, var_conf_level=0.99)
    assert tail_risk.kupiec(250, 9, 0.99) == pytest.approx((10.229030632597755, 0.0013824730075046687), rel=1e-12)


@pytest.mark.req("RSK-03")
def test_christoffersen_is_that_of_the_risk_management_toolbox(reference):
    case = reference.case("varbt.christoffersen_ind")
    found = tail_risk.christoffersen(**case["input"])
    expected = (case["expected"]["LR"], case["expected"]["p_value"])
    assert tuple(found) == pytest.approx(expected, abs=case["tolerance"]["abs"])


def test_chi_square_tails_are_those_of_the_table(reference):
    case = reference.case("varbt.critical_values")
    for dof, level, critical in zip(case["input"]["df"], case["input"]["level"], case["expected"], strict=True):
        assert tail_risk.chi_square_sf(critical, dof) == pytest.approx(1 - level, abs=1e-6)
    with pytest.raises(ValueError, match="one or two"):
        tail_risk.chi_square_sf(1.0, 3)


# --- conventions -----------------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-03")
def test_historical_var_is_a_loss_that_happened_and_es_the_mean_of_the_worst():
    returns = np.array([0.01] * 95 + [-0.01, -0.02, -0.03, -0.04, -0.05])
    assert tail_risk.historical(returns, 0.95) == pytest.approx((0.01, 0.03))
    assert tail_risk.historical(returns, 0.98) == pytest.approx((0.04, 0.045))
    # Half of the fifth worst counts: (0.05 + 0.04 + 0.03 + 0.02 + 0.5 * 0.01) / 4.5
    assert tail_risk.historical(returns, 0.955) == pytest.approx((0.01, 0.145 / 4.5))


def test_a_whole_number_of_worst_days_is_not_lost_to_rounding():
    returns = -np.arange(1.0, 501.0) / 1000  # 500 x (1 - 0.95) is 25.000000000000021 in floats
    assert tail_risk.historical(returns, 0.95).var == pytest.approx(0.476)


def test_a_book_that_only_gains_has_a_negative_var():
    returns = np.linspace(0.01, 0.02, 100)
    assert all(method(returns, 0.95).var < 0 for method in (tail_risk.historical, tail_risk.parametric))


def test_a_sample_with_fat_tails_loses_more_by_cornish_fisher_than_by_the_normal_at_99():
    assert tail_risk.cornish_fisher(fat, 0.99).var > tail_risk.parametric(fat, 0.99).var


@pytest.mark.req("RSK-03")
@pytest.mark.parametrize(
    ("skewness", "excess", "valid"),
    [
        (0.0, 0.0, True),
        (0.0, 3.0, True),
        (0.0, 8.0, True),
        (0.0, 8.1, False),
        (0.0, -0.1, False),
        (1.0, 0.5, False),
        (-0.5, 2.0, True),
        (3.0, 5.0, False),
    ],
)
def test_cornish_fisher_knows_its_domain(skewness, excess, valid):
    assert tail_risk.in_cornish_fisher_domain(skewness, excess) is valid
    z = np.linspace(-30, 30, 6001)
    bent = z + (z**2 - 1) * skewness / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * skewness**2 / 36
    assert bool(np.all(np.diff(bent) > -1e-9)) is valid


def test_cornish_fisher_outside_its_domain_is_undefined():
    crash = np.array([0.001, -0.001] * 100 + [-0.3])
    assert tail_risk.cornish_fisher(crash, 0.95) is None


@pytest.mark.req("RSK-03")
def test_cornish_fisher_es_is_the_mean_of_its_own_vars_beyond_the_level():
    steps = 20_000
    beyond = [tail_risk.cornish_fisher(fat, 0.95 + 0.05 * (n + 0.5) / steps).var for n in range(steps)]
    assert tail_risk.cornish_fisher(fat, 0.95).es == pytest.approx(float(np.mean(beyond)), rel=2e-4)


@pytest.mark.req("RSK-03")
@pytest.mark.parametrize(("level", "quantile"), [(0.95, 2.015), (0.99, 3.365)])  # of t with 5 degrees, any table
def test_the_monte_carlo_comes_to_the_quantile_of_students_t(level, quantile):
    mean, sigma = float(np.mean(fat)), float(np.std(fat, ddof=1))
    assert student(fat, level).var == pytest.approx(quantile * sqrt(3 / 5) * sigma - mean, rel=0.03)


def test_equal_seeds_draw_equal_numbers_and_others_do_not():
    assert student(fat, 0.99) == student(fat, 0.99)
    assert student(fat, 0.99, seed=2) != student(fat, 0.99)


# --- undefined -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*METHODS, student])
@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_a_return_that_is_no_number_makes_every_measure_undefined(method, bad):
    assert method(np.array([*fat[:50], bad]), 0.95) is None


@pytest.mark.parametrize("method", [*METHODS, student])
def test_no_returns_give_no_measure(method):
    assert method(np.empty(0), 0.95) is None


def test_what_does_not_vary_has_no_shape():
    assert tail_risk.moments(np.full(100, 0.01)) is None
    assert tail_risk.cornish_fisher(np.zeros(100), 0.95) is None
    assert tail_risk.parametric(np.zeros(100), 0.95) == Tail(0.0, 0.0)


def test_back_tests_without_days_are_undefined():
    assert tail_risk.kupiec(0, 0, 0.95) is None
    assert tail_risk.christoffersen(100, 0, 0, 0) is None
    assert tail_risk.christoffersen(0, 0, 0, 5) is None


# --- laws ------------------------------------------------------------------------------------------------------------


@given(samples, levels)
def test_es_is_never_below_var(returns, level):
    for method in (*METHODS, student):
        tail = method(returns, level)
        assert tail is None or tail.es >= tail.var - 1e-12


@given(samples)
def test_a_higher_level_never_loses_less(returns):
    for method in (*METHODS, student):
        tails = [tail for level in (0.9, 0.95, 0.99) if (tail := method(returns, level))]
        assert all(low.var <= high.var + 1e-12 and low.es <= high.es + 1e-12 for low, high in pairwise(tails))


@given(samples, levels, st.floats(0.01, 100))
def test_twice_the_book_is_twice_the_risk(returns, level, factor):
    for method in (tail_risk.historical, tail_risk.parametric, student):
        once, scaled = method(returns, level), method(returns * factor, level)
        assert scaled == pytest.approx((once.var * factor, once.es * factor), rel=1e-9, abs=1e-9)


@given(samples, samples, levels)
def test_the_es_of_two_books_is_never_more_than_of_each_alone(one, other, level):
    days = min(one.size, other.size)
    one, other = one[:days], other[:days]
    together = tail_risk.historical(one + other, level).es
    assert together <= tail_risk.historical(one, level).es + tail_risk.historical(other, level).es + 1e-9


@pytest.mark.req("RSK-03")
@given(
    st.integers(1, 6).flatmap(
        lambda count: st.tuples(
            st.lists(st.floats(-3, 3), min_size=count, max_size=count).map(np.array),
            st.integers(5, 60).flatmap(
                lambda days: st.lists(
                    st.lists(finite, min_size=days, max_size=days), min_size=count, max_size=count
                ).map(np.array)
            ),
        )
    ),
    levels,
)
def test_components_add_up_to_the_parametric_var_of_the_book(book, level):
    weights, returns = book
    parts = tail_risk.components(weights, returns, level)
    whole = tail_risk.parametric(weights @ returns, level)
    assert parts.var == pytest.approx(whole.var, rel=1e-9, abs=1e-12)
    assert float(np.sum(parts.component)) == pytest.approx(parts.var, rel=1e-9, abs=1e-9)


@pytest.mark.req("RSK-03")
def test_marginal_var_is_what_a_little_more_of_an_instrument_costs():
    returns = np.random.default_rng(3).normal(0.0, 0.01, (3, 250)) + np.random.default_rng(4).normal(0, 0.01, 250)
    weights = np.array([0.5, -0.2, 0.9])
    parts = tail_risk.components(weights, returns, 0.95)
    for row in range(3):
        more = weights.copy()
        more[row] += 1e-6
        grown = tail_risk.parametric(more @ returns, 0.95).var
        assert (grown - parts.var) / 1e-6 == pytest.approx(parts.marginal[row], rel=1e-4)


@given(st.integers(1, 2000), st.data())
def test_a_back_test_gives_a_probability_and_the_promised_rate_passes_best(days, data):
    breaches = data.draw(st.integers(0, days))
    found = tail_risk.kupiec(days, breaches, 0.95)
    assert 0.0 <= found.p_value <= 1.0
    assert found.statistic >= 0.0
    assert tail_risk.kupiec(20 * days, days, 0.95).p_value == pytest.approx(1.0, abs=1e-3)


def test_breaches_in_a_row_fail_independence_and_coverage_asks_both():
    frequency, clustered = tail_risk.kupiec(500, 25, 0.95), tail_risk.christoffersen(470, 5, 5, 20)
    assert clustered.p_value < 1e-6
    both = tail_risk.conditional_coverage(frequency, clustered)
    assert both.statistic == frequency.statistic + clustered.statistic
    assert both.p_value < 1e-6
