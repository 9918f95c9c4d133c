"""Real prices to judge on: with labels after the fact by published rules, or with labels that somebody gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from common.errors import DataError
from common.model.enums import Regime
from common.model.time import Timeframe, iso
from market_data.feeds.files import NO_TIME, column_names, csv_rows, read_columns
from market_data.instruments import parse_symbol
from regime.models import Models
from regime.settings import Settings
from research.fast.market import load_market
from research.regimes import labels
from research.regimes.evaluate import Field, Labeled, Progress, judged, judges_of
from research.regimes.judges import DIRECTIONS, STRESSED_REGIMES, Series
from research.regimes.markets import Codes
from research.regimes.worlds import TRENDS

COLUMNS: Final = ("instrument", "label")
LEAST_BARS: Final = 1_000
JUDGED: Final = (Timeframe.H1, Timeframe.D1)
# What a label may be called, in any case: the words here, and the regimes as the detector names them.
REGIME_TRENDS: Final[Mapping[str, int]] = {regime.value.lower(): place for regime, place in DIRECTIONS.items()}
REGIME_STRESS: Final = tuple(regime.value.lower() for regime in sorted(STRESSED_REGIMES))
TREND_WORDS: Final[Mapping[str, int]] = {**{name: place for place, name in enumerate(TRENDS)}, **REGIME_TRENDS}
STRESS_WORDS: Final[Mapping[str, int]] = {"calm": 0, "stressed": 1, **dict.fromkeys(REGIME_STRESS, 1)}
UNKNOWN_WORDS: Final = ("unknown", Regime.UNCERTAIN.value.lower())


class Given(NamedTuple):
    """The labels of one instrument: from when on which one holds, until the next of its kind; times rise."""

    trend: list[tuple[int, int]]
    stress: list[tuple[int, int]]


def series_of(config: Mapping[str, Any], timeframe: Timeframe) -> list[Series]:
    """Every instrument's bars of `timeframe`, validated and built as the system does; none where they would be finer than the
    data, or fewer than a thousand. Raises DataError and ConfigError.
    """
    market = load_market(config)
    if market is None:
        raise DataError(f"data {config['run']['data']!r}: holds ticks; a regime is judged on bars")
    found = []
    for place, (instrument, base) in enumerate(zip(market.instruments, market.base_timeframes, strict=True)):
        bars = market.base[place] if base is timeframe else market.coarse.get((place, timeframe))
        if bars is None or bars.step.size < LEAST_BARS:
            continue
        prices = np.ascontiguousarray(np.column_stack((bars.high, bars.low, bars.close)))
        found.append(Series(instrument.instrument_id, timeframe, market.ts[bars.step], prices, bars.volume.copy()))
    return found


def by_rule(series: Series) -> Labeled:
    """Labels after the fact: turning points, and terciles of realized volatility."""
    log_close, a_day = series.log_close, labels.bars_a_day(series.ts)
    moves = np.diff(log_close, prepend=log_close[0])
    return Labeled(series, labels.trends_by_deviation(log_close, a_day), labels.stress(moves, labels.window_of(a_day)))


def by_file(series: Series, given: Given) -> Labeled:
    """The labels in force over each bar, of which a bar that opens at the time of a label is the first; -1 before."""
    return Labeled(series, _in_force(series, given.trend), _in_force(series, given.stress))


def _in_force(series: Series, steps: Sequence[tuple[int, int]]) -> Codes:
    codes = np.array([labels.UNKNOWN, *(code for _, code in steps)], np.int8)
    return np.asarray(codes[np.searchsorted([at for at, _ in steps], series.ts)])


def field_of(
    name: str,
    source: str,
    labeled: Sequence[Labeled],
    models: Models,
    settings: Settings,
    progress: Progress,
) -> Field:
    """Real series, all of one timeframe. Levels and the plain model come from the first half of each, figures from the second;
    everyone has seen the whole past by then.
    """
    progress(name)
    halves = [one.series.ts.size // 2 for one in labeled]
    before = [one.between(0, half) for one, half in zip(labeled, halves, strict=True)]
    after = [one.between(half, one.series.ts.size) for one, half in zip(labeled, halves, strict=True)]
    past = [_first(one.series, half) for one, half in zip(labeled, halves, strict=True)]
    timeframe = labeled[0].series.timeframe
    return judged(name, source, timeframe, (before, after), judges_of(timeframe, models, settings, past), settings)


def _first(series: Series, bars: int) -> Series:
    return series._replace(
        ts=series.ts[:bars], high_low_close=series.high_low_close[:bars], volume=series.volume[:bars]
    )


# --- labels from a file ------------------------------------------------------------------------------------------------
def read_labels(path: Path) -> dict[str, Given]:
    """By instrument as it is written there. Raises DataError naming the row, what stands there and what was expected."""
    names = [name.lower() for name in column_names(path)]
    if absent := [name for name in ("timestamp", *COLUMNS) if name not in names]:
        raise DataError(f"{path}: no column {', '.join(absent)}; expected timestamp, instrument, label")
    instants = read_columns(path, ()).ts.tolist()
    found: dict[str, Given] = {}
    before: dict[str, str] = {}
    for at, (row, cells) in zip(instants, _rows(path), strict=True):
        where = f"{path}, line {row}"
        instrument, label = (cells[place].strip() if place < len(cells) else "" for place in map(names.index, COLUMNS))
        if at == NO_TIME:
            raise DataError(f"{where}: no timestamp; expected one such as 2017-01-03T14:15:00Z")
        if not instrument:
            raise DataError(f"{where}: no instrument")
        given = found.setdefault(instrument, Given([], []))
        for steps, code in _meant(given, label, before.get(instrument, ""), where):
            if steps and at <= steps[-1][0]:
                raise DataError(f"{where}: {iso(at)} is not after {iso(steps[-1][0])} of the same instrument")
            steps.append((at, code))
        if label.lower() not in TRENDS:
            before[instrument] = label.lower()
    return found


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, with their lines."""
    with csv_rows(path) as rows:
        next(rows)
        return [(line, row) for line, row in enumerate(rows, start=2) if row]


def _meant(given: Given, label: str, before: str, where: str) -> Iterable[tuple[list[tuple[int, int]], int]]:
    """`before` is the last word that spoke of stress, or of both: a regime ends the stress of the regime before it."""
    word = label.lower()
    if word in UNKNOWN_WORDS:
        return ((given.trend, labels.UNKNOWN), (given.stress, labels.UNKNOWN))
    if word in REGIME_TRENDS and before in REGIME_STRESS:
        return ((given.trend, TREND_WORDS[word]), (given.stress, 0))
    if word in TREND_WORDS:
        return ((given.trend, TREND_WORDS[word]),)
    if word in STRESS_WORDS:
        return ((given.stress, STRESS_WORDS[word]),)
    expected = ", ".join((*TREND_WORDS, *STRESS_WORDS, *UNKNOWN_WORDS))
    raise DataError(f"{where}: label {label!r}; expected one of {expected}")


def match(series: Sequence[Series], given: Mapping[str, Given], path: Path) -> list[Labeled]:
    """The series that have labels, of whatever timeframes. An instrument may be written as its id, its symbol, or without punctuation
    (EURUSD), but in one way. Raises DataError for labels of what is not in the data, and where no bar gets one.
    """
    found: list[Labeled] = []
    known = {key: one.name for one in series for key in (one.name, one.name.rsplit(".", 1)[0])}
    spelled: dict[str, str] = {}
    for written, labeled in given.items():
        symbol = parse_symbol(written)
        name = known.get(written) or (known.get(symbol.name) if symbol else None)
        if name is None:
            there = ", ".join(dict.fromkeys(each.name for each in series)) or "no instrument with a thousand bars"
            raise DataError(f"{path}: instrument {written!r} is not in the data, which has {there}")
        if name in spelled:
            raise DataError(
                f"{path}: {spelled[name]!r} and {written!r} are one instrument; expected one spelling of it"
            )
        spelled[name] = written
        found += [one for one in (by_file(each, labeled) for each in series if each.name == name) if _has_any(one)]
    if not found:
        raise DataError(f"{path}: no bar of the data has a label; they begin after the data ends")
    return found


def _has_any(one: Labeled) -> bool:
    return bool((one.trend >= 0).any() or (one.stressed >= 0).any())
