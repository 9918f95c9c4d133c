"""`python -m tests.simulation --seeds 1000`: many worlds, on every core of the machine. A seed that fails is printed and kept in
failing_seeds.txt, which the test suite runs for ever after.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Any, Final

from tests.simulation.world import run_seed

COUNTED: Final = ("steps", "records", "fills", "deaths", "freezes", "failovers")
KEPT: Final = Path(__file__).with_name("failing_seeds.txt")


def main() -> int:
    arguments = argparse.ArgumentParser(prog="make simulate")
    arguments.add_argument("--seeds", type=int, default=1000, help="how many worlds")
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    wanted = arguments.parse_args()
    if wanted.seeds < 1:
        arguments.error(f"--seeds {wanted.seeds}: expected 1 or more")
    started = time.monotonic()
    totals: dict[str, Any] = {"seeds": 0, **dict.fromkeys(COUNTED, 0), "violations": 0}
    failed: list[int] = []
    for result in _all(range(wanted.first, wanted.first + wanted.seeds)):
        totals["seeds"] += 1
        for name in COUNTED:
            totals[name] += result[name]
        if result["violation"]:
            failed.append(result["seed"])
            print(f"seed {result['seed']}: {result['violation']}", file=sys.stderr)
    totals["violations"] = len(failed)
    totals["wall_s"] = round(time.monotonic() - started, 1)
    _keep(failed)
    print(json.dumps({**totals, "failing_seeds": failed}))
    return 1 if failed else 0


def kept() -> list[int]:
    """Seeds that failed once."""
    return [int(line) for line in KEPT.read_text().split()] if KEPT.exists() else []


def _all(seeds: range) -> Iterator[dict[str, Any]]:
    with ProcessPoolExecutor(max_workers=cpu_count()) as pool:
        yield from pool.map(run_seed, seeds, chunksize=max(1, min(25, len(seeds) // 8)))


def _keep(failed: list[int]) -> None:
    if failed:
        KEPT.write_text("".join(f"{seed}\n" for seed in sorted({*kept(), *failed})))


if __name__ == "__main__":
    sys.exit(main())
