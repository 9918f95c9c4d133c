"""`ballast sessions` as a user meets it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from support.command import Ballast

SPAN = ("--from", "2017-02-01", "--to", "2017-06-01")


@pytest.mark.req("REG-10")
def test_the_clock_says_what_is_open_and_when_the_others_open_next(ballast: Ballast) -> None:
    said = ballast("sessions", "now", "--at", "2024-12-24T12:00", "--json")
    assert said.code == 0
    told = json.loads(said.out)
    assert (told["session"], told["overlap"], told["edges"]) == ("London", None, ["London close"])
    london, tokyo = told["sessions"]["London"], told["sessions"]["Tokyo"]
    assert (london["open"], london["closes"], london["early_close"]) == (True, "2024-12-24T12:30:00Z", True)
    assert (tokyo["open"], tokyo["opens"]) == (False, "2024-12-25T00:00:00Z")
    assert ballast("sessions", "now").code == 0
    wrong = ballast("sessions", "now", "--at", "noon")
    assert wrong.code == 78
    assert "--at noon: expected" in wrong.err
    for year in ("0001", "9999"):
        far = ballast("sessions", "now", "--at", f"{year}-12-31")
        assert (far.code, f"--at {year}-12-31: expected a year from 1900 to 2199" in far.err) == (78, True)


@pytest.mark.req("REG-11", "REG-13")
def test_the_report_is_a_table_a_page_and_files_that_agree(ballast: Ballast, tmp_path: Path) -> None:
    page, folder = tmp_path / "sessions.html", tmp_path / "tables"
    said = ballast("sessions", "report", *SPAN, "--report", str(page), "--csv", str(folder), "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    london = next(row for row in told["cells"] if (row["part"], row["regime"]) == ("London", "all"))
    assert london["n"] >= london["strength"]["n"] > 50
    assert london["strength"]["low"] < london["strength"]["value"] < london["strength"]["high"]
    with (folder / "cells.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if (row["part"], row["regime"]) == ("London", "all"))
    assert float(row["strength"]) == london["strength"]["value"]
    assert int(row["strength_n"]) == london["strength"]["n"]
    assert [row["part"] for row in told["hours"]] == [f"{hour:02d}" for hour in range(24)]
    html = page.read_text()
    assert "<script" not in html
    assert f"{told['hours'][13]['move_bps']['value']:.1f} ({told['hours'][13]['n']})" in html


@pytest.mark.req("REG-12")
def test_learning_says_what_has_not_earned_its_place_and_writes_nothing_then(ballast: Ballast, tmp_path: Path) -> None:
    out = tmp_path / "windows.toml"
    said = ballast("sessions", "learn", *SPAN, "--never", "21-23", "--out", str(out), "--json")
    assert said.code == 0, said.err
    (window,) = json.loads(said.out)["windows"]
    assert {"21", "22"}.isdisjoint(window["parts"])
    assert window["earned"] is out.exists()
    assert window["earned"] or window["reason"]
    assert window["left_out"] <= window["seen_later"] < window["outcomes"]


@pytest.mark.req("REG-11")
def test_a_kept_run_tells_what_its_trades_came_to(ballast: Ballast, tmp_path: Path) -> None:
    hourly = tmp_path / "hourly.toml"
    hourly.write_text('[market_data]\nsymbols = []\n[signals]\ntimeframes = ["1h"]\n[portfolio]\nrebalance_hours = 1\n')
    assert ballast("backtest", "--data", "builtin-h1", "--config", str(hourly), *SPAN).code == 0
    said = ballast("sessions", "report", "--run", "latest", "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert told["source"] == "trades"
    counted = Counter({row["session"]: row["signals"] for row in told["results"] if row["regime"] == "all"})
    (path,) = tmp_path.rglob("trades.csv")
    with path.open() as file:  # the file of the run and the report name the session of a trade alike
        assert Counter(row["session"] for row in csv.DictReader(file) if row["profit"]) == counted
    assert counted.total() > 30


@pytest.mark.req("REG-11")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("report", "--timeframe", "4h"), 78, "expected 1m to 1h"),
        (("report", "--data", "builtin"), 78, "no bars of 1h"),
        (("learn", "--by", "week"), 2, "expected hour or session"),
        (("learn", "--zone", "Mars/Olympus"), 78, "--zone Mars/Olympus: expected"),
        (("learn", "--always", "Paris", "--by", "session"), 78, "--always Paris: expected"),
        (("report", "--run", "latest"), 78, "no run is kept"),
    ],
)
def test_what_cannot_be_answered_says_what_was_expected(
    ballast: Ballast, arguments: tuple[str, ...], code: int, said: str
) -> None:
    answer = ballast("sessions", *arguments)
    assert answer.code == code
    assert said in " ".join(answer.err.split())
