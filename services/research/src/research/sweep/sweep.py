"""A whole sweep: every series of a grid once, kept as it is finished, then ranked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from time import process_time
from typing import Any, Final

import msgspec
import numpy as np

from common.errors import DataError
from common.model.time import NS_PER_DAY, Timeframe
from common.quant.kernel import Floats
from research.sweep.book import RATE
from research.sweep.grid import Configuration, Grid, Refused
from research.sweep.measures import Measured, measures
from research.sweep.ranking import MIN_TRADES, Ranking, rank
from research.sweep.run import Frame, run, warm
from research.sweep.series import History, Series, Terms, counted, read, series, terms
from research.sweep.store import Finished, Store, opened

VERSION: Final = 2  # of the rules: another one computes anew
SAMPLES: Final = 240
_NS_PER_YEAR: Final = 365.25 * NS_PER_DAY

Progress = Callable[[int, int], None]
Groups = Mapping[tuple[str, Timeframe], Sequence[Configuration]]


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """`config_bars` counts base bars times configurations. `computed` are the series computed now, in `cpu_s`; `taken` those from the store.
    `costs` says what is counted and what is not.
    """

    grid: str
    ranking: Ranking
    refused: tuple[Refused, ...]
    config_bars: int
    computed: int
    computed_config_bars: int
    cpu_s: float
    taken: int
    split_ns: int | None
    costs: str


def sweep(
    config: Mapping[str, Any],
    grid: Grid,
    folder: Path,
    *,
    resume: bool = False,
    out_of_sample: float = 0.3,
    top: int = 20,
    min_trades: int = MIN_TRADES,
    progress: Progress = lambda done, total: None,
) -> Swept:
    """The grid over the data that `config` names. The last fraction `out_of_sample` of the time takes no part in the ranking.

    Fewer than `min_trades` in sample are ranked last. Each finished series is kept under `folder`; with `resume` those of the same grid, data and rules are not computed again.
    """
    wanted = {configuration.timeframe for configuration in grid.configurations}
    market = {"symbols": [], "timeframes": [each for each in Timeframe if each in wanted]}
    everything = {**config, "market_data": {**config.get("market_data", {}), **market}}
    histories, costs = read(everything), terms(config)
    groups, refused = _groups(grid, histories)
    frame, bars = _frame(groups, histories, out_of_sample), 0
    results: list[Finished] = []
    clock = _Clock()
    with opened(folder / _digest(grid, frame, costs), resume=resume) as store:
        had = len(store.finished)
        for done, ((symbol, timeframe), configurations) in enumerate(groups.items()):
            progress(done, len(groups))
            of = series(histories[symbol], timeframe, histories.values(), costs)
            if np.isnan(of.prices[RATE]).all():
                reason = f"no price gives {of.instrument.quote} in {costs.currency}; expected data of such a pair"
                refused.append(Refused(f"{of.name}, {len(configurations)} configurations", reason))
                continue
            bars += of.base_bars * len(configurations)
            results.append(_finished(store, of, configurations, costs, frame, clock))
        progress(len(groups), len(groups))
    if not results:
        first = next(iter((*grid.refused, *refused)), None)
        why = f": {first.where}: {first.reason}" if first else ""
        raise DataError(f"sweep {grid.name}: none of its configurations can run{why}")
    measured = [one for result in results for one in result.measured]
    curves = np.concatenate([result.curves() for result in results], axis=1)
    years = float(frame.sample_ns[-1] - frame.sample_ns[0]) / _NS_PER_YEAR
    computed = len(store.finished) - had
    return Swept(
        grid=grid.name,
        ranking=rank(measured, curves, years, top, min_trades),
        refused=(*grid.refused, *refused),
        config_bars=bars,
        computed=computed,
        computed_config_bars=clock.config_bars,
        cpu_s=clock.cpu_s,
        taken=len(results) - computed,
        split_ns=frame.split_ns,
        costs=counted(config),
    )


class _Clock:
    """What the kernels have done, and in how much CPU time."""

    def __init__(self) -> None:
        self.config_bars, self.cpu_s = 0, 0.0


def _groups(grid: Grid, histories: Mapping[str, History]) -> tuple[Groups, list[Refused]]:
    """By series, and those of which the data has none."""
    groups: dict[tuple[str, Timeframe], list[Configuration]] = {}
    for one in grid.configurations:
        groups.setdefault((one.symbol, one.timeframe), []).append(one)
    refused = []
    for (symbol, timeframe), configurations in list(groups.items()):
        where = f"{symbol} {timeframe}, {len(configurations)} configurations"
        if (history := histories.get(symbol)) is None:
            refused.append(Refused(where, f"symbol = {symbol!r}; the data has {', '.join(sorted(histories))}"))
        elif timeframe not in history.bars:
            reason = f"timeframe = {str(timeframe)!r}; the data of {symbol} is of {history.base}, expected no finer"
            refused.append(Refused(where, reason))
        else:
            continue
        del groups[symbol, timeframe]
    return groups, refused


def _frame(groups: Groups, histories: Mapping[str, History], out_of_sample: float) -> Frame:
    """Common to all series, so that their curves can be laid side by side."""
    times = [histories[symbol].bars[histories[symbol].base].ts for symbol, _ in groups]
    times = [each for each in times if each.size]
    if not times:
        return Frame(None, np.zeros(1, np.int64))
    begin, end = int(min(each[0] for each in times)), int(max(each[-1] for each in times))
    split = begin + round((end - begin) * (1.0 - out_of_sample)) if out_of_sample else None
    last = end if split is None else split
    count = max(1, min(SAMPLES, (last - begin) // NS_PER_DAY))
    return Frame(split, np.array([begin + (last - begin) * k // count for k in range(count + 1)], np.int64))


def _finished(
    store: Store, of: Series, configurations: Sequence[Configuration], costs: Terms, frame: Frame, clock: _Clock
) -> Finished:
    key = _hash(of.instrument, of.timeframe, of.ts, of.prices, of.marks, of.signal_at, of.bars, of.depth, of.rolls)
    if key in store.finished:
        return store.finished[key]
    if not clock.config_bars:
        warm()
    begun = process_time()
    outcome = run(of, configurations, costs, frame)
    clock.cpu_s += process_time() - begun
    clock.config_bars += of.base_bars * len(configurations)
    found: tuple[Measured, ...] = measures(outcome, of, configurations, costs)
    store.add(Finished(key=key, series=of.name, measured=found, equity=_lists(outcome.equity)))
    return store.finished[key]


def _lists(equity: Floats) -> list[list[float]]:
    rows: list[list[float]] = equity.T.tolist()
    return rows


def _digest(grid: Grid, frame: Frame, costs: Terms) -> str:
    return _hash(VERSION, grid.configurations, costs, frame.split_ns, frame.sample_ns)


def _hash(*parts: Any) -> str:
    digest = blake2b(digest_size=12)
    for part in parts:
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else msgspec.json.encode(part))
        digest.update(b"|")
    return digest.hexdigest()
