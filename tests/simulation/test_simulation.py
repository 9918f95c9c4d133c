"""The simulation finds nothing in the code as it is, and everything that was planted."""

from __future__ import annotations

import pytest
from tests.simulation.__main__ import kept
from tests.simulation.planted import PLANTED, Planted
from tests.simulation.world import run_seed

SEEDS = range(40)
PATIENCE = 150  # seeds within which a planted bug must be found


@pytest.mark.req("EXE-01", "RSK-01", "PLT-09", "PLT-12")
@pytest.mark.parametrize("seed", [*SEEDS, *(seed for seed in kept() if seed not in SEEDS)])
def test_every_invariant_holds_whatever_breaks(seed: int) -> None:
    assert run_seed(seed)["violation"] == ""


def test_the_same_seed_is_the_same_world() -> None:
    assert run_seed(7) == run_seed(7)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_bug_is_found(planted: Planted) -> None:
    with planted.plant():
        found = next((seed for seed in range(PATIENCE) if run_seed(seed)["violation"]), None)
    assert found is not None, f"{PATIENCE} seeds, and nobody noticed that {planted.name}"
