"""How fast a sweep is, next to the least one would write by hand, measured in the same process and in fresh ones.

`python -m research.sweep.bench` is one fresh process: it says as JSON what it measured.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec
import numpy as np

from common.model.enums import AssetClass, Tier
from common.model.instrument import Instrument
from common.model.time import NS_PER_HOUR, Timeframe
from common.quant.kernel import Floats
from execution.financing import FinancingSettings
from research.sweep.bare import (
    B_CASH,
    B_DOWNSIDE,
    B_FINANCING,
    B_GAINED,
    B_KEEP,
    B_LOST,
    B_POS,
    B_SQUARES,
    B_SUM,
    B_TRADES,
    bare,
)
from research.sweep.book import CASH, DOWNSIDE, FINANCING, GAINED, KEEP, LOST, POS, SQUARES, SUM, TRADES
from research.sweep.grid import Configuration
from research.sweep.run import Frame, Outcome, run
from research.sweep.series import Series, Terms, of_bars

BARS: Final = 100_000
CONFIGURATIONS: Final = 384
TERMS: Final = Terms(financing=FinancingSettings())  # as a backtest has them
_FAST: Final = tuple(range(5, 53, 3))  # 16 x 24
_SLOW: Final = tuple(range(60, 300, 10))
_SAME: Final = (
    (CASH, B_CASH),
    (POS, B_POS),
    (KEEP, B_KEEP),
    (SUM, B_SUM),
    (SQUARES, B_SQUARES),
    (DOWNSIDE, B_DOWNSIDE),
    (TRADES, B_TRADES),
    (GAINED, B_GAINED),
    (LOST, B_LOST),
    (FINANCING, B_FINANCING),
)


def market(bars: int = BARS) -> Series:
    """Hours of a random walk with 0.1 % an hour, the same every time."""
    rng = np.random.default_rng(1)
    close = 1.1 * np.exp(np.cumsum(rng.normal(0.0, 0.001, bars)))
    first = np.concatenate((close[:1], close[:-1]))
    spread = 1.0 + 0.0003 * rng.random(bars)
    ohlc = np.array((first, np.maximum(first, close) * spread, np.minimum(first, close) / spread, close))
    pip = Decimal("0.0001")
    instrument = Instrument(
        instrument_id="EUR-USD.BENCH",
        asset_class=AssetClass.FX,
        base="EUR",
        quote="USD",
        price_increment=pip / 10,
        qty_increment=Decimal(1),
        half_spread=pip / 2,
    )
    ts = (np.arange(bars, dtype=np.int64) + 1) * NS_PER_HOUR
    return of_bars(instrument, Timeframe.H1, ts, ohlc, TERMS)


def configurations() -> tuple[Configuration, ...]:
    """384 crosses of two plain averages, with stop and longest holding time."""
    return tuple(
        Configuration(
            symbol="EUR-USD",
            timeframe=Timeframe.H1,
            strategy="sma_cross_20_50",
            params={"fast": fast, "slow": slow},
            tier=Tier.CORE,
            stop_fraction=0.02,
            confirmations=1,
            longest=120,
            risk=0.0012,
        )
        for fast in _FAST
        for slow in _SLOW
    )


def by_hand(of: Series, grid: tuple[Configuration, ...], terms: Terms) -> Floats:
    """The bare kernel on the same market; `grid` is every fast period with every slow one, in that order."""
    fast, slow = (list(dict.fromkeys(int(each.params[name]) for each in grid)) for name in ("fast", "slow"))
    starts = np.array([max(int(each.params["slow"]), 15) for each in grid], np.int64)
    longest = np.array([each.longest for each in grid], np.int64)
    budget = np.array([each.risk for each in grid])
    stop = grid[0].stop_fraction
    return bare(
        of.bars[2],
        of.prices,
        of.rolls,
        of.marks,
        np.array(fast + slow, np.int64),
        len(fast),
        starts,
        longest,
        stop,
        budget,
        terms.cash,
        terms.fee,
    )


def agree(outcome: Outcome, by_hand: Floats) -> bool:
    """Whether both say the same of every configuration; sums may differ in their last digits only."""
    return all(np.allclose(outcome.books[ours], by_hand[theirs], rtol=1e-9, atol=1e-9) for ours, theirs in _SAME)


def measure(repeats: int = 5) -> dict[str, Any]:
    """Best of `repeats`, in config-bars per CPU-second, one after the other in turn; peak memory before the bare kernel runs."""
    of, grid, terms = market(), configurations(), TERMS
    frame = Frame(None, np.linspace(of.ts[0], of.ts[-1], 241).astype(np.int64))
    outcome = run(of, grid, terms, frame)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    plain = by_hand(of, grid, terms)
    took: dict[str, list[float]] = {"sweep": [], "bare": []}
    for _ in range(repeats):
        took["sweep"].append(_cpu_s(lambda: run(of, grid, terms, frame)))
        took["bare"].append(_cpu_s(lambda: by_hand(of, grid, terms)))
    work = of.ts.size * len(grid)
    ours, theirs = work / min(took["sweep"]), work / min(took["bare"])
    return {
        "configurations": len(grid),
        "bars": int(of.ts.size),
        "config_bars_per_cpu_s": round(ours),
        "bare_config_bars_per_cpu_s": round(theirs),
        "bare_over_sweep": round(theirs / ours, 3),
        "agrees_with_bare": agree(outcome, plain),
        "peak_mb": round(peak_mb, 1),
        "trades": int(outcome.books[TRADES].sum()),
    }


def bench() -> dict[str, Any]:
    """All figures; each in a process of its own, so that memory and starts are those of a user's."""
    with tempfile.TemporaryDirectory() as empty:
        cold_s, warm_s = (_fresh("first", empty)["wall_s"] for _ in range(2))
    measured = _fresh("measure", None)
    del measured["wall_s"]
    return {**measured, "warm_start_s": warm_s, "cold_start_s": cold_s}


def _fresh(what: str, cache: str | None) -> dict[str, Any]:
    """The answer of a fresh process, with the seconds from its start to its end. `cache`: where its compiled code lies."""
    environment = {**os.environ, **({"NUMBA_CACHE_DIR": cache} if cache else {})}
    begun = time.perf_counter()
    done = subprocess.run(  # noqa: S603 (this very module)
        [sys.executable, "-m", "research.sweep.bench", what], env=environment, capture_output=True, check=True
    )
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return {**found, "wall_s": round(time.perf_counter() - begun, 2)}


def _cpu_s(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _first() -> dict[str, Any]:
    """What a user waits for: a whole sweep, from nothing."""
    of = market()
    return {"trades": int(run(of, configurations(), TERMS, Frame.whole()).books[TRADES].sum())}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure() if sys.argv[1:] == ["measure"] else _first()))
