"""The truth checks as a user meets them: answers, exit codes, wrong words."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import Ballast

SHORT = ("--data", "synthetic:trend", "--to", "2024-01-20")
LUCK = """
import random
from signals.api import Context, Opinion, Strategy, Tier, VolState, by_sign

def decide(ctx: Context) -> Opinion:
    return by_sign(random.random() - 0.5, full=0.0, reason="luck")

strategy = Strategy(id="luck", tier=Tier.CORE, params={VolState.NORMAL: {}}, features=lambda p: {}, decide=decide,
                    hold_bars=500)
"""


@pytest.fixture
def hourly(tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "hourly.toml"
    path.write_text(
        '[signals]\ntimeframes = ["1h"]\nstrategies = ["ma_slope", "macd_signal"]\n[market_data]\nsymbols = ["EUR-USD"]\n'
    )
    return ("--config", str(path), *SHORT, "--json")


@pytest.mark.req("RES-01")
def test_lookahead_passes_on_what_ships_and_says_over_what(ballast: Ballast, hourly: tuple[str, ...]) -> None:
    said = ballast("lookahead", "--cuts", "1", *hourly)
    result = said.json
    assert (said.code, result["passed"]) == (0, True)
    assert result["strategies"] == {"ma_slope": "ok", "macd_signal": "ok"}
    assert result["from"] < result["changed_after"][0] < result["to"]


@pytest.mark.req("RES-01")
def test_lookahead_names_a_strategy_that_relies_on_luck_and_ends_with_one(
    ballast: Ballast, hourly: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "luck.py").write_text(LUCK)
    Path(hourly[1]).write_text(Path(hourly[1]).read_text().replace('"macd_signal"', '"luck"'))
    said = ballast("lookahead", "--cuts", "1", "--strategy-folder", str(tmp_path / "mine"), *hourly)
    result = said.json
    assert (said.code, result["passed"]) == (1, False)
    assert "repeat" in result["strategies"]["luck"]
    assert result["strategies"]["ma_slope"] == "ok"


@pytest.mark.req("RES-01")
def test_parity_lines_up_the_ways_that_need_no_servers(ballast: Ballast, hourly: tuple[str, ...]) -> None:
    result = ballast("parity", *hourly).json
    assert (result["ways"], result["identical"], result["differences"]) == (["backtest", "plain", "wire"], True, [])
    assert result["fills"] > 0


def test_parity_with_a_tape_that_is_not_there_says_so(ballast: Ballast) -> None:
    said = ballast("parity", "--recorded", "--json")
    assert said.code == 69
    assert "nothing has run here" in said.json["error"]


@pytest.mark.req("RES-03")
def test_ab_tells_what_each_feature_contributes(ballast: Ballast, hourly: tuple[str, ...]) -> None:
    result = ballast("ab", "--only", "strategy", *hourly).json
    assert list(result["contributions"]) == ["strategy ma_slope", "strategy macd_signal"]
    slope = result["contributions"]["strategy ma_slope"]
    assert slope["active"]
    assert slope["annual_return"]["low"] <= slope["annual_return"]["high"]


@pytest.mark.req("RES-01")
def test_warmup_tells_when_strategies_are_asked_and_from_where_on_they_agree(
    ballast: Ballast, hourly: tuple[str, ...]
) -> None:
    result = ballast("warmup", "--starts", "1", *hourly).json
    assert result["strategies"]["ma_slope 1h"]["declared"] == 51
    assert result["passed"] is (result["late"] == [])


def test_a_data_directory_that_is_not_there_is_a_wrong_configuration(ballast: Ballast) -> None:
    said = ballast("lookahead", "--data", "nowhere", "--json")
    assert said.code == 78
    assert "nowhere" in said.json["error"]
