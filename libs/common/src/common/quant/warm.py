"""`python -m common.quant.warm`: compiles all kernels of the installed services, so that no service waits for it.

A package names its modules of kernels as entry points of the group `ballast.kernels`; each has a function `warm` that
calls what is called from outside. Compiled code goes beside the sources, or to NUMBA_CACHE_DIR where that is set.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Final

from common.quant import (
    adaptive,
    averages,
    dependence,
    garch,
    hidden_markov,
    momentum,
    profile,
    profile_levels,
    thresholds,
    trend,
    volatility,
)

# Their kernels are compiled into those that call them; here, what has changed matters.
_SHARED: Final = (
    averages,
    volatility,
    trend,
    momentum,
    thresholds,
    adaptive,
    profile_levels,
    profile,
    dependence,
    garch,
    hidden_markov,
)


def main() -> None:
    """Compiles what is not compiled yet. Compiled code that is older than the shared kernels in it is thrown away first."""
    services = [entry.load() for entry in sorted(entry_points(group="ballast.kernels"))]
    newest = max(_source(module).stat().st_mtime for module in _SHARED)
    for module in (*_SHARED, *services):
        for index in _cached(module):
            if index.stat().st_mtime < newest:
                index.unlink()
    for module in services:
        module.warm()


def _source(module: ModuleType) -> Path:
    assert module.__file__ is not None
    return Path(module.__file__)


def _cached(module: ModuleType) -> list[Path]:
    """numba's index files of a module's kernels."""
    folders = {Path(value.stats.cache_path) for value in vars(module).values() if hasattr(value, "stats")}
    return [index for folder in folders for index in folder.glob(f"{_source(module).stem}.*.nbi")]


if __name__ == "__main__":
    main()
