"""How sessions hang together, on markets in which it was planted."""

from __future__ import annotations

import numpy as np
import pytest
from support.session_markets import MONDAY, series, walk

from common.quant.kernel import Floats
from research.sessions.activity import Occurrences, occurrences, sessions_and_overlaps
from research.sessions.relations import carries, impacts, strengths, together
from research.sessions.series import Prices

DAY = 48  # half hours


def of(prices: Prices) -> Occurrences:
    return occurrences(prices, sessions_and_overlaps(int(prices.opens[0]), int(prices.closes[-1])))


def from_steps(steps: Floats, **given: str) -> Prices:
    return series(np.exp(np.cumsum(steps)), **given)


@pytest.mark.req("REG-11")
def test_a_session_that_repeats_the_one_before_it_is_seen_and_no_other() -> None:
    days = 400
    steps = np.random.default_rng(1).normal(0.0, 1e-5, days * DAY)
    tokyo = np.random.default_rng(2).normal(0.0, 1e-3, days)
    for day in range(days):
        steps[day * DAY + 8] += tokyo[day]  # 4:00 UTC: Tokyo only, or Sydney's end
        steps[day * DAY + 30] += tokyo[day]  # 15:00: London and New York
    found = {(row.first, row.second): row.correlation for row in carries(from_steps(steps), of(from_steps(steps)))}
    repeated = found["Tokyo", "London"]
    assert repeated.low is not None
    assert repeated.low > 0.9
    assert found["London", "Sydney"].low is not None
    assert abs(found["New York", "Tokyo"].value or 0.0) < 0.2


@pytest.mark.req("REG-11")
def test_the_overlap_of_two_sessions_does_not_count_for_both() -> None:
    """All that moves is the overlap of London and New York, each day by chance: the correlation with itself would be one."""
    days = 300
    steps = np.random.default_rng(3).normal(0.0, 1e-6, days * DAY)
    steps[30::DAY] += np.random.default_rng(4).normal(0.0, 1e-3, days)
    prices = from_steps(steps)
    found = {(row.first, row.second): row.correlation for row in carries(prices, of(prices))}
    assert abs(found["London", "New York"].value or 0.0) < 0.2


@pytest.mark.req("REG-11")
def test_currency_strength_is_what_the_pairs_were_made_of() -> None:
    """Of three currencies with known moves, any pairs that connect them tell all three, up to the mean of all."""
    rng, bars = np.random.default_rng(5), DAY * 30
    moves = {name: rng.normal(drift, 1e-5, bars) for name, drift in (("EUR", 3e-5), ("USD", -1e-5), ("JPY", -2e-5))}
    pairs = ("EUR-USD.X", "USD-JPY.X")
    prices = [from_steps(moves[one[:3]] - moves[one[4:7]], name=one) for one in pairs]
    found = {one.instrument.instrument_id: of(one) for one in prices}
    rows = [row for row in strengths([one.instrument for one in prices], found) if row.session == "London"]
    mean = sum(moves.values()) / 3
    for row in rows:
        own = moves[row.currency] - mean
        expected = [own[start : start + 18].sum() for start in range(16, bars, DAY) if _is_weekday(start)]
        assert row.strength_bps.value == pytest.approx(np.mean(expected) * 1e4, abs=1e-6)
    assert sum(row.strength_bps.value or 0.0 for row in rows) == pytest.approx(0.0, abs=1e-9)
    alone = [prices[0].instrument]
    assert list(strengths(alone, found)) == []  # two currencies and one pair: only the pair itself


def _is_weekday(bar: int) -> bool:
    return (bar // DAY) % 7 < 5


@pytest.mark.req("REG-11")
def test_pairs_that_move_as_one_are_correlated_in_every_session_and_others_are_not() -> None:
    close, other = walk(6, DAY * 60), walk(7, DAY * 60)
    found = {
        name: of(series(of_it, name=name)) for name, of_it in (("A-B.X", close), ("C-D.X", close), ("E-F.X", other))
    }
    rows = {(row.session, row.one, row.other): row.correlation for row in together(found)}
    assert len(rows) == 4 * 3
    for session in ("Sydney", "Tokyo", "London", "New York"):
        assert rows[session, "A-B.X", "C-D.X"].value == pytest.approx(1.0)
        assert abs(rows[session, "A-B.X", "E-F.X"].value or 0.0) < 0.5


@pytest.mark.req("REG-11")
def test_a_wild_first_hour_shows_as_the_impact_of_the_opening() -> None:
    days = 60
    steps = np.random.default_rng(8).choice([-1e-4, 1e-4], days * DAY)
    for bar in (16, 17):  # 8:00 to 9:00 in winter: London's first hour
        steps[bar::DAY] *= 5
    prices = from_steps(steps)
    london = next(row for row in impacts(prices, of(prices)) if row.session == "London")
    assert london.open_bps.value == pytest.approx(5.0, rel=0.01)
    assert london.middle_bps.value == pytest.approx(1.0, rel=0.01)
    assert london.close_bps.value == pytest.approx(1.0, rel=0.01)
    assert london.open_bps.n == sum(day % 7 < 5 for day in range(days))
    assert prices.opens[0] == MONDAY
