"""What every engine is given and what it answers: one rule, one file of bars, one commission.

Long while the average of the last 20 closes is above that of the last 50, short while it is below, flat where they are equal.
Decided at a bar's close, market orders, 10,000 units, 0.7 basis points of each fill (0.2 of commission and half a spread of
half a pip). A sweep is the same rule with 384 pairs of periods, with profit, fills, drawdown and Sharpe ratio of each.

Runs in the environment of every engine (numpy and pyarrow are there; Ballast is not):
`python -m tools.bench_engines.<engine> run|sweep BARS.parquet ANSWER.npz [repeats]`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

FAST: Final = 20
SLOW: Final = 50
UNITS: Final = 10_000
FEE: Final = 0.7e-4
CASH: Final = 100_000.0
FASTS: Final = tuple(range(5, 53, 3))  # 16 x 24 = 384
SLOWS: Final = tuple(range(60, 300, 10))

Answer: TypeAlias = Mapping[str, NDArray[Any]]
Work: TypeAlias = Callable[[Path], Answer]


class Fill(NamedTuple):
    """`bar` is the number of the bar at whose close was decided; `qty` is signed."""

    bar: int
    qty: float
    px: float


def trades(fills: Iterable[Fill]) -> Answer:
    """From flat to flat or to the other side: columns `side`, `entry`, `entry_px`, `exit`, `exit_px`, of closed trades; fills
    at one bar count as one.
    """
    found: list[tuple[float, int, float, int, float]] = []
    held, since, paid = 0.0, 0, 0.0
    merged: list[Fill] = []
    for fill in fills:
        if merged and merged[-1].bar == fill.bar:
            merged[-1] = Fill(fill.bar, merged[-1].qty + fill.qty, fill.px)
        else:
            merged.append(fill)
    for bar, qty, px in merged:
        now = held + qty
        if held and held * now <= 0:
            found.append((float(np.sign(held)), since, paid, bar, px))
        if now and held * now <= 0:
            since, paid = bar, px
        held = now
    side, entry, entry_px, exit_, exit_px = np.array(found).reshape(-1, 5).T
    return {
        "side": side,
        "entry": entry.astype(int),
        "entry_px": entry_px,
        "exit": exit_.astype(int),
        "exit_px": exit_px,
    }


def main(version: str, run: Work, sweep: Work | None = None, plain: Work | None = None) -> None:
    """Measures what the command line asks for, says it as JSON, and writes the answer of the last time."""
    what, bars, out, *repeats = sys.argv[1:]
    work = {"run": run, "sweep": sweep, "plain": plain}[what]
    if work is None:
        raise SystemExit(f"{what}: this engine has none")
    started, cpu, answer = time.process_time(), [], dict[str, NDArray[Any]]()
    for _ in range(int(repeats[0]) if repeats else 1):
        before = time.process_time()
        answer = dict(work(Path(bars)))
        cpu.append(time.process_time() - before)
    np.savez(out, **answer)  # type: ignore[arg-type]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    said = {"version": version, "import_cpu_s": started, "cpu_s": cpu, "peak_mb": round(peak, 1)}
    print(json.dumps(said))
