"""`ballast bench regime`: what the regime detector costs with everything on (REG-09).

Fifty instruments that share a market, bars of all seven timeframes of each in every slice, models for all of them. A step is the
whole of `core.handle`, from a slice as it comes off the tape to the answer; beside it that answer as bytes.
"""

from __future__ import annotations

import resource
import time
from typing import Any, Final

import msgspec
import numpy as np

from ballast_cli.risk_bench import quantiles
from common.messages.market_data import Bar, MarketSlice
from common.model.time import NS_PER_MINUTE, Timeframe
from common.quant.kernel import Floats
from common.runtime.service import settle_heap
from regime.core import RegimeDetector
from regime.models import ANY, Models, load_models
from regime.settings import Settings

INSTRUMENTS: Final = 50
TIMEFRAMES: Final = tuple(Timeframe)
_WARM_UP: Final = 150
_LIMIT_US: Final = 50_000.0


def regime(slices: int) -> dict[str, Any]:
    """Microseconds, p50, p99 and p99.9, of a whole step and of one bar of one instrument; growth of memory over the run."""
    full = _slices(INSTRUMENTS, TIMEFRAMES, _WARM_UP + slices)
    step, encoded, grown_kb = _drive(full)
    one, _, _ = _drive(_slices(1, TIMEFRAMES[:1], _WARM_UP + slices))
    wall = quantiles(step)
    return {
        "instruments": INSTRUMENTS,
        "timeframes": len(TIMEFRAMES),
        "slices": len(step),
        "step_us": wall,
        "encode_us": quantiles(encoded),
        "bar_in_step_us": round(wall["p50"] / (INSTRUMENTS * len(TIMEFRAMES)), 2),
        "one_bar_us": quantiles(one),
        "memory_grown_kb": grown_kb,
        "p99_within_50_ms": wall["p99"] <= _LIMIT_US,
    }


def models() -> Models:
    """What ships, for every timeframe."""
    shipped = load_models("builtin").models
    made = [msgspec.structs.replace(shipped[0], instrument_id=ANY, timeframe=timeframe) for timeframe in TIMEFRAMES]
    return Models(models=tuple(made))


def _drive(slices: list[MarketSlice]) -> tuple[list[int], list[int], int]:
    core, encoder = RegimeDetector(Settings(), models()), msgspec.json.Encoder()
    for slice_ in slices[:_WARM_UP]:
        core.handle(slice_)
    settle_heap()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    steps, encoded = [], []
    for slice_ in slices[_WARM_UP:]:
        begun = time.perf_counter_ns()
        answer = core.handle(slice_)
        done = time.perf_counter_ns()
        encoder.encode(answer[-1])
        steps.append(done - begun)
        encoded.append(time.perf_counter_ns() - done)
    return steps, encoded, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def _slices(instruments: int, timeframes: tuple[Timeframe, ...], count: int) -> list[MarketSlice]:
    """Every timeframe closes in every slice: more than ever happens."""
    rng = np.random.default_rng(7)
    moves = 1e-4 * (0.6 * rng.standard_normal((count, 1)) + 0.8 * rng.standard_normal((count, instruments)))
    close = 100.0 * np.exp(np.cumsum(moves, axis=0))
    spans = close * 1e-4 * rng.random((2, count, instruments))
    high, low = close + spans[0], close - spans[1]
    return [
        MarketSlice(
            ts_event=(step + 1) * NS_PER_MINUTE,
            book="bench",
            step=step + 1,
            bars=_bars(high[step], low[step], close[step], timeframes),
        )
        for step in range(count)
    ]


def _bars(high: Floats, low: Floats, close: Floats, timeframes: tuple[Timeframe, ...]) -> tuple[Bar, ...]:
    return tuple(
        Bar(
            instrument_id=f"I{number:02d}-USD.SIM",
            timeframe=timeframe,
            open=close[number],
            high=float(high[number]),
            low=float(low[number]),
            close=float(close[number]),
            volume=1_000.0,
            base=timeframe is timeframes[0],
        )
        for number in range(close.size)
        for timeframe in timeframes
    )
