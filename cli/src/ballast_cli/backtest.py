"""`ballast backtest`: all cores in one process over recorded data."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ballast_cli.output import err
from common.messages.market_data import MarketSlice
from common.model.time import iso


def backtest(config: Mapping[str, Any], *, resume_after_days: int | None = None, show_progress: bool) -> dict[str, Any]:
    """The keys of every run, the metrics of PFL-11, and what it cost to compute."""
    from research.backtest import backtest as messages
    from research.summary import Summary

    summary, started, cpu = Summary(), time.perf_counter(), time.process_time()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[seen]}"), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not show_progress, transient=True) as progress:
        task = progress.add_task("backtest", total=None, seen="")
        for message in messages(config, resume_after_days=resume_after_days):
            summary.see(message)
            if isinstance(message, MarketSlice) and message.step % 500 == 0:
                progress.update(task, seen=f"{summary.bars:,} bars, at {iso(message.ts_event)[:10]}")
    cpu_s = time.process_time() - cpu
    return {
        **summary.result(),
        "wall_s": round(time.perf_counter() - started, 2),
        "bars_per_cpu_s": round(summary.bars / cpu_s) if cpu_s > 0 else None,
        "metrics": summary.metrics(),
    }
