"""One series through the kernels, block by block: memory is that of a block and of the configurations, whatever the length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from common.quant.kernel import Floats, Ints
from research.sweep.blocks import blocks
from research.sweep.book import (
    BOOK_ROWS,
    BUDGET,
    ENDS_DAY,
    ENDS_SPAN,
    IS_SAMPLE,
    IS_STRESS,
    KEEP,
    LOG_COLUMNS,
    MARK,
    PEAK,
    PREVIOUS,
    RATE,
    STOP_HIGH,
    STOP_LOW,
    Flags,
)
from research.sweep.features import NOT_YET
from research.sweep.grid import Configuration, shipped
from research.sweep.opinions import ALSO, FIRST, NUMBER_ROWS, START, TRACK_ROWS, Family
from research.sweep.series import Series, Terms, places
from signals.features import Feature, table

BLOCK: Final = 1536  # rows: their features stay in the second cache
AT_ONCE: Final = 64  # blocks: between two of these calls a program hears Ctrl-C
ABREAST: Final = 512  # configurations side by side: their books stay in the first
STRESS_SHARE: Final = 0.1
_STRESS_DAYS: Final = 5

_CROSS: Final = (Family.CROSS, ("fast", "slow"))
FAMILIES: Final[Mapping[str, tuple[Family, tuple[str, ...]]]] = {
    "ema_cross_20_50": _CROSS,
    "ema_cross_50_200": _CROSS,
    "envelope_breakout": (Family.ENVELOPE, ("middle", "atr")),
    "ma_slope": (Family.SLOPE, ("average", "atr")),
    "macd_signal": (Family.CROSS, ("line", "signal")),
    "price_vs_slow_sma": (Family.PRICE, ("slow",)),
    "pullback": (Family.PULLBACK, ("fast", "slow")),
    "sma_cross_20_50": _CROSS,
    "sma_cross_50_200": _CROSS,
    "triple_ma": (Family.TRIPLE, ("fast", "middle", "slow")),
}


class Frame(msgspec.Struct, frozen=True):
    """What is measured when: `split_ns` ends what is ranked on (None: all is), `sample_ns` int64[samples] are instants, common to
    all series, at which equity is noted for the tests of overfitting.
    """

    split_ns: int | None
    sample_ns: Ints

    @classmethod
    def whole(cls) -> Frame:
        """Everything is one span, nothing is sampled."""
        return cls(None, np.zeros(0, np.int64))


class Outcome(msgspec.Struct, frozen=True):
    """Books float64[rows, configurations] of each span as `book` has them, `equity` float64[samples, configurations]. `days` and
    `stress_days` count returns of the first span, `later_days` those of the second. `fills` is float64[any, columns of the log].
    """

    books: Floats
    later: Floats
    equity: Floats
    days: int
    stress_days: int
    later_days: int
    split_ns: int | None
    fills: Floats


class Plan(msgspec.Struct, frozen=True):
    """Configurations as numbers, and the features they share."""

    lines: Ints
    words: int
    numbers: Ints
    widths: Floats
    stops: Floats
    budgets: Floats


def plan(configurations: Sequence[Configuration]) -> Plan:
    """Each feature once, however many configurations use it."""
    columns: dict[Feature, int] = {}
    numbers = np.zeros((NUMBER_ROWS, len(configurations)), np.int64)
    for c, configuration in enumerate(configurations):
        family, names = FAMILIES[configuration.strategy]
        named = shipped()[configuration.strategy].features(configuration.params)
        at = {name: columns.setdefault(feature, len(columns)) for name, feature in named.items()}
        needed = [at[name] for name in names]
        also = next((column for name, column in at.items() if name not in names), needed[0])
        needed += [needed[0]] * (ALSO - FIRST - len(needed))
        numbers[:, c] = (family, *needed, also, configuration.confirmations, configuration.longest)
    features = tuple(columns)
    return Plan(
        lines=table(features),
        words=sum(feature.words for feature in features),
        numbers=numbers,
        widths=np.array([configuration.params.get("width", 0.0) for configuration in configurations], np.float64),
        stops=np.array([configuration.stop_fraction for configuration in configurations]),
        budgets=np.array([configuration.risk for configuration in configurations]),
    )


def run(
    series: Series, configurations: Sequence[Configuration], terms: Terms, frame: Frame, *, log: int = 0
) -> Outcome:
    """All configurations over one series; `log` is how many fills at most are kept. Symbols and timeframes are not looked at."""
    marks, known = _marks(series, frame)
    parts = [
        _abreast(series, configurations[at : at + ABREAST], terms, marks, log)
        for at in range(0, len(configurations), ABREAST)
    ]
    first = [part[0] for part in parts]
    equity = np.concatenate([part[2] for part in parts], axis=1)
    spans = np.cumsum(marks & ENDS_SPAN != 0) - (marks & ENDS_SPAN != 0)
    counted = marks & ENDS_DAY != 0
    counted[:1] = False  # where returns begin
    return Outcome(
        books=np.concatenate(first, axis=1),
        later=np.concatenate([part[1] for part in parts], axis=1),
        equity=equity[known],
        days=int(np.sum(counted & (spans == 0))),
        stress_days=int(np.sum(counted & (spans == 0) & (marks & IS_STRESS != 0))),
        later_days=int(np.sum(counted & (spans == 1))),
        split_ns=int(series.ts[np.argmax(spans == 1) - 1]) if np.any(spans == 1) else None,
        fills=np.concatenate([part[3] for part in parts]),
    )


def _abreast(
    series: Series, configurations: Sequence[Configuration], terms: Terms, marks: Flags, log: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Books of both spans, equity at the samples (before the first in row 0), and fills."""
    of, count, rows = plan(configurations), len(configurations), series.ts.size
    block = min(BLOCK, max(rows, 1))
    words, warm_at = np.zeros(of.words), np.full(len(of.lines), NOT_YET, np.int64)
    features = np.empty((len(of.lines), block + 1))
    tracks = np.zeros((TRACK_ROWS, count), np.int64)
    tracks[START] = -1
    own_stops, codes = of.stops.copy(), np.zeros(-(-block // 8) * 8, np.int8)
    events, event_stops = np.empty((count * block, 3), np.int64), np.empty(count * block)
    order, first = np.empty(count * block, np.int64), np.zeros(block + 1, np.int64)
    books, finished = _books(of, count, terms), np.zeros((BOOK_ROWS, count))
    pending, flags = np.empty(count, np.int64), np.zeros(-(-count // 8) * 8, np.uint8)
    equity = np.empty((int(np.sum(marks & IS_SAMPLE != 0)) + 1, count))
    equity[0] = terms.cash
    done, fills = np.zeros(4, np.int64), np.empty((log, LOG_COLUMNS))
    prices, trade_from = _with_rate(series)
    step = float(series.instrument.qty_increment)
    digits = 10.0 ** (places(series.instrument) or 0)
    constants = np.array(
        [terms.cash, terms.fee, step, float(series.is_inverse), trade_from, terms.slippage_bps, digits]
    )
    edges = np.minimum(np.arange(0, rows + block, block, dtype=np.int64), rows)
    bars_at = np.searchsorted(np.flatnonzero(series.signal_at >= 0), edges)
    for at in range(0, edges.size - 1, AT_ONCE):
        blocks(
            edges[at : at + AT_ONCE + 1],
            bars_at[at : at + AT_ONCE + 1],
            of.lines,
            words,
            warm_at,
            series.bars,
            features,
            of.numbers,
            of.widths,
            of.stops,
            tracks,
            own_stops,
            codes,
            events,
            event_stops,
            order,
            first,
            prices,
            series.depth,
            series.rolls,
            marks,
            series.signal_at,
            constants,
            books,
            finished,
            pending,
            flags,
            equity[1:],
            done,
            fills,
        )
    if not np.any(marks & ENDS_SPAN):
        return books, np.zeros_like(books), equity, fills[: done[2]]
    return finished, books, equity, fills[: done[2]]


def _books(of: Plan, count: int, terms: Terms) -> Floats:
    books = np.zeros((BOOK_ROWS, count))
    books[STOP_LOW], books[STOP_HIGH] = -np.inf, np.inf
    books[PEAK] = books[PREVIOUS] = terms.cash
    books[KEEP], books[BUDGET] = 1.0, of.budgets
    return books


def _with_rate(series: Series) -> tuple[Floats, int]:
    """Prices with a rate on every row; no trade before the first row that has one, as nothing can be sized."""
    known = ~np.isnan(series.prices[RATE])
    first = int(np.argmax(known)) if known.any() else series.ts.size
    prices = series.prices.copy() if first else series.prices
    prices[RATE, :first] = 1.0
    return prices, first


def _marks(series: Series, frame: Frame) -> tuple[Flags, Ints]:
    """The marks of all rows, and for each instant of the frame the sampled row that shows it (0: before all)."""
    marks = series.marks.copy()
    if not marks.size:
        return marks, np.zeros(frame.sample_ns.size, np.int64)
    ends = np.flatnonzero(marks & ENDS_DAY)
    at = np.searchsorted(series.ts, frame.sample_ns, side="right")
    shown = np.unique(at[at > 0])
    marks[shown - 1] |= IS_SAMPLE
    within = ends if frame.split_ns is None else ends[series.ts[ends] <= frame.split_ns]
    if frame.split_ns is not None and within.size:
        marks[within[-1]] |= ENDS_SPAN
    marks[_stress_rows(series, within)] |= IS_STRESS
    return marks, np.where(at > 0, np.searchsorted(shown, at) + 1, 0)


def _stress_rows(series: Series, ends: Ints) -> Ints:
    """Of the days that end there, the tenth after which the last five returns of the price were the most volatile."""
    if ends.size <= _STRESS_DAYS + 1:
        return ends[:0]
    returns = np.diff(np.log(series.prices[MARK, ends]))
    spread = np.sqrt(np.convolve(returns**2, np.ones(_STRESS_DAYS) / _STRESS_DAYS, mode="valid"))
    days = ends[_STRESS_DAYS:]
    most = np.argsort(-spread, kind="stable")[: max(1, round(STRESS_SHARE * days.size))]
    return np.sort(days[most])


def warm() -> None:
    """Compiles or loads all kernels of a sweep."""
    from research.sweep.bench import configurations, market

    run(market(64), configurations()[:1], Terms(), Frame.whole())
