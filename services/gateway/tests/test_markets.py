"""Ribbon, heat map, volume levels and session clock, as values."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.model.time import NS_PER_DAY, NS_PER_HOUR
from common.quant import thresholds
from common.quant.profile_levels import bin_of
from common.testing.builders import EUR_USD, T0
from gateway import adaptive, heatmap, profile, ribbon
from gateway.commands import Override
from gateway.markets import clock

MIDNIGHT = T0 - T0 % NS_PER_DAY
READING = st.tuples(st.sampled_from(("RANGING", "CRISIS")), st.sampled_from(("", "anna")))


def fill(at: int, qty: str, px: str, *, held: str = "0", commission: str = "0", name: str = EUR_USD) -> dict[str, Any]:
    """`qty` is signed; `at` hours after midnight."""
    return {
        "ts_event": MIDNIGHT + at * NS_PER_HOUR,
        "account": "paper",
        "instrument_id": name,
        "side": "SELL" if qty.startswith("-") else "BUY",
        "last_qty": abs(Decimal(qty)),
        "last_px": Decimal(px),
        "commission": Decimal(commission),
        "held": Decimal(held),
    }


@pytest.mark.req("REG-01", "REG-08")
@given(st.lists(READING, max_size=30))
def test_spans_hold_every_reading_once_and_neighbors_differ(said: list[tuple[str, str]]) -> None:
    rows = [{"ts_event": ts, "regime": regime, "override": by} for ts, (regime, by) in enumerate(said)]
    spans = ribbon.spans(rows)
    unrolled = [(one["regime"], one["override"]) for one in spans for _ in range(one["bars"])]
    assert unrolled == said
    assert all(one["until_ns"] - one["from_ns"] == one["bars"] - 1 for one in spans)
    assert len(spans) == len(list(groupby(said)))


@pytest.mark.req("REG-11")
def test_a_trade_counts_in_the_hour_in_which_it_began_and_is_won_only_after_commission() -> None:
    fills = [fill(9, "100", "1.0"), fill(10, "100", "1.2"), fill(15, "-200", "1.1", commission="0.01")]
    assert heatmap.outcomes(fills) == [heatmap.Outcome(EUR_USD, 8, False)]
    assert heatmap.outcomes([*fills[:2], fill(15, "-200", "1.11")]) == [heatmap.Outcome(EUR_USD, 8, True)]


@pytest.mark.req("REG-11")
def test_a_fill_through_zero_ends_one_trade_and_begins_the_next() -> None:
    fills = [fill(1, "100", "1.0"), fill(5, "-300", "1.1"), fill(7, "200", "1.2")]
    assert heatmap.outcomes(fills) == [heatmap.Outcome(EUR_USD, 0, True), heatmap.Outcome(EUR_USD, 4, False)]


@pytest.mark.req("REG-11")
def test_a_trade_whose_beginning_is_not_known_is_not_counted() -> None:
    fills = [fill(1, "-100", "2.0", held="100"), fill(3, "50", "1.0", held="100"), fill(4, "-50", "1.5", held="100")]
    assert heatmap.outcomes(fills) == [heatmap.Outcome(EUR_USD, 2, True)]


@pytest.mark.req("REG-11")
def test_every_cell_comes_with_its_sample_size_and_what_is_unknown_is_empty() -> None:
    moves = [{"instrument_id": EUR_USD, "hour": 13, "hours": 40, "mean_move_bps": 8.5}]
    ended = [heatmap.Outcome(EUR_USD, 13, True), heatmap.Outcome(EUR_USD, 13, False), heatmap.Outcome("B", 2, False)]
    other, cell = heatmap.cells(moves, ended)
    assert (cell["hours"], cell["mean_move_bps"], cell["trades"], cell["win_rate"]) == (40, 8.5, 2, 0.5)
    assert (other["instrument_id"], other["hours"], other["mean_move_bps"], other["win_rate"]) == ("B", 0, None, 0.0)
    assert heatmap.cells(moves, [])[0]["win_rate"] is None


def bin_row(number: int, volume: float, bars: int = 1) -> dict[str, Any]:
    return {"bin": number, "volume": volume, "bars": bars, "timeframe": "1m", "ts_event": T0}


@pytest.mark.req("SIG-08")
def test_levels_lie_around_the_bin_with_the_largest_volume() -> None:
    middle = bin_of(1.05)
    found = profile.answer([bin_row(middle - 3, 1.0), bin_row(middle, 9.0), bin_row(middle + 1, 1.0)])
    assert (bin_of(found["poc"]), found["by"], found["bars"], found["timeframe"]) == (middle, "volume", 3, "1m")
    assert found["value_low"] == pytest.approx(1.001**middle)
    assert found["value_high"] == pytest.approx(1.001 ** (middle + 1))


@pytest.mark.req("SIG-08")
def test_where_a_market_has_no_volume_bars_are_counted_and_without_bars_there_are_no_levels() -> None:
    found = profile.answer([bin_row(10, 0.0, 3), bin_row(12, 0.0, 1)])
    assert (found["by"], found["bars"], bin_of(found["poc"])) == ("bars", 4, 10)
    nothing = profile.answer([])
    assert (nothing["poc"], nothing["value_low"], nothing["bars"], nothing["ts_event"]) == (None, None, 0, None)


def traveled(count: int) -> list[dict[str, Any]]:
    """Hours of one bar each, every one of them wilder than all before."""
    return [
        {"timeframe": "1h", "end_ns": MIDNIGHT + at * NS_PER_HOUR, "travelled": 1e-5 * (at + 1), "bars": 1}
        for at in range(count)
    ]


@pytest.mark.req("SIG-06")
def test_the_first_threshold_comes_when_a_day_and_a_month_are_full_and_until_then_a_reason_says_what_is_missing() -> (
    None
):
    full = adaptive.answer(traveled(adaptive.NEEDED), 0.5, 2.0, 50)
    (first,) = full["items"]
    assert (first["multiplier"], first["before"], full["reason"]) == (2.0, None, "")
    assert first["reason"] == "24 h ATR at percentile 100 of 30 days: thresholds x 2"
    short = adaptive.answer(traveled(adaptive.NEEDED - 1), 0.5, 2.0, 50)
    assert (short["items"], short["hours"], short["hours_needed"]) == ([], 742, 743)
    assert short["reason"] == "742 hours of 1h bars are recorded, 743 are needed"
    nothing = adaptive.answer([], 0.5, 2.0, 50)
    assert (nothing["items"], nothing["timeframe"]) == ([], None)
    assert nothing["reason"].startswith("no hour of bars")


@pytest.mark.req("SIG-06")
def test_changes_are_the_newest_ones_first_and_what_was_read_first_is_none() -> None:
    rows = traveled(adaptive.HOURS)
    for row in rows[-adaptive.HISTORY // 2 :]:
        row["travelled"] = 1e-9  # calm: the percentile falls hour by hour
    found = adaptive.answer(rows, 0.5, 2.0, 500)["items"]
    assert 10 < len(found) <= adaptive.HISTORY
    assert [one["ts"] for one in found] == sorted((one["ts"] for one in found), reverse=True)
    assert all(one["before"] == older["multiplier"] for one, older in pairwise(found))
    assert found[-1]["before"] == 2.0  # the threshold that stood when reading began is what it changed from
    assert adaptive.answer(rows, 0.5, 2.0, 3)["items"] == found[:3]
    hours = [thresholds.Hour(row["end_ns"], row["travelled"], row["bars"]) for row in rows]
    assert found[0] == thresholds.changes(hours, least=0.5, most=2.0, last=1)[0]._asdict()


@pytest.mark.req("REG-10")
def test_the_clock_names_the_open_sessions_and_when_the_others_open() -> None:
    noon = MIDNIGHT + 12 * NS_PER_HOUR  # a Tuesday in January: London is open, New York opens at 13:00 UTC
    shown = clock(noon + 2 * NS_PER_HOUR)
    cities = {one["session"]: one for one in shown["items"]}
    assert (shown["overlap"], shown["fx_open"]) == ("London+New York", True)
    assert cities["London"]["open"]
    assert not cities["Tokyo"]["open"]
    assert cities["New York"]["opens"] == noon + NS_PER_HOUR
    assert cities["Tokyo"]["opens"] == MIDNIGHT + NS_PER_DAY


def test_before_the_first_slice_there_is_no_clock() -> None:
    assert clock(0)["items"] == []
    assert clock(0)["ts_event"] is None


@pytest.mark.req("REG-08")
def test_an_override_expires_after_its_hours_of_data_time() -> None:
    assert Override(regime="CRISIS", hours=1.5, reason="x").expires_ns(T0) == T0 + NS_PER_HOUR * 3 // 2
    assert Override(regime=None, reason="x").instrument_id == ""


@pytest.mark.req("REG-08")
@pytest.mark.parametrize("changes", [{"hours": 0}, {"hours": 721}, {"regime": "GREEDY"}, {"reason": " "}])
def test_an_override_without_end_or_reason_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        Override(**{"regime": "CRISIS", "reason": "x", **changes})
