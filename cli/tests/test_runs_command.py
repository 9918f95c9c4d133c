"""`ballast runs`, and what a backtest leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command import Ballast

SPAN = ("--from", "2010-01-01", "--to", "2010-05-01")
BACKFILL = ("data", "backfill", "--venue", "kraken", "--symbols", "BTC-USD", "--start", "2023-01-01")


@pytest.mark.req("RES-09")
def test_a_backtest_is_kept_with_its_report_and_found_again(ballast: Ballast, tmp_path: Path) -> None:
    first = ballast("backtest", *SPAN, "--report", "page.html", "--json")
    assert first.code == 0
    result = json.loads(first.out)
    assert result["report"] == "page.html"
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert f"{result['equity']:,.2f}" in page
    (tmp_path / "other.toml").write_text("[portfolio]\nrisk_per_trade = 0.004\n")
    second = json.loads(ballast("backtest", *SPAN, "--config", "other.toml", "--report", "two.html", "--json").out)
    assert "2 configurations are known to have been tried" in (tmp_path / "two.html").read_text()

    listed = json.loads(ballast("runs", "list", "--json").out)
    assert [run["id"] for run in listed["runs"]] == [result["kept"], second["kept"]]
    assert all(run["report"] for run in listed["runs"])
    assert json.loads(ballast("runs", "show", result["kept"], "--json").out)["digest"] == result["digest"]
    compared = json.loads(ballast("runs", "compare", result["kept"], "latest", "--json").out)
    assert list(compared["configuration"]) == ["portfolio.risk_per_trade"]
    assert not compared["same_trading"]
    assert "They do not trade the same." in ballast("runs", "compare", result["kept"], "latest").out


def test_a_backtest_that_is_not_kept_leaves_nothing(ballast: Ballast, tmp_path: Path) -> None:
    assert "kept" not in json.loads(ballast("backtest", *SPAN, "--no-keep", "--json").out)
    assert list(tmp_path.iterdir()) == []
    assert ballast("runs", "list", "--json").out == '{"runs": [], "size_kb": 0}\n'


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("runs", "show"), 78, "no run is kept"),
        (("runs", "compare", "latest"), 2, "two runs or more"),
        (("backtest", "--report", "nowhere/page.html"), 78, "--report nowhere/page.html: no such directory"),
        (("backtest", "--report", "."), 78, "--report .: a directory; expected a file"),
        (("walkforward", "--write", "."), 78, "--write .: a directory; expected a file"),
        (("bench", "resilience", "--data", ".", "--write", "no/t.md"), 78, "--write no/t.md: no such directory"),
        (("regime", "fit", "--write", "."), 78, "--write .: a directory; expected a file"),
        (("sessions", "learn", "--out", "no/w.toml"), 78, "--out no/w.toml: no such directory"),
        (("sessions", "report", "--report", "."), 78, "--report .: a directory; expected a file"),
        (("sessions", "report", "--csv", "/dev/null"), 78, "--csv /dev/null: a file; expected a folder"),
        (
            ("events", "report", "--data", ".", "--calendar", "c.csv", "--csv", "no/e.csv"),
            78,
            "--csv no/e.csv: no such directory",
        ),
        ((*BACKFILL, "--into", "/dev/null"), 78, "--into /dev/null: "),
        ((*BACKFILL, "--into", "no", "--url", "nonsense"), 78, "--url nonsense: expected http://... or https://..."),
    ],
)
def test_what_cannot_be_done_is_one_line(ballast: Ballast, arguments: tuple[str, ...], code: int, said: str) -> None:
    answer = ballast(*arguments)
    assert answer.code == code
    assert said in " ".join(answer.err.split())


def test_where_a_run_cannot_be_kept_it_is_not_begun(
    ballast: Ballast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "taken" / "home"))
    answer = ballast("backtest", *SPAN, "--json")
    assert answer.code == 78
    assert json.loads(answer.out)["error"] == (
        f"{tmp_path / 'taken'}: no directory; expected a BALLAST_HOME in which runs can be kept, or --no-keep"
    )
    assert ballast("backtest", *SPAN, "--no-keep", "--json").code == 0
