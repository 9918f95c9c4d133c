"""`ballast data quality` and `ballast events report`, as a user meets them."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from support.command import Ballast

from ballast_cli import output
from ballast_cli.configuration import effective

MONDAY = datetime(2017, 5, 1, tzinfo=UTC)
EVENTS = [MONDAY + timedelta(days=day, hours=13, minutes=30) for day in range(1, 60, 2)]


def prices(folder: Path, *, without: range = range(0), zero: int = -1) -> Path:
    """Quarter hours of weekdays, livelier for an hour after the events."""
    folder.mkdir(parents=True)
    rng, close, lines, number = np.random.default_rng(3), 1.1, ["timestamp,open,high,low,close"], 0
    for i in range(60 * 96):
        at = MONDAY + i * timedelta(minutes=15)
        if at.weekday() == 5 or (at.weekday() == 4 and at.hour >= 21) or (at.weekday() == 6 and at.hour < 21):
            continue
        number += 1
        lively = any(timedelta(0) <= at - event < timedelta(hours=1) for event in EVENTS)
        opened, width = close, 0.003 if lively else 0.0005
        close *= float(np.exp(rng.normal(0, width)))
        if number in without:
            continue
        low = 0.0 if number == zero else min(opened, close)
        lines.append(f"{at.isoformat()},{opened:.6f},{max(opened, close):.6f},{low:.6f},{close:.6f}")
    (folder / "EURUSD_M15.csv").write_text("\n".join(lines) + "\n")
    return folder


def calendar(path: Path) -> Path:
    rows = [f"{event.isoformat()},USD,high,Payrolls" for event in EVENTS]
    path.write_text("timestamp,currency,impact,event\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.req("MKT-09")
def test_the_worst_days_of_every_directory_are_told_and_drawn(ballast: Ballast, tmp_path: Path) -> None:
    prices(tmp_path / "data" / "good")
    prices(tmp_path / "data" / "bad", without=range(200, 260), zero=500)
    (tmp_path / "data" / "words.csv").write_text("timestamp,word\n2017-01-01,hello\n")
    said = ballast("data", "quality", "--data", "data", "--report", "page.html", "--days", "2", "--json")
    assert said.code == 0
    told = json.loads(said.out)
    bad, good = told["instruments"]
    assert (Path(bad["directory"]).name, Path(good["directory"]).name) == ("bad", "good")
    assert (good["grade"], good["completeness"], good["refused"]) == ("A", 1.0, {})
    assert bad["refused"] == {"NOT_POSITIVE": 1}
    assert bad["missing"] == 61
    assert bad["longest_gaps"][0]["missing"] == 60
    assert [of["grade"] for of in bad["worst_days"]] == ["F", "D"]
    assert len(told["skipped"]) == 1
    assert "words.csv skipped: no prices in its columns" in told["skipped"][0]
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert page.count("<svg") == 2
    assert bad["worst_days"][0]["day"] in page


@pytest.mark.req("MKT-09")
def test_a_grade_that_is_too_low_is_an_exit_code(ballast: Ballast, tmp_path: Path) -> None:
    prices(tmp_path / "data", without=range(200, 1400))
    asked = ("data", "quality", "--data", "data")
    table = ballast(*asked)
    assert table.code == 0
    assert "EUR-USD.LOCAL" in table.out
    assert ballast(*asked, "--fail-below", "D").code == output.FAILED
    assert ballast(*asked, "--fail-below", "F").code == 0
    assert ballast(*asked, "--fail-below", "Z").code == output.USAGE


@pytest.mark.req("MKT-09")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "nowhere"), "nowhere: no such directory"),
        (("--data", "."), "holds no price files"),
        (("--data", "data", "--symbols", "GBPUSD"), "has none of GBP-USD; it has EUR-USD"),
        (("--data", "data", "--report", "nowhere/page.html"), "--report nowhere/page.html: no such directory"),
    ],
)
def test_what_cannot_be_examined_is_said(
    ballast: Ballast, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    if "data" in arguments:
        prices(tmp_path / "data")
    said = ballast("data", "quality", *arguments)
    assert said.code == output.CONFIG
    assert message in said.err


@pytest.mark.req("REG-12")
def test_what_markets_did_around_events_is_told_with_its_sample_size(ballast: Ballast, tmp_path: Path) -> None:
    prices(tmp_path / "data")
    calendar(tmp_path / "calendar.csv")
    asked = ("events", "report", "--data", "data", "--calendar", "calendar.csv")
    told = json.loads(ballast(*asked, "--csv", "rows.csv", "--json").out)
    rows = {(row["currency"], row["phase"], row["measure"]): row for row in told["rows"]}
    after = rows["USD", "after", "volatility"]
    assert after["events"] == sum(event.weekday() < 5 for event in EVENTS)
    assert after["low"] > 3  # six times was planted
    before = rows["USD", "before", "volatility"]
    assert before["low"] < 1 < before["high"]
    with (tmp_path / "rows.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [float(row["estimate"]) for row in written] == [row["estimate"] for row in told["rows"]]
    table = ballast(*asked)
    assert f"{len(EVENTS)} instants in the calendar" in table.out


@pytest.mark.req("REG-12", "MKT-07")
def test_a_bad_calendar_is_named_with_row_and_value(ballast: Ballast, tmp_path: Path) -> None:
    prices(tmp_path / "data")
    (tmp_path / "calendar.csv").write_text("timestamp,currency,impact,event\n2017-05-01,USD,enormous,Payrolls\n")
    said = ballast("events", "report", "--data", "data", "--calendar", "calendar.csv")
    assert said.code == output.CONFIG
    assert "calendar.csv: row 2: impact 'enormous', expected one of low, medium, high" in said.err


@pytest.mark.req("REG-12")
def test_a_backtest_with_a_blackout_denies_orders_near_events(ballast: Ballast, tmp_path: Path) -> None:
    prices(tmp_path / "data")
    calendar(tmp_path / "calendar.csv")
    (tmp_path / "quiet.toml").write_text(
        '[market_data]\neconomic_calendar = "calendar.csv"\nsymbols = []\n'
        '[signals]\ntimeframes = ["15m"]\n'
        "[portfolio]\nrebalance_hours = 1\n"
        "[risk_guardian.events]\nbefore_minutes = 600\nafter_minutes = 600\n"
    )
    span = ("--data", "data", "--no-keep", "--json")
    quiet = json.loads(ballast("backtest", "--config", "quiet.toml", *span).out)
    (tmp_path / "loud.toml").write_text((tmp_path / "quiet.toml").read_text().replace("= 600", "= 0"))
    loud = json.loads(ballast("backtest", "--config", "loud.toml", *span).out)
    assert quiet["orders"]["denied"] > loud["orders"]["denied"] + 50
    assert 0 < quiet["orders"]["filled"] < loud["orders"]["filled"]


@pytest.mark.req("MKT-07", "PLT-09", "RES-09")
def test_two_runs_whose_calendars_differ_differ_in_their_configuration(ballast: Ballast, tmp_path: Path) -> None:
    prices(tmp_path / "data")
    (tmp_path / "quiet.toml").write_text('[market_data]\neconomic_calendar = "calendar.csv"\nsymbols = []\n')
    head = "timestamp,currency,impact,event\n"
    told = []
    for at in ("13:30", "13:30", "14:30"):
        (tmp_path / "calendar.csv").write_text(f"{head}2017-01-06T{at}:00Z,USD,high,Payrolls\n")
        assert ballast("backtest", "--config", "quiet.toml", "--data", "data").code == 0
        told.append(json.loads(ballast("runs", "show", "latest", "--json").out))
    first, same, other = (one["trial"]["configuration"] for one in told)
    assert first == same != other
    compared = json.loads(ballast("runs", "compare", told[0]["id"], told[2]["id"], "--json").out)
    assert list(compared["configuration"]) == ["market_data.economic_calendar"]
    live = effective(
        "fx", override=tmp_path / "quiet.toml", data="live"
    )  # there the tape holds every event that was said
    assert live["market_data"]["economic_calendar"] == str(tmp_path / "calendar.csv")
    (tmp_path / "calendar.csv").unlink()
    gone = ballast("config", "check", "--config", "quiet.toml")
    assert gone.code == output.CONFIG
    assert "calendar.csv: no such file" in gone.err
