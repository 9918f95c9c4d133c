"""Prices to compute on, and the table of independent reference values."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

REFERENCE = Path(__file__).parents[5] / "shared" / "reference"


class Prices(NamedTuple):
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]


def walk(bars: int, seed: int, volatility: float = 0.01) -> Prices:
    """A seeded random walk with gaps between bars; `volatility` of each bar as a fraction."""
    rng = np.random.default_rng(seed)
    path = np.exp(np.cumsum(rng.normal(0.0, volatility / 4.0, (bars, 16)).ravel())).reshape(bars, 16) * 100.0
    return Prices(path.max(axis=1), path.min(axis=1), path[:, -1].copy())


@pytest.fixture
def prices() -> Prices:
    return walk(1_000, seed=7)


class Reference:
    """Cases by id, and the files they name."""

    def __init__(self) -> None:
        if not REFERENCE.is_dir():
            pytest.skip(f"needs reference values in {REFERENCE}")
        cases = json.loads((REFERENCE / "reference_cases.json").read_text())["cases"]
        self._cases = {case["id"]: case for case in cases}

    def case(self, name: str) -> dict[str, Any]:
        return self._cases[name]

    def column(self, case: dict[str, Any], name: str) -> NDArray[np.float64]:
        """A column of the case's file; empty cells are NaN."""
        with (REFERENCE / case["input"]["file"]).open() as file:
            return np.array([float(row[name]) if row[name] else np.nan for row in csv.DictReader(file)])


@pytest.fixture(scope="session")
def reference() -> Reference:
    return Reference()
