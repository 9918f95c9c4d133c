"""`ballast bench feeds`: a redundant pair of feeds, one hurt by each fault again and again, and what a run would have noticed.

With `--data` the ticks of two brokers, once with each as the preferred feed that is hurt; without it two made-up feeds of one
market. Times are seconds of data. Both feeds say once a second that they live where they have nothing else to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.table import Table

from common.errors import DataError
from common.model.time import NS_PER_HOUR, NS_PER_SECOND, from_datetime, iso
from market_data.live.connection import QuoteSeen
from market_data.live.quotes import made_up, recorded
from market_data.live.settings import Fault, HealthSettings
from market_data.redundancy.drill import Result, drill

AVAILABILITY: Final = 0.999
FAILOVER_S: Final = 2.0
HEARTBEAT_NS: Final = NS_PER_SECOND
SYMBOL: Final = "EUR-USD"
Quotes = Sequence[QuoteSeen]
_LEFT: Final = {"well": "back to the preferred one"}  # who is left without having failed


def feeds(data: Path | None, hours: float, start: datetime | None = None) -> dict[str, Any]:
    """Figures of each fault by the name of the feed that is hurt, over the first `hours` from `start` (UTC) on that both
    feeds cover; of made-up feeds over their first ones. Raises DataError.
    """
    if start and not data:
        raise DataError("--from: made-up quotes have no date; expected --data as well")
    start_ns = from_datetime(start.replace(tzinfo=UTC)) if start else 0
    pair = _recorded_pair(data, hours, start_ns) if data else _made_up_pair(hours)
    (one, ones), (two, twos) = pair.items()
    limits = HealthSettings()
    hurt = {
        name: {
            (kind.value if kind else "none"): _figures(drill(first, second, kind, limits, HEARTBEAT_NS))
            for kind in (None, *Fault)
        }
        for name, first, second in ((one, ones, twos), (two, twos, ones))
    }
    all_figures = [figures for by_kind in hurt.values() for figures in by_kind.values()]
    return {
        "feeds": {name: len(quotes) for name, quotes in pair.items()},
        "from": iso(max(ones[0].ts_received, twos[0].ts_received)),
        "hours": hours,
        "hurt": hurt,
        "bad_prices": sum(figures["bad"] for figures in all_figures),
        "availability_min": min(figures["availability"] for figures in all_figures),
        "availability_ok": all(figures["availability"] > AVAILABILITY for figures in all_figures),
        "failover_ok": all((figures["failover_p99_s"] or 0.0) < FAILOVER_S for figures in all_figures),
    }


def tables(result: dict[str, Any]) -> list[Table]:
    """One for each feed that was hurt."""
    return [_table(name, by_kind) for name, by_kind in result["hurt"].items()]


def _table(name: str, by_kind: dict[str, dict[str, Any]]) -> Table:
    alone = by_kind["none"]
    why = ", ".join(f"{_LEFT.get(reason, reason)} {often:g}" for reason, often in alone["left_per_hour"].items())
    caption = f"without a fault {alone['changes_per_hour']:g} changes of feed an hour: {why or 'none'}"
    table = Table(title=f"{name} is hurt", caption=caption)
    columns = ("fault", "times", "failover p50 s", "p99", "max", "not active", "unnoticed", "bad", "availability")
    for column in columns:
        table.add_column(column, justify="left" if column == "fault" else "right")
    for kind, figures in by_kind.items():
        shown = ("faults", "failover_p50_s", "failover_p99_s", "failover_max_s", "away", "unnoticed", "bad")
        cells = ["-" if figures[key] is None else f"{figures[key]:g}" for key in shown]
        table.add_row(kind, *cells, f"{figures['availability']:.5f}")
    return table


def _figures(result: Result) -> dict[str, Any]:
    times, of_hours = np.array(result.failover_s), result.seconds * NS_PER_SECOND / NS_PER_HOUR
    p50, p99, most = (None, None, None) if not times.size else (*np.percentile(times, [50, 99]), times.max())
    return {
        "faults": result.faults,
        "failover_p50_s": _rounded(p50),
        "failover_p99_s": _rounded(p99),
        "failover_max_s": _rounded(most),
        "away": result.away,
        "unnoticed": result.unnoticed,
        "rows": result.rows,
        "bad": result.bad,
        "switches": result.switches,
        "changes_per_hour": round(result.switches / of_hours, 2),
        "left_per_hour": {reason: round(often / of_hours, 2) for reason, often in sorted(result.left.items())},
        "availability": round(1.0 - result.unfresh_s / result.seconds, 6),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 2)


def _made_up_pair(hours: float) -> dict[str, Quotes]:
    end = round(hours * NS_PER_HOUR)
    return {name: [*takewhile(lambda quote: quote.ts_received < end, made_up(name, SYMBOL, 1))] for name in "ab"}


def _recorded_pair(data: Path, hours: float, start_ns: int) -> dict[str, Quotes]:
    """The two files of quotes in a directory, named by their venues. Raises DataError for another number of them."""
    files = sorted(path for path in data.glob("*quotes*") if path.is_file()) if data.is_dir() else []
    if len(files) != 2:
        raise DataError(f"{data}: expected two files *quotes*, one of each broker; it has {len(files)}")
    firsts = [next(recorded(path, SYMBOL, None)).ts_received for path in files]
    start = max(*firsts, start_ns)
    end = start + round(hours * NS_PER_HOUR)
    return {
        path.stem.split("_")[1]: [*takewhile(lambda quote: quote.ts_received < end, recorded(path, SYMBOL, start))]
        for path in files
    }
