"""The bench compares like with like: the trades of our two engines are the same, and what is not installed is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from tools.bench_engines.case import Fill, trades

from ballast_cli.engines_bench import OTHERS, RUNNERS, agreement, engines
from common.errors import ConfigError


@pytest.mark.req("RES-01", "RES-04")
def test_the_whole_system_and_the_sweep_trade_the_case_alike_and_other_engines_are_named(tmp_path: Path) -> None:
    shutil.copytree(ROOT / RUNNERS, tmp_path / RUNNERS)
    result = engines(tmp_path, None, bars=2_500, cold=False)
    (case,) = result["cases"].values()
    assert case["bars"] == 2_500
    sweep = case["engines"]["ballast_sweep"]
    assert sweep["trades"] > 30
    assert (sweep["same_entry"], sweep["same_exit"], sweep["same_prices"]) == (1.0, 1.0, 1.0)
    assert case["engines"]["ballast"]["bars_per_cpu_s"] > 0
    assert result["not_installed"] == list(OTHERS)
    assert result["sweep"]["engines"]["ballast_sweep"]["same_number_of_trades"] == 1.0


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a checkout of Ballast"):
        engines(tmp_path, None)


def test_fills_become_trades_from_flat_to_flat_or_to_the_other_side() -> None:
    fills = [Fill(1, 10, 5.0), Fill(4, -10, 6.0), Fill(4, -10, 6.0), Fill(7, 10, 5.5), Fill(9, 10, 5.4)]
    found = {name: column.tolist() for name, column in trades(fills).items()}
    assert found == {
        "side": [1.0, -1.0],
        "entry": [1, 4],
        "entry_px": [5.0, 6.0],
        "exit": [4, 7],
        "exit_px": [6.0, 5.5],
    }
    assert trades([])["entry"].size == 0


def test_agreement_counts_bars_and_prices_apart() -> None:
    def listed(*rows: tuple[float, int, float, int, float]) -> dict[str, np.ndarray]:
        names = ("side", "entry", "entry_px", "exit", "exit_px")
        return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))

    ours = listed((1, 5, 1.1, 9, 1.2), (-1, 9, 1.2, 12, 1.3), (1, 12, 1.3, 15, 1.4), (-1, 15, 1.4, 19, 1.5))
    theirs = listed((1, 5, 1.1, 9, 1.2), (-1, 9, 1.2, 11, 1.3), (1, 12, 1.3, 15, 1.4001), (1, 15, 1.4, 19, 1.5))
    expected = {"trades": 4, "same_entry": 0.75, "same_exit": 0.6667, "same_prices": 0.5}
    assert agreement(ours, theirs) == expected
