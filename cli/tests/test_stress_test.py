"""`ballast stress-test`: quantiles for people and programs, and a command that replays the worst path (RES-08)."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from support.command import Ballast

pytestmark = pytest.mark.req("RES-08")
SPAN = ("--from", "2017-03-01", "--to", "2017-05-01")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[signals]\nstrategies = ["sma_cross_20_50"]\ntimeframes = ["1h"]\n[market_data]\ntimeframes = ["1h"]\n'
    )
    return path


def test_the_worst_path_is_replayed_by_the_command_that_is_printed(ballast: Ballast, mine: Path) -> None:
    own = ("--config", str(mine), "--data", "builtin-h1", *SPAN)
    said = ballast("stress-test", *own, "--kind", "crash", "--paths", "2", "--seed", "7", "--json")
    assert said.code == 0
    found = json.loads(said.out)["kinds"]
    assert list(found) == ["real", "crash"]
    worst = found["crash"]["worst"]
    replayed = ballast(*shlex.split(worst["replay"])[1:], "--json")
    assert replayed.code == 0
    again = json.loads(replayed.out)
    assert again["metrics"]["cum_returns_final"] == worst["total_return"]
    assert again["max_drawdown"] == worst["max_drawdown"]


def test_people_read_a_line_for_each_measure(ballast: Ballast, mine: Path) -> None:
    own = ("--config", str(mine), "--data", "builtin-h1", *SPAN)
    said = ballast("stress-test", *own, "--kind", "bootstrap", "--paths", "1")
    assert said.code == 0
    assert "bootstrap.max_drawdown" in said.out
    assert "p95" in said.out
    assert "paths:bootstrap:1:builtin-h1" in said.out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--kind", "warp"), "expected some of garch, jumps, crash, bootstrap"),
        (("--data", "paths:crash:1:nowhere"), "--data nowhere"),
        (
            ("--data", "builtin-h1", *SPAN, "--kind", "crash", "--paths", "1", "--episodes", "."),
            "no episode of profile fx",
        ),
    ],
)
def test_what_is_wrong_is_named(ballast: Ballast, mine: Path, arguments: tuple[str, ...], named: str) -> None:
    said = ballast("stress-test", "--config", str(mine), *arguments, "--json")
    assert said.code == 78
    assert named in json.loads(said.out)["error"]
