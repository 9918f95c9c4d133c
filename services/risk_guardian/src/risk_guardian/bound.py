"""What the measures know of a set of instruments, made anew only where it changed: speed, nothing that must survive."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from common.model.money import ZERO
from risk_guardian import exposures
from risk_guardian.after import Standing
from risk_guardian.scenarios import Scenario
from risk_guardian.state import State
from risk_guardian.stress import Stress

Floats = NDArray[np.float64]


class Bound:
    """What depends on the instruments alone."""

    def __init__(self, state: State, account_currency: str, scenarios: Mapping[str, Scenario]) -> None:
        self.instruments = state.instruments
        self.values = exposures.Values(state.instruments, account_currency)
        self.quantities = exposures.Quantities(state.measures.history.rows)
        self.stress = Stress(scenarios, state.instruments, account_currency)
        self.flat = np.zeros(len(state.instruments))
        self.held: NDArray[np.intp] = np.flatnonzero(self.flat)
        self.returns: tuple[int, Floats] = (-1, np.empty((0, 0)))  # of what is held, at a version of the history
        self.slope_of, self.slope = self.returns[1], self.flat  # of which returns, and what
        self.volumes: dict[str, float | None] = {}
        self.volumes_of = -1
        self.standing: Standing | None = None
        self.stood_at: tuple[int, Decimal, bytes] = (-1, ZERO, b"")  # version of the history, equity, prices
