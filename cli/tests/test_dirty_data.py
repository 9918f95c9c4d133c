"""A directory of one's own prices with rows that cannot be right: they are refused and counted, the rest is traded."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.command import Ballast

from ballast_cli import output

HEADER = ",".join(
    ["timestamp", *(f"{side}_{name}" for side in ("bid", "ask") for name in ("open", "high", "low", "close"))]
)
DAYS = 500
SPREAD = 0.0001
Row = list[str]
Spoil = Callable[[list[Row]], None]


def rows() -> list[Row]:
    """Days that rise and fall, so that averages cross."""
    start, before, found = datetime(2015, 1, 5, tzinfo=UTC), 1.1, []
    for day in range(DAYS):
        close = 1.1 + 0.1 * math.sin(day / 25)
        bid = (before, max(before, close) + 0.001, min(before, close) - 0.001, close)
        prices = (*bid, *(price + SPREAD for price in bid))
        found.append([(start + timedelta(days=day)).isoformat(), *(f"{price:.5f}" for price in prices)])
        before = close
    return found


def write(folder: Path, lines: list[Row], name: str = "EURUSD_D1.csv") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join([HEADER, *map(",".join, lines)]) + "\n")


def _crossed(lines: list[Row]) -> None:
    lines[100][5:] = [f"{float(price) - 0.01:.5f}" for price in lines[100][1:5]]


def _negative(lines: list[Row]) -> None:
    lines[100][3] = "-1.0"


def _missing(lines: list[Row]) -> None:
    lines[100][4] = lines[100][8] = ""


def _duplicated(lines: list[Row]) -> None:
    lines.insert(101, lines[100])


def _unsorted(lines: list[Row]) -> None:
    lines.insert(200, lines.pop(100))


def _words(lines: list[Row]) -> None:
    lines[100][1] = "n/a"


def _short(lines: list[Row]) -> None:
    lines[100] = lines[100][:3]


def _no_time(lines: list[Row]) -> None:
    lines[100][0] = "yesterday"


def _spike(lines: list[Row]) -> None:
    lines[100][1:] = [f"{float(price) * 10:.5f}" for price in lines[100][1:]]


def _high_below_low(lines: list[Row]) -> None:
    lines[100][2], lines[100][3] = lines[100][3], lines[100][2]


@pytest.mark.parametrize(
    "spoil",
    [_crossed, _negative, _missing, _duplicated, _unsorted, _words, _short, _no_time, _spike, _high_below_low],
    ids=lambda spoil: spoil.__name__.strip("_"),
)
def test_a_row_that_cannot_be_right_is_quarantined_and_the_rest_is_traded(
    ballast: Ballast, tmp_path: Path, spoil: Spoil
) -> None:
    lines = rows()
    spoil(lines)
    write(tmp_path / "prices", lines)

    answer = ballast("backtest", "--data", "prices", "--json")

    assert answer.code == output.OK, answer.err
    assert answer.json["quarantined"] == 1
    assert answer.json["fills"] > 0
    assert answer.json["bars"] >= DAYS - 1


def test_clean_prices_are_traded_whole(ballast: Ballast, tmp_path: Path) -> None:
    write(tmp_path / "prices", rows())

    result = ballast("backtest", "--data", "prices", "--json").json

    assert result["quarantined"] == 0
    assert result["fills"] > 0


def test_a_file_that_holds_no_prices_does_not_keep_the_others_from_being_traded(
    ballast: Ballast, tmp_path: Path
) -> None:
    write(tmp_path / "prices", rows())
    clean = ballast("backtest", "--data", "prices", "--json").json
    (tmp_path / "prices" / "notes.csv").write_text("hello\n")
    (tmp_path / "prices" / "readme.txt").write_text("hello\n")

    answer = ballast("backtest", "--data", "prices", "--json")

    assert (answer.code, answer.json["digest"]) == (output.OK, clean["digest"])


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("", b"", "holds no prices"),
        ("notes.txt", b"hello", "holds no prices"),
        ("EURUSD_D1.csv", b"", "no column 'timestamp'"),
        ("EURUSD_D1.csv", b"hello\nworld\n", "no column 'timestamp'"),
        ("EURUSD_D1.csv", b"timestamp,open,high,low,close\n", "no row with a timestamp"),
        ("EURUSD_D1.csv", b"timestamp,open,high,low,close\nsoon,1,1,1,1\n", "is not a time"),
        ("EURUSD_D1.csv", b"timestamp,weight\n2017-01-03,1\n", "no prices in its columns"),
        ("EURUSD_D1.csv", bytes(range(128, 256)), "cannot be read as csv"),
        ("EURUSD_D1.csv.gz", b"not compressed", "cannot be read as csv"),
        ("EURUSD_D1.parquet", b"not parquet", "cannot be read as parquet"),
        ("manifest.toml", b"[files", "manifest.toml"),
    ],
)
def test_a_directory_without_prices_is_refused_with_the_reason(
    ballast: Ballast, tmp_path: Path, name: str, content: bytes, named: str
) -> None:
    (tmp_path / "prices").mkdir()
    if name:
        (tmp_path / "prices" / name).write_bytes(content)

    answer = ballast("backtest", "--data", "prices", "--json")

    assert answer.code == output.CONFIG
    assert str(tmp_path / "prices") in answer.json["error"]
    assert named in answer.json["error"]
