"""`ballast bench engines`: the same rule, bars and commission through other backtesters, each in an environment of its own.

What runs in each environment is tools/bench_engines of the checkout; the environments are made by `make bench-engines`. Seconds are
those of the CPU, as machines have other things to do; what an engine imports does not count in a run and does in a cold start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ballast_cli.progress import Bar
from common.errors import ConfigError

RUNNERS: Final = Path("tools") / "bench_engines"
ENVIRONMENTS: Final = Path(".bench")
RECORDED: Final = ("fx/m1/EURUSD_M1_201701-201712_histdata_bid.parquet", "fx/h1/EURUSD_H1_oanda_bidask.parquet")
OTHERS: Final = ("backtesting", "backtrader", "nautilus_trader", "vectorbt")
OURS: Final = ("ballast", "ballast_sweep")
SWEEPERS: Final = ("ballast_sweep", "vectorbt")
COMPILED: Final = ("ballast", "ballast_sweep", "vectorbt")  # with numba, which keeps what it compiled
COLD_STARTS: Final = 2
CONFIGURATIONS: Final = 384
_SAME_PX: Final = 5e-6  # half an increment

Trades = Mapping[str, NDArray[Any]]


class Engines(NamedTuple):
    """`pythons` by engine; `root` is the checkout."""

    root: Path
    pythons: Mapping[str, Path]
    missing: tuple[str, ...]


class Ran(NamedTuple):
    """What one process said, what it answered, and what it cost from its start to its end."""

    said: Mapping[str, Any]
    answer: Trades
    wall_s: float
    cpu_s: float


def find(root: Path) -> Engines:
    """Raises ConfigError where `root` is no checkout of Ballast."""
    if not (root / RUNNERS / "case.py").is_file():
        raise ConfigError(
            f"{root.resolve()}: no {RUNNERS}; expected a checkout of Ballast, which has what other engines run"
        )
    theirs = {name: root.resolve() / ENVIRONMENTS / name / "bin" / "python" for name in OTHERS}
    installed = {name: path for name, path in theirs.items() if path.is_file()}
    missing = tuple(name for name in OTHERS if name not in installed)
    return Engines(root, {**dict.fromkeys(OURS, Path(sys.executable)), **installed}, missing)


def engines(root: Path, data: Path | None, *, bars: int = 0, cold: bool = True, show: bool = False) -> dict[str, Any]:
    """By case and engine. `data` is a folder of recorded prices; None takes a random walk. `bars` is the most that is used;
    without `cold` no fresh processes are timed.
    """
    found = find(root)
    if data is not None and (missing := [name for name in RECORDED if not (data / name).is_file()]):
        raise ConfigError(f"--data {data}: no {missing[0]}; expected recorded prices with {' and '.join(RECORDED)}")
    with tempfile.TemporaryDirectory() as folder, Bar("engines", total=None, show=show) as bar:
        command = ["-m", "tools.bench_engines.prices", folder, str(bars), *([str(data.resolve())] if data else [])]
        cases = json.loads(_process(Path(sys.executable), command, root, {})[0])
        sweep = cases.pop("sweep")
        result: dict[str, Any] = {"not_installed": list(found.missing), "cases": {}}
        for name, case in cases.items():
            bar.to(0, name)
            result["cases"][name] = _case(found, case)
        bar.to(0, "sweep")
        result["sweep"] = _sweep(found, sweep)
        if cold:
            bar.to(0, "cold start")
            last = next(reversed(cases.values()))
            result["cold_start"] = {name: _cold(found, name, "run", last) for name in found.pythons}
            result["cold_start_of_sweep"] = {
                name: _cold(found, name, "sweep", sweep) for name in SWEEPERS if name in found.pythons
            }
    return result


# --- one kind of measurement each ----------------------------------------------------------------------------------------


def _case(found: Engines, case: Mapping[str, Any]) -> dict[str, Any]:
    """Speed, memory and trades of each engine, next to those of the whole system."""
    ran = {name: _run(found, name, "run", case, _repeats(name)) for name in found.pythons}
    ours = ran["ballast"].answer
    rows = {}
    for name, each in ran.items():
        cpu_s = min(each.said["cpu_s"])
        rows[name] = {
            "version": each.said["version"],
            "bars_per_cpu_s": round(case["bars"] / cpu_s),
            "cpu_s": round(cpu_s, 3),
            "peak_mb": each.said["peak_mb"],
            **agreement(ours, each.answer),
        }
    speed = rows["ballast"]["bars_per_cpu_s"]
    ratios = {name: round(speed / rows[name]["bars_per_cpu_s"], 2) for name in rows if name not in OURS}
    return {"bars": case["bars"], "engines": rows, "ballast_over": ratios}


def _sweep(found: Engines, case: Mapping[str, Any]) -> dict[str, Any]:
    """Config-bars per CPU-second, and whether the configurations make as many trades."""
    ran = {name: _run(found, name, "sweep", case, _repeats(name)) for name in SWEEPERS if name in found.pythons}
    ours = ran["ballast_sweep"].answer["trades"]
    work, rows = case["bars"] * CONFIGURATIONS, {}
    for name, each in ran.items():
        cpu_s = min(each.said["cpu_s"])
        off = np.abs(each.answer["trades"] - ours)
        rows[name] = {
            "config_bars_per_cpu_s": round(work / cpu_s),
            "cpu_s": round(cpu_s, 3),
            "peak_mb": each.said["peak_mb"],
            "trades": int(each.answer["trades"].sum()),
            "same_number_of_trades": round(float(np.mean(off == 0)), 4),
            "furthest_off": int(off.max()),
        }
    speed = rows["ballast_sweep"]["config_bars_per_cpu_s"]
    ratios = {name: round(speed / rows[name]["config_bars_per_cpu_s"], 1) for name in rows if name not in OURS}
    return {"bars": case["bars"], "configurations": CONFIGURATIONS, "engines": rows, "ballast_over": ratios}


def _cold(found: Engines, name: str, what: str, case: Mapping[str, Any]) -> dict[str, float]:
    """From a shell's prompt to the result, best of two; `first_ever_s` with nothing compiled before."""
    with tempfile.TemporaryDirectory() as empty:
        first = _run(found, name, what, case, 1, {"NUMBA_CACHE_DIR": empty}) if name in COMPILED else None
    later = [_run(found, name, what, case, 1) for _ in range(COLD_STARTS)]
    result = {
        "wall_s": round(min(each.wall_s for each in later), 2),
        "cpu_s": round(min(each.cpu_s for each in later), 2),
    }
    return result if first is None else {**result, "first_ever_cpu_s": round(first.cpu_s, 2)}


def _repeats(name: str) -> int:
    """In one process; the first time of what is compiled includes loading it, and the best counts."""
    return 2 if name in COMPILED else 1


def agreement(ours: Trades, theirs: Trades) -> dict[str, Any]:
    """Of our closed trades: how many they make at the same bar on the same side; of those, how many end at the same bar; of
    those, how many have both prices alike.
    """
    at = {
        (int(bar), float(side)): row
        for row, (bar, side) in enumerate(zip(theirs["entry"], theirs["side"], strict=True))
    }
    keys = [(int(bar), float(side)) for bar, side in zip(ours["entry"], ours["side"], strict=True)]
    pairs = [(row, at[key]) for row, key in enumerate(keys) if key in at]
    ends = [(a, b) for a, b in pairs if ours["exit"][a] == theirs["exit"][b]]
    alike = [all(abs(ours[px][a] - theirs[px][b]) < _SAME_PX for px in ("entry_px", "exit_px")) for a, b in ends]
    return {
        "trades": len(theirs["entry"]),
        "same_entry": _share(len(pairs), len(keys)),
        "same_exit": _share(len(ends), len(pairs)),
        "same_prices": _share(sum(alike), len(alike)),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


# --- processes -----------------------------------------------------------------------------------------------------------


def _run(
    found: Engines,
    name: str,
    what: str,
    case: Mapping[str, Any],
    repeats: int,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "answer.npz"
        module = ["-W", "ignore", "-m", f"tools.bench_engines.{name}", what, case["path"], str(out), str(repeats)]
        text, wall_s, cpu_s = _process(found.pythons[name], module, found.root, environment or {})
        with np.load(out) as answer:
            return Ran(json.loads(text.splitlines()[-1]), dict(answer), wall_s, cpu_s)


def _process(
    python: Path, arguments: list[str], root: Path, environment: Mapping[str, str]
) -> tuple[str, float, float]:
    """Output, seconds by the clock on the wall, CPU seconds of the process and its children."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = subprocess.Popen(  # noqa: S603 (interpreters of environments that `make bench-engines` makes)
            [python, *arguments], cwd=root, env={**os.environ, **environment}, stdout=out, stderr=err
        )
        _, status, used = os.wait4(started.pid, 0)
        wall_s = time.perf_counter() - begun
        started.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if started.returncode:
            raise ConfigError(
                f"{python} {' '.join(arguments[:4])}: exit code {started.returncode}: {err.read()[-2000:]}"
            )
        return out.read(), wall_s, used.ru_utime + used.ru_stime


# --- for people ----------------------------------------------------------------------------------------------------------


def tables(result: Mapping[str, Any]) -> list[Any]:
    """What a terminal shows."""
    from rich.table import Table

    made = []
    for name, case in result["cases"].items():
        made.append(_table(Table, f"{name}: {case['bars']:,} bars", case["engines"], case["ballast_over"]))
    sweep = result["sweep"]
    title = f"sweep: {sweep['configurations']} configurations x {sweep['bars']:,} bars"
    made.append(_table(Table, title, sweep["engines"], sweep["ballast_over"]))
    for key, what in (("cold_start", "one result"), ("cold_start_of_sweep", "a sweep")):
        if key in result:
            made.append(_table(Table, f"from a shell to {what}", result[key], {}))
    return made


def _table(kind: Any, title: str, rows: Mapping[str, Mapping[str, Any]], ratios: Mapping[str, float]) -> Any:
    table = kind(title=title)
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    for column in ("engine", *columns, *(["ballast is faster by"] if ratios else [])):
        table.add_column(column.replace("_", " "), justify="left" if column == "engine" else "right", overflow="fold")
    for name, row in rows.items():
        ratio = [f"{ratios[name]:,}" if name in ratios else ""] if ratios else []
        table.add_row(name, *(_cell(row.get(column)) for column in columns), *ratio)
    return table


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:,}"
