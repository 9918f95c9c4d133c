"""How sessions hang together, on markets in which it was planted."""

from __future__ import annotations

import numpy as np
import pytest
from support.session_markets import MONDAY, series, walk

from common.quant.kernel import Floats
from research.sessions.activity import Occurrences, occurrences, sessions_and_overlaps
from research.sessions.relations import Impact, carries, impacts, strengths, together
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


@pytest.mark.req("REG-11")
def test_an_hour_of_which_the_market_was_closed_is_not_taken_from_the_next() -> None:
    """On a winter's Monday Sydney opens two hours before the FX week does, at 20:00 UTC on Sunday: there is no first hour."""
    days = 7 * 10
    prices = from_steps(np.where(np.arange(days * DAY) % 2, 1e-4, -1e-4))
    hour, day = np.arange(days * DAY) % DAY / 2, np.arange(days * DAY) // DAY % 7
    shut = (day == 5) | ((day == 6) & (hour < 22)) | ((day == 4) & (hour >= 22))
    before = impact_of(prices, "Sydney")
    kept = {name: getattr(prices, name)[~shut] for name in prices._fields if name not in {"instrument", "timeframe"}}
    after = impact_of(prices._replace(**kept), "Sydney")
    mondays = 9  # the first Sunday evening lies before the first Friday, the last one is cut off
    assert after.open_bps.n == before.open_bps.n - mondays
    assert after.close_bps.n == after.middle_bps.n == after.open_bps.n


@pytest.mark.req("REG-11")
def test_a_hole_in_the_minutes_does_not_make_the_first_hour_longer() -> None:
    """Half of the bars of London's first hour are missing: what is measured as its first hour is still over at nine."""
    days = 60
    steps = np.full(days * DAY, 1e-4)
    steps[18::DAY] = 1e-2  # 9:00 to 9:30
    whole = from_steps(steps)
    keep = np.arange(days * DAY) % DAY != 17
    kept = {name: getattr(whole, name)[keep] for name in whole._fields if name not in {"instrument", "timeframe"}}
    assert impact_of(whole, "London").open_bps.value == pytest.approx(1.0, rel=0.01)
    assert impact_of(whole._replace(**kept), "London").open_bps.value == pytest.approx(1.0, rel=0.01)


def impact_of(prices: Prices, session: str) -> Impact:
    return next(row for row in impacts(prices, of(prices)) if row.session == session)
