"""`ballast backtest`: all cores in one process over recorded data."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ballast_cli import output
from ballast_cli.progress import Bar, data_span_ns
from ballast_cli.runs import finish
from common.messages.market_data import MarketSlice
from common.model.time import iso


def backtest(
    config: Mapping[str, Any],
    *,
    resume_after_days: int | None = None,
    show_progress: bool,
    report: Path | None = None,
    keep: bool = False,
    plain: bool = False,
) -> dict[str, Any]:
    """The keys of every run, the metrics of PFL-11, results by group, what it cost to compute, and where it was kept."""
    from research.chronicle import Chronicle
    from research.comparison import against_targets, compared
    from research.fast.engine import Stretch
    from research.grouping import groups
    from research.run import stream
    from research.summary import Summary

    first, last = data_span_ns(config) if show_progress else (0, 1)
    chronicle = Chronicle()
    started, cpu = time.perf_counter(), time.process_time()
    engine, messages = stream(config, resume_after_days=resume_after_days, plain=plain)
    summary = Summary(engine)
    with Bar("backtest", start=first, total=last, show=show_progress) as bar:
        for message in messages:
            if isinstance(message, Stretch):
                summary.pass_over(message)
                chronicle.pass_over(message)
                continue
            summary.see(message)
            chronicle.see(message)
            if isinstance(message, MarketSlice) and summary.handled % 100 == 0:
                bar.to(message.ts_event, f"{summary.bars:,} bars, at {iso(message.ts_event)[:10]}")
    cpu_s = time.process_time() - cpu
    metrics = {**summary.metrics(), **compared(summary, chronicle)}
    result = {
        **summary.result(),
        "engine": engine,
        "handled_steps": summary.handled,
        "wall_s": round(time.perf_counter() - started, 2),
        "bars_per_cpu_s": round(summary.bars / cpu_s) if cpu_s > 0 else None,
        "metrics": metrics,
        "targets": against_targets(metrics),
        "groups": groups(chronicle),
    }
    return {**result, **finish(config, result, summary, chronicle, report=report, keep=keep)}


def say(result: Mapping[str, Any], as_json: bool) -> None:
    """For people the groups are a table below the rest."""
    if as_json:
        output.answer(result, as_json)
        return
    output.answer({key: value for key, value in result.items() if key != "groups"}, as_json)
    rows = [(kind, name, one) for kind, found in result["groups"].items() for name, one in found.items()]
    if not rows:
        return
    from rich.markup import escape
    from rich.table import Column, Table

    numbers = (Column(name, justify="right") for name in ("Trades", "Profit", "Won", "Profit factor"))
    table = Table("By", "", *numbers, box=None)
    for kind, name, one in rows:
        won = "-" if one["win_rate"] is None else f"{one['win_rate']:.0%}"
        factor = "-" if one["profit_factor"] is None else f"{one['profit_factor']:.2f}"
        table.add_row(kind, escape(name), f"{one['trades']:,}", f"{one['profit']:,.2f}", won, factor)
    output.out.print(table)
