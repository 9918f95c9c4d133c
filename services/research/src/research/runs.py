"""Runs that are kept: a folder each, of files that need no program to be read.

`result.json` is what the command printed, `config.json` the effective configuration, `daily.csv` the equity at the last step
of every UTC day, `trades.csv` every trade. Nothing is ever deleted by itself; `listing` says what each run takes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from common.errors import ConfigError, DataError
from common.model.time import iso
from common.quant.performance import sharpe_ratio
from research.chronicle import Chronicle
from research.report.records import Trade
from research.summary import Summary

FOLDER: Final = "runs"
_STAMP: Final = len("20261121-174111")  # of an id: when it was kept
_RUN_KEYS: Final = ("data", "start_ns", "end_ns")  # what makes two runs two trials on one piece of data
_TRADE_COLUMNS: Final = (
    "entry,exit,instrument,side,qty,entry_px,exit_px,profit,commission,timeframe,regime,session,volume,strategies"
)


def keep(
    home: Path,
    config: Mapping[str, Any],
    result: Mapping[str, Any],
    summary: Summary,
    chronicle: Chronicle,
    now: datetime,
) -> Path:
    """Writes one run below `home` and gives its folder, named by time, profile and a digest of configuration and trading."""
    trial = {"configuration": configuration_digest(config), "sharpe_per_day": sharpe_per_day(summary)}
    name = f"{now:%Y%m%d-%H%M%S}-{config['run']['profile']}-{_short(config, result)}"
    folder = _free(home / FOLDER / name)
    folder.mkdir(parents=True)
    _write_json(folder / "config.json", config)
    _write_csv(folder / "daily.csv", "day_end,equity", _days(summary))
    _write_csv(folder / "trades.csv", _TRADE_COLUMNS, map(_row, chronicle.all_trades()))
    # Last: a folder without it is a run that was interrupted, and is not listed.
    _write_json(folder / "result.json", {"kept_at": now.isoformat(timespec="seconds"), "trial": trial, **result})
    return folder


def listing(home: Path) -> list[dict[str, Any]]:
    """The kept runs, oldest first: id, when, over what, how it did, and its size in kB."""
    return [_line(folder) for folder in _folders(home)]


def show(home: Path, run: str) -> dict[str, Any]:
    """The result of one run, and where its files are. Raises ConfigError when there is none or more than one such run."""
    folder = find(home, run)
    return {"id": folder.name, "folder": str(folder), **_read(folder / "result.json")}


def compare(home: Path, runs: Sequence[str]) -> dict[str, Any]:
    """Results side by side by run, and the keys of the configuration in which they differ."""
    folders = [find(home, run) for run in runs]
    results = {folder.name: _read(folder / "result.json") for folder in folders}
    configs = {folder.name: dict(_flat(_read(folder / "config.json"))) for folder in folders}
    figures = {name: {**result["metrics"], **_figures(result)} for name, result in results.items()}
    keys = sorted({key for config in configs.values() for key in config})
    changed = {key: {name: config.get(key) for name, config in configs.items()} for key in keys}
    return {
        "runs": list(results),
        "figures": {key: {name: figures[name].get(key) for name in figures} for key in _all_keys(figures)},
        "configuration": {key: values for key, values in changed.items() if len(set(map(repr, values.values()))) > 1},
        "same_trading": len({result["digest"] for result in results.values()}) == 1,
    }


def find(home: Path, run: str) -> Path:
    """The folder of a run by its id, a part of it that only one has, or `latest`."""
    folders = _folders(home)
    if not folders:
        raise ConfigError(f"run {run!r}: no run is kept in {home / FOLDER}; `ballast backtest` keeps them")
    found = folders[-1:] if run == "latest" else [folder for folder in folders if folder.name == run]
    found = found or [folder for folder in folders if run in folder.name]
    if len(found) == 1:
        return found[0]
    what = "no such run" if not found else f"{len(found)} runs are called so"
    raise ConfigError(f"run {run!r}: {what}; expected an id of `ballast runs list`, a part only one has, or latest")


def trials(home: Path, config: Mapping[str, Any], own: float | None) -> list[float]:
    """Sharpe ratios per day of the different configurations kept over the data that `config` names, with `own` as that of
    `config` itself.
    """
    found = {}
    for folder in _folders(home):
        trial = _read(folder / "result.json").get("trial", {})
        run = _read(folder / "config.json").get("run", {})
        if trial.get("sharpe_per_day") is not None and _over(run) == _over(config["run"]):
            found[trial["configuration"]] = trial["sharpe_per_day"]
    if own is not None:
        found[configuration_digest(config)] = own
    return list(found.values())


def sharpe_per_day(summary: Summary) -> float | None:
    """Not annual. None where the equity does not move."""
    _, equity = summary.daily()
    return sharpe_ratio(np.diff(equity) / equity[:-1], 1.0) if equity.size > 1 else None


def configuration_digest(config: Mapping[str, Any]) -> str:
    """Of everything that can change a decision: `run` is what was traded on and by which build, not how."""
    plain = {name: section for name, section in config.items() if name not in {"run", "recorder", "gateway"}}
    return sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def _over(run: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(run.get(key) for key in _RUN_KEYS)


def _short(config: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    return sha256((configuration_digest(config) + result["digest"]).encode()).hexdigest()[:6]


def _free(folder: Path) -> Path:
    """Two equal runs within a second are two runs."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _folders(home: Path) -> list[Path]:
    """Oldest first; those of the same second in the order in which they were finished."""
    found = (home / FOLDER).glob("*/result.json") if (home / FOLDER).is_dir() else ()
    return [
        path.parent for path in sorted(found, key=lambda path: (path.parent.name[:_STAMP], path.stat().st_mtime_ns))
    ]


def _line(folder: Path) -> dict[str, Any]:
    result, run = _read(folder / "result.json"), _read(folder / "config.json").get("run", {})
    span = {key: None if run.get(key) is None else iso(run[key])[:10] for key in ("start_ns", "end_ns")}
    return {
        "id": folder.name,
        "kept_at": result.get("kept_at"),
        "profile": run.get("profile"),
        "data": run.get("data"),
        "from": span["start_ns"],
        "to": span["end_ns"],
        **_figures(result),
        "sharpe_ratio": result.get("metrics", {}).get("sharpe_ratio"),
        "report": (folder / "report.html").is_file(),
        "size_kb": round(sum(path.stat().st_size for path in folder.iterdir()) / 1024, 1),
    }


def _figures(result: Mapping[str, Any]) -> dict[str, Any]:
    return {key: result.get(key) for key in ("equity", "max_drawdown", "fills", "halts")}


def _all_keys(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for one in figures.values() for key in one))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _days(summary: Summary) -> Iterator[tuple[Any, ...]]:
    ts, equity = summary.daily()
    return ((iso(at), f"{value:.2f}") for at, value in zip(ts.tolist(), equity.tolist(), strict=True))


def _row(trade: Trade) -> tuple[Any, ...]:
    px = trade.exit_px()
    return (
        iso(trade.entry_ns),
        iso(trade.exit_ns) if trade.exit_ns else "",
        trade.instrument_id,
        trade.side,
        f"{trade.qty:f}",
        f"{trade.entry_px():.10g}",
        "" if px is None else f"{px:.10g}",
        "" if trade.profit is None else f"{trade.profit:.4f}",
        f"{trade.commission:.4f}",
        trade.timeframe,
        trade.regime,
        trade.session,
        trade.volume,
        " ".join(trade.strategies),
    )


def _write_csv(path: Path, head: str, rows: Iterator[tuple[Any, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(f"{head}\n")
        csv.writer(file, lineterminator="\n").writerows(rows)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected a kept run") from None
    return found
