"""Every bad row that is put into real prices is refused for what is wrong with it, and counted (MKT-03, MKT-09)."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from common.messages import MarketDataEnded
from common.messages.market_data import QuarantineReason, RowsQuarantined
from market_data.feeds import HOURS, open_feed
from market_data.quality import Quality, examine, symbols_in
from market_data.settings import Settings
from market_data.source import FeedSource

Row = list[str]
Spoil = Callable[[list[Row], int], None]
SETTINGS = Settings()
SIDES = tuple(f"{side}_{name}" for side in ("bid", "ask") for name in ("open", "high", "low", "close"))
PLACES = tuple(range(60, 2400, 97))  # hours of 2017 that are spoiled


def real_rows() -> list[Row]:
    """EURUSD by the hour as a two-sided market, a pip wide."""
    with gzip.open(next(HOURS.glob("*.csv.gz")), "rt") as file:
        found = list(csv.reader(file))[1:]
    first = {row[0]: row for row in reversed(found)}  # the source itself has an hour twice
    return [[row[0], *row[1:5], *(f"{float(px) + 0.0001:.5f}" for px in row[1:5])] for row in sorted(first.values())]


def cell(column: int, change: Callable[[str], str]) -> Spoil:
    def spoil(rows: list[Row], place: int) -> None:
        rows[place][column] = change(rows[place][column])

    return spoil


def times(factor: float) -> Spoil:
    def spoil(rows: list[Row], place: int) -> None:
        rows[place][1:] = [f"{float(px) * factor:.5f}" for px in rows[place][1:]]

    return spoil


def swap_sides(rows: list[Row], place: int) -> None:
    rows[place][1:5], rows[place][5:] = rows[place][5:], rows[place][1:5]


def cut_short(rows: list[Row], place: int) -> None:
    del rows[place][6:]


def twice(rows: list[Row], place: int) -> None:
    rows.insert(place, list(rows[place]))


def too_late(rows: list[Row], place: int) -> None:
    rows.insert(place + 7, rows.pop(place))


FAULTS = {
    "a price that is no number": (cell(4, lambda px: px.replace("1.", "l.")), QuarantineReason.UNPARSEABLE),
    "a row cut short": (cut_short, QuarantineReason.UNPARSEABLE),
    "no price": (cell(8, lambda _: ""), QuarantineReason.MISSING_PRICE),
    "no number": (cell(1, lambda _: "nan"), QuarantineReason.MISSING_PRICE),
    "infinite": (cell(6, lambda _: "inf"), QuarantineReason.MISSING_PRICE),
    "zero": (times(0.0), QuarantineReason.NOT_POSITIVE),
    "negative": (times(-1.0), QuarantineReason.NOT_POSITIVE),
    "a high below the low": (cell(2, lambda px: f"{float(px) - 0.2:.5f}"), QuarantineReason.OHLC_INCONSISTENT),
    "crossed": (swap_sides, QuarantineReason.CROSSED),
    "twice": (twice, QuarantineReason.DUPLICATE),
    "out of order": (too_late, QuarantineReason.OUT_OF_ORDER),
    "half the price": (times(0.5), QuarantineReason.OUTLIER),
    "ten times the price": (times(10.0), QuarantineReason.OUTLIER),
}


TICK_FAULTS = {
    "a price that is no number": (cell(1, lambda px: px.replace("1.", "l.")), QuarantineReason.UNPARSEABLE),
    "no ask": (cell(2, lambda _: ""), QuarantineReason.MISSING_PRICE),
    "a bid of zero": (cell(1, lambda _: "0.0"), QuarantineReason.NOT_POSITIVE),
    "negative": (times(-1.0), QuarantineReason.NOT_POSITIVE),
    "crossed": (cell(1, lambda px: f"{float(px) + 0.01:.5f}"), QuarantineReason.CROSSED),
    "out of order": (too_late, QuarantineReason.OUT_OF_ORDER),
    "ten times the price": (times(10.0), QuarantineReason.OUTLIER),
}


def written(folder: Path, rows: list[Row], columns: tuple[str, ...] = SIDES, name: str = "EURUSD_H1.csv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(map(",".join, [["timestamp", *columns], *rows])) + "\n")
    return folder


def judged(folder: Path) -> Quality:
    (found,) = examine(folder, SETTINGS, "EUR-USD", stale_bars=15)
    return found


@pytest.mark.req("MKT-03", "MKT-09")
@pytest.mark.parametrize("fault", FAULTS)
def test_every_bad_row_in_real_prices_is_refused_for_its_reason_and_nothing_else_is(tmp_path: Path, fault: str) -> None:
    spoil, reason = FAULTS[fault]
    rows = real_rows()
    clean = judged(written(tmp_path / "clean", rows))
    assert clean.total.refused == {}
    for place in reversed(PLACES):
        spoil(rows, place)
    spoiled = judged(written(tmp_path / "spoiled", rows))
    assert spoiled.total.refused == {reason: len(PLACES)}
    lost = 0 if reason is QuarantineReason.DUPLICATE else len(PLACES)
    assert spoiled.total.bars == clean.total.bars - lost
    assert spoiled.total.missing == clean.total.missing + lost
    assert sum(sum(of.refused.values()) for of in spoiled.days.values()) == len(PLACES)
    assert {example.reason for example in spoiled.examples} == {reason}
    assert len(spoiled.examples) == 3
    feed = open_feed(str(tmp_path / "spoiled"), settings=SETTINGS)
    ended = list(FeedSource(SETTINGS, feed).messages())[-1]
    assert isinstance(ended, MarketDataEnded)  # the same counts as a run has
    assert (ended.quarantined, ended.gaps) == (len(PLACES), spoiled.total.missing)


@pytest.mark.req("MKT-03")
def test_faults_of_all_kinds_at_once_are_told_apart(tmp_path: Path) -> None:
    rows, expected = real_rows(), Counter[QuarantineReason]()
    for number, place in reversed(list(enumerate(PLACES))):
        spoil, reason = list(FAULTS.values())[number % len(FAULTS)]
        spoil(rows, place)
        expected[reason] += 1
    found = judged(written(tmp_path / "all", rows))
    assert found.total.refused == dict(expected)
    assert len(expected) == len(QuarantineReason)


@pytest.mark.req("MKT-03", "MKT-09")
@pytest.mark.parametrize("fault", TICK_FAULTS)
def test_every_bad_tick_is_refused_for_its_reason_and_nothing_else_is(tmp_path: Path, fault: str) -> None:
    spoil, reason = TICK_FAULTS[fault]
    ticks = [[row[0], row[4], row[8]] for row in real_rows()]
    for place in reversed(PLACES):
        spoil(ticks, place)
    found = judged(written(tmp_path / "ticks", ticks, ("bid", "ask"), "EURUSD_quotes.csv"))
    assert found.total.refused == {reason: len(PLACES)}
    assert found.total.rows == found.total.bars + len(PLACES) == len(ticks)


@pytest.mark.req("MKT-09")
def test_symbols_of_a_directory_are_named_once(tmp_path: Path) -> None:
    written(tmp_path / "one", real_rows()[:5])
    assert symbols_in(written(tmp_path / "one", real_rows()[9:20], name="EURUSD_H1_more.csv")) == ("EUR-USD",)


@pytest.mark.req("MKT-03")
@pytest.mark.parametrize(
    ("name", "header", "cells"),
    [
        ("BTCUSDT_1h.csv", "timestamp,open,high,low,close,volume", "1,1,1,1,{}"),
        ("BTCUSDT_ticks.csv", "timestamp,price,size", "1,{}"),
        ("EURUSD_ticks.csv", "timestamp,bid,ask,bid_size,ask_size", "1,1.0001,5,{}"),
    ],
)
@pytest.mark.parametrize("infinite", ["inf", "-inf", "1e999"])
def test_an_infinite_size_is_refused_and_not_said(
    name: str, header: str, cells: str, infinite: str, tmp_path: Path
) -> None:
    """It would be no number on the tape, which nobody could read."""
    hours = (f"2020-01-01T{hour:02d}:00:00Z,{cells.format(infinite if hour == 3 else 7)}" for hour in range(6))
    (tmp_path / name).write_text("\n".join([header, *hours, ""]))
    said = list(FeedSource(SETTINGS, open_feed(str(tmp_path), settings=SETTINGS)).messages())
    for message in said:
        assert msgspec.json.decode(msgspec.json.encode(message), type=type(message)) == message
    (refused,) = [row for one in said if isinstance(one, RowsQuarantined) for row in one.rows]
    assert refused.reason is QuarantineReason.UNPARSEABLE
    assert "is not a number" in refused.detail
