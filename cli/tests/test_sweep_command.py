"""`ballast sweep`: a ranking for people and for programs, and an exit code that tells of what was refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ballast_cli.main import app
from ballast_cli.output import FAILED, OK

GRID = """
name = "mine"
symbols = ["EUR-USD"]
timeframes = ["1d"]
[[set]]
strategy = "sma_cross_20_50"
params = { fast = [10, 20], slow = [50, 100] }
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "home"))
    return tmp_path


def written(folder: Path, text: str) -> str:
    (folder / "mine.toml").write_text(text)
    return str(folder / "mine.toml")


@pytest.mark.req("RES-04")
def test_a_grid_is_ranked_and_a_second_run_resumes(tmp_path: Path) -> None:
    command = ["sweep", "--grid", written(tmp_path, GRID), "--top", "3", "--min-trades", "5", "--json"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == OK, first.output
    result = json.loads(first.stdout)
    assert (result["grid"], result["configurations"], len(result["ranking"])) == ("mine", 4, 3)
    best = result["ranking"][0]
    assert best["in_sample"]["sharpe"] == max(row["in_sample"]["sharpe"] for row in result["ranking"])
    assert result["costs"].endswith("financing")
    assert best["in_sample"]["financing"] > 0
    assert [row["few_trades"] for row in result["ranking"]] == [False] * 3
    assert {"deflated_sharpe", "sharpe_low", "sharpe_high", "out_of_sample"} <= set(best)
    again = json.loads(CliRunner().invoke(app, [*command, "--resume"]).stdout)
    assert again["series"] == {"computed": 0, "resumed": 1}
    assert again["ranking"] == result["ranking"]


@pytest.mark.req("RES-04")
def test_a_refused_configuration_is_exit_code_1_and_the_others_are_ranked(tmp_path: Path) -> None:
    grid = written(tmp_path, GRID + '[[set]]\nstrategy = "pullback"\nparams = { fast = -1 }\n')
    result = CliRunner().invoke(app, ["sweep", "--grid", grid])
    assert result.exit_code == FAILED
    assert "best 4 of 4" in result.output
    assert "mine.toml: set 2: params.fast = -1; expected a number above 0" in result.output


@pytest.mark.req("RES-04")
def test_configurations_with_too_few_trades_are_marked(tmp_path: Path) -> None:
    command = ["sweep", "--grid", written(tmp_path, GRID), "--min-trades", "9999"]
    assert " few " in CliRunner().invoke(app, command, env={"COLUMNS": "200"}).output
