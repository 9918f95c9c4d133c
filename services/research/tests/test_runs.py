"""Kept runs: what was printed is what is found again."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, DataError
from common.messages import InstrumentsDefined, OrderFilled, PortfolioStep
from common.testing.builders import T0, a
from research import runs
from research.chronicle import Chronicle
from research.summary import Summary

NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
DAY = 86_400_000_000_000


def finished(*equity: int) -> tuple[Summary, Chronicle]:
    summary, chronicle = Summary(), Chronicle()
    steps = [a(PortfolioStep, ts_event=T0 + at * DAY, equity=value, orders=()) for at, value in enumerate(equity)]
    for folds in (summary, chronicle):
        folds.see(a(InstrumentsDefined))
        for message in steps:
            folds.see(message)
        folds.see(a(OrderFilled, leaves_qty=1))
    return summary, chronicle


def config(risk: float, data: str = "builtin") -> dict[str, Any]:
    return {"run": {"profile": "fx", "data": data, "start_ns": None, "end_ns": None}, "portfolio": {"risk": risk}}


def keep(home: Path, risk: float, *equity: int, data: str = "builtin") -> str:
    summary, chronicle = finished(*equity)
    result = {**summary.result(), "metrics": summary.metrics()}
    return runs.keep(home, config(risk, data), result, summary, chronicle, NOW).name


@pytest.mark.req("RES-09")
def test_a_kept_run_is_listed_and_shown(tmp_path: Path) -> None:
    name = keep(tmp_path, 0.1, 100, 110)
    [line] = runs.listing(tmp_path)
    assert name.startswith("20260504-123000-fx-")
    assert (line["id"], line["equity"], line["data"], line["report"]) == (name, 110.0, "builtin", False)
    folder = tmp_path / "runs" / name
    assert line["size_kb"] == round(sum(file.stat().st_size for file in folder.iterdir()) / 1024, 1)
    assert runs.show(tmp_path, "latest")["equity"] == 110.0
    [days, trades] = [list(csv.DictReader((folder / f"{file}.csv").open())) for file in ("daily", "trades")]
    assert [row["equity"] for row in days] == ["100.00", "110.00"]
    assert [(row["instrument"], row["exit"]) for row in trades] == [("EUR-USD.ECB", "")]


def test_equal_runs_of_one_second_are_two(tmp_path: Path) -> None:
    first, second = keep(tmp_path, 0.1, 100, 110), keep(tmp_path, 0.1, 100, 110)
    assert second == f"{first}-2"
    assert runs.find(tmp_path, first).name == first


@pytest.mark.req("RES-09")
def test_a_comparison_says_what_differs(tmp_path: Path) -> None:
    names = [keep(tmp_path, risk, 100, last) for risk, last in ((0.1, 110), (0.2, 90))]
    compared = runs.compare(tmp_path, names)
    assert compared["configuration"] == {"portfolio.risk": dict(zip(names, (0.1, 0.2), strict=True))}
    assert compared["figures"]["equity"] == dict(zip(names, (110.0, 90.0), strict=True))
    assert compared["same_trading"]


def test_trials_are_the_different_configurations_over_the_same_data(tmp_path: Path) -> None:
    keep(tmp_path, 0.1, 100, 110, 105)
    keep(tmp_path, 0.1, 100, 110, 105)
    keep(tmp_path, 0.2, 100, 120, 130)
    keep(tmp_path, 0.3, 100, 120, 130, data="elsewhere")
    kept = runs.trials(tmp_path, config(0.1), None)
    assert len(kept) == 2
    assert runs.trials(tmp_path, config(0.9), 0.5) == [*kept, 0.5]
    assert runs.trials(tmp_path, config(0.1), 0.5) == [0.5, kept[1]]  # once, however often it ran


def test_an_interrupted_run_is_not_listed(tmp_path: Path) -> None:
    name = keep(tmp_path, 0.1, 100, 110)
    (tmp_path / "runs" / name / "result.json").unlink()
    assert runs.listing(tmp_path) == []


def test_what_is_not_there_or_not_clear_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run is kept"):
        runs.find(tmp_path, "latest")
    name = keep(tmp_path, 0.1, 100, 110)
    keep(tmp_path, 0.2, 100, 110)
    with pytest.raises(ConfigError, match="2 runs are called so"):
        runs.find(tmp_path, "fx")
    with pytest.raises(ConfigError, match="no such run"):
        runs.find(tmp_path, "yesterday")
    (tmp_path / "runs" / name / "result.json").write_text("{")
    with pytest.raises(DataError, match=name):
        runs.listing(tmp_path)
