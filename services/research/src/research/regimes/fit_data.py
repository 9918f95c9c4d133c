"""What models are fitted to: the prices that a configuration names, with labels after the fact, or the labeled markets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np

from common.errors import DataError
from common.model.time import Timeframe
from common.quant.kernel import Ints
from regime.models import ANY, Model, Models
from research.fast.market import Series, load_market
from research.regimes import labels
from research.regimes.fit import Sample, fit_model
from research.regimes.markets import simulate
from research.regimes.worlds import TUNING_SEEDS, WORLDS

_SEEDS: Final = TUNING_SEEDS[:3]
Progress = Callable[[str], None]


def fit_worlds(progress: Progress) -> Models:
    """The models that ship: of any instrument, on every timeframe of the labeled markets, fitted to half of their tuning seeds, never
    to those they are evaluated on.
    """
    timeframes = list(dict.fromkeys(world.timeframe for world in WORLDS.values()))
    return Models(
        fitted_on=f"labeled markets {', '.join(WORLDS)}, seeds {', '.join(map(str, _SEEDS))} of each",
        models=tuple(_of_worlds(timeframe, progress) for timeframe in timeframes),
    )


def _of_worlds(timeframe: Timeframe, progress: Progress) -> Model:
    progress(f"labeled markets of {timeframe}")
    worlds = [world for world in WORLDS.values() if world.timeframe is timeframe]
    markets = [simulate(world, seed) for world in worlds for seed in _SEEDS]
    samples = [Sample(each.high_low_close, each.ts, each.trend, each.stressed, each.volume) for each in markets]
    return fit_model(samples, timeframe=timeframe)


def fit_data(
    config: Mapping[str, Any], timeframes: Iterable[Timeframe], *, each: bool, labeled: bool, progress: Progress
) -> Models:
    """For every timeframe one model of all instruments together, called `*`, and with `each` one of each as well. Labels are those
    of `research.regimes.labels`; without `labeled` they are drawn by hidden Markov models. Raises DataError.
    """
    market = load_market(config)
    if market is None:
        raise DataError("ticks: expected prices as bars to fit models to")
    found = []
    for timeframe in timeframes:
        there = [one for one in market.contents.series if one.timeframe is timeframe]
        if not there:
            raise DataError(f"timeframe {timeframe}: no bars in this data")
        found += _fitted(there, market.ts, timeframe, each, labeled, progress)
    return Models(fitted_on=str(config["run"]["data"]), models=tuple(found))


def _fitted(
    there: list[Series], ts: Ints, timeframe: Timeframe, each: bool, labeled: bool, progress: Progress
) -> list[Model]:
    samples = {one.instrument_id: sample(one, ts, labeled=labeled) for one in there}
    groups = {name: [one] for name, one in samples.items()} if each else {}
    found = []
    for name, group in (*groups.items(), (ANY, list(samples.values()))):
        progress(f"{name} {timeframe}")
        try:
            found.append(fit_model(group, instrument_id=name, timeframe=timeframe))
        except ValueError as error:
            raise DataError(f"{name} {timeframe}: {error}") from None
    return found


def sample(one: Series, ts: Ints, *, labeled: bool) -> Sample:
    """The bars of one series, with labels after the fact; `ts` are the closes of the market's slices."""
    bars = one.bars
    prices = np.ascontiguousarray(np.column_stack((bars.high, bars.low, bars.close)))
    if not labeled or bars.close.size < 2:
        return Sample(prices, ts[bars.step], volume=bars.volume)
    log_price, closes = np.log(bars.close), ts[bars.step]
    moves, bars_a_day = np.diff(log_price, prepend=log_price[0]), labels.bars_a_day(closes)
    trend = labels.trends_by_deviation(log_price, bars_a_day)
    return Sample(prices, closes, trend, labels.stress(moves, labels.window_of(bars_a_day)), bars.volume)
