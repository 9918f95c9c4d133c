"""Look-ahead is found, in whatever way it is done; what ships does not look ahead."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from common.model.time import NS_PER_HOUR, to_datetime
from common.runtime.settings import load
from market_data.feeds import open_feed
from market_data.settings import Settings as MarketDataSettings
from research.overrides import with_values
from research.truth.course import recent
from research.truth.lookahead import Verdict, as_json, lookahead, runs

CHEATS = Path(__file__).parent / "cheats"
HOURS = 160
MONDAY = 17_168 * 24 * NS_PER_HOUR  # 2 January 2017


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs in hours."""
    folder = tmp_path_factory.mktemp("prices")
    rng = np.random.default_rng(5)
    for name, level in (("EURUSD", 1.05), ("GBPUSD", 1.25)):
        closes = level * np.exp(np.cumsum(rng.normal(0, 0.0015, HOURS)))
        rows = ["timestamp,open,high,low,close,volume"]
        for hour, close in enumerate(closes):
            opened = closes[hour - 1] if hour else close
            high, low = max(opened, close) * 1.0003, min(opened, close) * 0.9997
            stamp = f"{to_datetime(MONDAY + hour * NS_PER_HOUR):%Y-%m-%dT%H:%M:%S}"
            rows.append(f"{stamp},{opened:.5f},{high:.5f},{low:.5f},{close:.5f},1000")
        (folder / f"{name}_H1.csv").write_text("\n".join(rows) + "\n")
    return folder


def config(prices: Path, folder: Path, *strategies: str) -> dict[str, Any]:
    made = load("fx")
    made["market_data"]["symbols"] = []
    made["signals"] |= {"timeframes": ["1h"], "strategy_folder": str(folder), "strategies": list(strategies)}
    made["risk_guardian"]["limits"]["session"] = "always"
    made["run"] = {"data": str(prices), "start_ns": None, "end_ns": None}
    return made


@pytest.fixture(scope="module")
def judged(prices: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Verdict]:
    """What becomes of a cheat that trades beside an honest strategy."""

    @cache
    def judge(cheat: str) -> Verdict:
        folder = tmp_path_factory.mktemp(cheat)
        for name in (cheat, "honest"):
            words = (CHEATS / f"{name}.py").read_text().replace("PRICES", str(prices / "EURUSD_H1.csv"))
            (folder / f"{name}.py").write_text(words)
        return lookahead(config(prices, folder, cheat, "honest"), cuts=1)

    return judge


@pytest.mark.req("RES-01")
@pytest.mark.parametrize(
    ("cheat", "caught"),
    [
        ("reads_the_file", {"outside"}),
        ("finds_the_rows", {"future"}),
        ("asks_the_clock", {"repeat"}),
        ("remembers", {"restart"}),
    ],
)
def test_a_planted_cheat_is_caught_and_named_and_the_honest_one_is_not(
    judged: Callable[[str], Verdict], cheat: str, caught: set[str]
) -> None:
    verdict = judged(cheat)

    assert not verdict.passed
    found = verdict.by_strategy()
    assert caught <= set(found[cheat].split(", ")), as_json(verdict)
    assert found["honest"] == "ok"
    assert verdict.signals["honest"] > 10


@pytest.mark.req("RES-01")
def test_directions_that_know_the_next_bar_are_refused_since_decide_cannot_say_the_same(
    judged: Callable[[str], Verdict],
) -> None:
    with pytest.raises(ConfigError, match=r"shifts_its_directions.py: .*directions say .*, decide says"):
        judged("shifts_its_directions")


@pytest.mark.req("RES-01")
def test_a_look_ahead_is_told_with_its_place_and_both_stories(judged: Callable[[str], Verdict]) -> None:
    told = as_json(judged("finds_the_rows"))["failed"]

    ahead = next(each for each in told if each["check"] == "future")
    assert ahead["strategies"] == ["finds_the_rows"]
    assert ahead["differs_at"] <= ahead["changed_after"]
    assert ahead["one"] != ahead["other"]
    assert "finds_the_rows" in ahead["one"] + ahead["other"]


@pytest.mark.req("RES-01")
def test_a_strategy_that_has_read_a_file_is_told_with_the_file(judged: Callable[[str], Verdict], prices: Path) -> None:
    outside = as_json(judged("reads_the_file"))["outside"]

    assert [(Path(each["file"]).name, each["did"]) for each in outside] == [
        ("reads_the_file.py", f"open {prices / 'EURUSD_H1.csv'}")
    ]


@pytest.mark.req("RES-01")
def test_every_shipped_strategy_speaks_and_none_looks_ahead(prices: Path, tmp_path: Path) -> None:
    made = with_values(config(prices, tmp_path), {"run.data": "synthetic:trend"})

    verdict = lookahead(recent(made, 500), cuts=1)

    assert verdict.passed, as_json(verdict)
    assert len(verdict.signals) == 10
    assert set(verdict.by_strategy().values()) == {"ok"}
    assert len(verdict.findings) == runs(1, 1) - 2 + 1  # two runs are what is compared with, one question needs none


def test_too_little_data_is_said_and_not_passed(prices: Path, tmp_path: Path) -> None:
    (tmp_path / "honest.py").write_text((CHEATS / "honest.py").read_text())
    with pytest.raises(DataError, match="5 slices of data: expected at least 8 for 3 instants"):
        lookahead(recent(config(prices, tmp_path, "honest"), 5))


def test_a_strategy_that_does_not_exist_is_a_wrong_configuration(prices: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nobody"):
        lookahead(config(prices, tmp_path, "nobody"))


@pytest.mark.req("RES-01")
@pytest.mark.parametrize("data", ["synthetic:calm", "builtin"])
@pytest.mark.parametrize("kind", ["mirror", "walk", "cut"])
def test_another_future_is_the_same_past_and_believable_prices_of_another_course(kind: str, data: str) -> None:
    settings = MarketDataSettings()
    real = open_feed(data, settings=settings)
    after = int(real.rows[0].arrival[1000])
    other, again = (open_feed(f"altered:{kind}:3:{after}:{data}", settings=settings) for _ in range(2))

    assert other.instruments == real.instruments
    for was, became, same in zip(real.rows, other.rows, again.rows, strict=True):
        past = int(np.searchsorted(was.arrival, after, side="right"))
        assert np.array_equal(was.ts[:past], became.ts[:past])
        for name, column in was.values.items():
            assert np.array_equal(column[:past], became.values[name][:past])
            assert np.array_equal(became.values[name], same.values[name])
        if kind == "cut":
            assert became.ts.size == past
            continue
        v = became.values
        assert np.all(
            (v["low"] <= np.minimum(v["open"], v["close"])) & (v["high"] >= np.maximum(v["open"], v["close"]))
        )
        assert np.all(v["low"] > 0)
        moves, before = (np.diff(np.log(one.values["close"][past - 1 :])) for one in (became, was))
        if kind == "mirror":
            np.testing.assert_allclose(moves, -before, atol=1e-12)
        else:
            assert abs(float(np.corrcoef(moves, before)[0, 1])) < 0.6
            assert moves.std() > 1.5 * before.std()


def test_an_unknown_future_is_wrong_data() -> None:
    with pytest.raises(DataError, match="expected one of mirror, walk, cut"):
        open_feed("altered:bright:1:0:synthetic:calm", settings=MarketDataSettings())
