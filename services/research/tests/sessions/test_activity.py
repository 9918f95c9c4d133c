"""What a market does in a session, on bars whose answer can be seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.session_markets import MONDAY, series, walk

from common.model.time import NS_PER_DAY, NS_PER_HOUR, Timeframe
from common.model.trading_sessions import sessions_at
from research.sessions.activity import HOURS, PARTS, Occurrences, Span, cells, hours, occurrences, sessions_and_overlaps
from research.sessions.series import Prices


def of(prices: Prices, spans: Callable[[int, int], list[Span]] = sessions_and_overlaps) -> Occurrences:
    return occurrences(prices, spans(int(prices.opens[0]), int(prices.closes[-1])))


@pytest.mark.req("REG-11")
def test_a_session_that_goes_straight_up_is_efficient_and_one_that_comes_back_is_not() -> None:
    close = np.full(48, 1.0)
    close[16:34] += np.arange(1, 19) * 0.001  # London, 8:00 to 17:00: straight up
    close[34:44] = np.tile([1.020, 1.018], 5)  # the rest of New York, to and fro
    close[44:] = 1.018
    found = of(series(close))
    london = found.where(found.name == "London")
    assert london.move.tolist() == [pytest.approx(0.018)]
    assert london.pips.tolist() == [pytest.approx(180)]
    assert london.strength.tolist() == [pytest.approx(0.018)]  # the ATR is one
    assert london.efficiency.tolist() == [pytest.approx(1.0)]
    new_york = found.where(found.name == "New York")
    path = 8 * 0.001 + 0.002 * 10  # from 13:00 up until London closes, one step of 0.002 up, then nine of 0.002
    assert new_york.efficiency.tolist() == [pytest.approx((1.018 - 1.010) / path, rel=1e-6)]
    overlap = found.where(found.name == "London+New York")
    assert overlap.move.tolist() == [pytest.approx(0.008 / 1.010)]


@pytest.mark.req("REG-11")
def test_the_score_of_a_market_that_only_moves_one_way_at_one_speed_is_one() -> None:
    score = of(series(np.exp(np.arange(96) * 1e-4))).score[1:]  # the very first bar has nothing to move from
    assert score == pytest.approx(np.ones(score.size), rel=1e-3)


@pytest.mark.req("REG-11")
@given(st.integers(0, 1000), st.integers(60, 400))
def test_efficiency_is_a_share_and_every_bar_is_in_one_hour_and_in_the_sessions_of_its_opening(
    seed: int, bars: int
) -> None:
    prices = series(walk(seed, bars))
    found = of(prices)
    known = found.efficiency[np.isfinite(found.efficiency)]
    assert np.all((known >= 0.0) & (known <= 1.0 + 1e-12))
    by_hour = of(prices, hours)
    assert np.array_equal(by_hour.first[1:], by_hour.stop[:-1])
    assert (by_hour.stop - by_hour.first).sum() == bars - bars % 2
    for name, first, stop in zip(found.name.tolist(), found.first.tolist(), found.stop.tolist(), strict=True):
        for opens in prices.opens[first:stop].tolist():
            assert set(name.split("+")) <= set(map(str, sessions_at(opens)))


@pytest.mark.req("REG-11")
def test_a_day_with_fewer_than_half_of_its_bars_is_left_out() -> None:
    whole = series(walk(1, 96))
    keep = np.ones(96, bool)
    keep[48 + 18 : 48 + 34] = False  # the second day's London, but for its first hour
    holed = whole._replace(
        **{name: getattr(whole, name)[keep] for name in whole._fields if name not in {"instrument", "timeframe"}}
    )
    assert np.count_nonzero(of(whole).name == "London") == 2
    assert np.count_nonzero(of(holed).name == "London") == 1


@pytest.mark.req("REG-11")
def test_cells_count_their_occurrences_and_regimes_add_up_to_all() -> None:
    bars = 48 * 4
    prices = series(walk(2, bars))._replace(regime=np.arange(bars) // 48 % 2)
    found = of(prices)
    rows = list(cells(prices, found, PARTS))
    for part in {row.part for row in rows}:
        total = [row.n for row in rows if row.part == part and row.regime == "all"]
        split = [row.n for row in rows if row.part == part and row.regime != "all"]
        assert total == [sum(split)]
        assert total == [np.count_nonzero(found.name == part)]
    assert all(row.move_bps.n == row.n for row in rows)
    assert {row.part for row in cells(prices, of(prices, hours), HOURS)} == set(HOURS)


@pytest.mark.req("REG-11")
def test_a_market_that_stands_still_has_no_efficiency() -> None:
    rows = list(cells(series(np.ones(48)), of(series(np.ones(48))), PARTS, by_regime=False))
    assert rows
    assert all(row.efficiency.value is None and row.up.value is None for row in rows)


@pytest.mark.req("REG-10")
def test_spans_follow_the_clocks_over_a_change_of_daylight_saving() -> None:
    start = MONDAY + 8 * 7 * NS_PER_DAY  # 4 March 2024: New York changes on the 10th, London on the 31st
    spans = [one for one in sessions_and_overlaps(start, start + 14 * NS_PER_DAY) if one.name == "London+New York"]
    lengths = [(one.closes - one.opens) // NS_PER_HOUR for one in spans]
    assert lengths == [4] * 5 + [5] * 5


@pytest.mark.req("REG-11")
def test_the_timeframe_does_not_change_the_move() -> None:
    close = walk(3, 48 * 5)
    fine = of(series(close))
    coarse = of(series(close[1::2], timeframe=Timeframe.H1)._replace(open=np.concatenate([close[:1], close[1:-1:2]])))
    assert fine.name.tolist() == coarse.name.tolist()
    assert fine.move[2:] == pytest.approx(coarse.move[2:])
