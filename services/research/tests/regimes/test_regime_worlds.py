"""The figures of the labeled markets are those of real prices."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest

from research.regimes import labels
from research.regimes.markets import simulate
from research.regimes.worlds import ANNOUNCED, CRYPTO, EQUITY, FX, MEMORYLESS, TUNING_SEEDS, World

REAL: Final = {
    "crypto": (
        CRYPTO,
        [f"crypto/bars/{name}" for name in ("BTCUSD_M30_2017-2023_snowguru", "ETHUSD_M30_2017-2023_snowguru")]
        + ["crypto/bars/LTCUSDT_H1_2017-2023_snowguru"],
    ),
    "fx": (FX, [f"fx/h1/{name}_H1_2013-2020_ejtrader" for name in ("AUDUSD", "EURGBP", "GBPUSD", "USDJPY")]),
    "equity": (
        EQUITY,
        [f"equities/etf_daily/{name}_D1_2000-2018" for name in ("SPY", *(f"XL{x}" for x in "BEFIKPUVY"))],
    ),
}


def real_closes(shared_data: Path, name: str) -> Any:
    pandas = pytest.importorskip("pandas")
    close = pandas.read_parquet(shared_data / f"{name}.parquet").set_index("timestamp")["close"]
    return close.resample("1h").last().dropna() if "M30" in name else close


def measured(world: World, series: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Drift a day and volatility by trend and phase, in daily deviations: float64[3, 2, 2]."""
    trend, stressed, units = [], [], []
    for close in series:
        logs = np.log(close)
        moves = np.diff(logs, prepend=logs[0])
        trend.append(labels.trends_by_deviation(logs, world.bars_a_day))
        stressed.append(labels.stress(moves, labels.window_of(world.bars_a_day)))
        units.append(moves / (moves.std() * np.sqrt(world.bars_a_day)))
    of_trend, of_stress, unit = (np.concatenate(each) for each in (trend, stressed, units))
    found = np.empty((3, 2, 2))
    for place in range(3):
        for phase in range(2):
            chosen = unit[(of_trend == place) & (of_stress == phase)]
            found[place, phase] = chosen.mean() * world.bars_a_day, chosen.std() * np.sqrt(world.bars_a_day)
    return found


@pytest.mark.req("REG-09")
@pytest.mark.parametrize("name", REAL)
def test_drifts_and_volatilities_are_those_of_real_prices(name: str, shared_data: Path) -> None:
    world, files = REAL[name]
    found = measured(world, [real_closes(shared_data, file).to_numpy() for file in files])
    stated = np.array([[(cell.drift, cell.sigma) for cell in cells] for cells in world.cells])
    np.testing.assert_allclose(stated[:, :, 1], found[:, :, 1], atol=0.03)
    np.testing.assert_allclose(stated[:, :, 0], found[:, :, 0], atol=0.04)


@pytest.mark.req("REG-09")
@pytest.mark.parametrize("name", REAL)
def test_rates_of_change_are_those_of_real_prices(name: str, shared_data: Path) -> None:
    world, files = REAL[name]
    stays = np.zeros((6, 6))
    for file in files:
        logs = np.log(real_closes(shared_data, file).to_numpy())
        trend = labels.trends_by_deviation(logs, world.bars_a_day)
        stressed = labels.stress(np.diff(logs, prepend=logs[0]), labels.window_of(world.bars_a_day))
        state = np.where(trend >= 0, 2 * trend + stressed, -1)
        known = (state[1:] >= 0) & (state[:-1] >= 0)
        np.add.at(stays, (state[:-1][known], state[1:][known]), 1)
    rates = stays / stays.sum(axis=1, keepdims=True) * world.bars_a_day
    for place, cells in enumerate(world.cells):
        for phase, cell in enumerate(cells):
            row = rates[2 * place + phase].reshape(3, 2)
            to_trend = np.where(np.arange(3) == place, 0.0, row.sum(axis=1))
            np.testing.assert_allclose(cell.to_trend, to_trend, atol=0.005)
            assert cell.flip == pytest.approx(row[:, 1 - phase].sum(), rel=0.1)


@pytest.mark.req("REG-09")
@pytest.mark.parametrize("name", ["crypto", "fx"])
def test_hours_move_as_in_real_prices(name: str, shared_data: Path) -> None:
    world, files = REAL[name]
    found = []
    for file in files:
        close = real_closes(shared_data, file)
        square = np.log(close).diff()[close.index.diff() == np.timedelta64(1, "h")] ** 2
        square = square.clip(upper=square.quantile(0.999))
        by_hour = square.groupby(square.index.hour).mean().to_numpy()
        found.append(np.sqrt(by_hour / by_hour.mean()))
    np.testing.assert_allclose(world.profile, np.mean(found, axis=0), atol=0.02)


@pytest.mark.req("REG-09")
@pytest.mark.parametrize("name", REAL)
def test_labels_after_the_fact_cannot_tell_announced_stress_from_sudden_stress(name: str, shared_data: Path) -> None:
    """Volatility of the two days before stress begins, over that of calm: about the same in real markets and in both kinds of
    labeled ones, for such labels begin where volatility rises. So real prices do not say how much is announced.
    """
    world, files = REAL[name]
    made = {
        share: [
            ratio
            for seed in TUNING_SEEDS
            for ratio in before_stress(
                world, simulate(msgspec.structs.replace(world, build_up_share=share), seed).prices[:, 3]
            )
        ]
        for share in (MEMORYLESS, ANNOUNCED)
    }
    real = [ratio for file in files for ratio in before_stress(world, real_closes(shared_data, file).to_numpy())]
    assert np.median(made[MEMORYLESS]) == pytest.approx(np.median(made[ANNOUNCED]), abs=0.06)
    assert np.median(real) == pytest.approx(np.median(made[ANNOUNCED]), abs=0.12)


def before_stress(world: World, close: np.ndarray[Any, Any]) -> list[float]:
    """Root mean square move of two days that end with each onset, over that of calm; where they are calm."""
    moves = np.diff(np.log(close), prepend=np.log(close[0]))
    stressed = labels.stress(moves, labels.window_of(world.bars_a_day))
    span = 2 * world.bars_a_day
    calm = np.sqrt((moves[stressed == 0] ** 2).mean())
    onsets = np.flatnonzero((stressed[1:] == 1) & (stressed[:-1] == 0)) + 1
    clean = [i for i in onsets.tolist() if i > span and not stressed[i - span : i].any()]
    return [float(np.sqrt((moves[i - span : i] ** 2).mean()) / calm) for i in clean]
