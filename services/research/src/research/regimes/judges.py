"""Who is judged: the rules, fitted models, and what to compare them with. Each sees the past of a series only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
import numpy as np

from common.model.enums import Regime, VolState
from common.model.time import Timeframe
from common.quant.hidden_markov import Gaussian, densities, first_guess, fit, forward, ordered
from common.quant.kernel import Floats, Ints
from regime.history import look_back as look_back_rules
from regime.models import Models
from regime.models_history import look_back as look_back_model
from regime.rules import REGIMES, VOL_STATES
from regime.settings import Settings
from research.regimes.markets import Ceiling, Codes
from research.regimes.worlds import BEAR, BULL, SIDEWAYS

NONE: Final = -1
# What the rules' labels mean. The others say nothing of the direction: the one before goes on.
DIRECTIONS: Final[Mapping[Regime, int]] = {
    Regime.TRENDING_UP: BULL,
    Regime.TRENDING_DOWN: BEAR,
    Regime.RANGING: SIDEWAYS,
    Regime.CHOPPY: SIDEWAYS,
}
STRESSED_REGIMES: Final = frozenset({Regime.VOLATILE, Regime.CRISIS})
PLAIN_STATES: Final = 3


class Series(NamedTuple):
    """Bars of one instrument: closes in ns, float64[bars, 3] of high, low and close in C order, volume (0: unknown)."""

    name: str
    timeframe: Timeframe
    ts: Ints
    high_low_close: Floats
    volume: Floats

    @property
    def log_close(self) -> Floats:
        return np.asarray(np.log(self.high_low_close[:, 2]))


class Said(NamedTuple):
    """One verdict a bar: place in `worlds.TRENDS`, calm (0) or stressed (1), -1 for none; probabilities of a change, NaN for
    none, None of those who give none.
    """

    trend: Codes
    stressed: Codes
    change_24h: Floats | None = None
    change_48h: Floats | None = None


class Judge(Protocol):
    def __call__(self, series: Series) -> Said: ...


class Rules(NamedTuple):
    """The regime detector's own labels, of the series' bars or of the coarser ones of `timeframe`, each held until the next."""

    settings: Settings = Settings()
    timeframe: Timeframe | None = None

    def __call__(self, series: Series) -> Said:
        seen, at = (series, np.arange(series.ts.size)) if self.timeframe is None else coarser(series, self.timeframe)
        found = look_back_rules(seen.high_low_close, seen.ts, self.settings)
        direction = np.array([DIRECTIONS.get(regime, NONE) for regime in REGIMES], np.int8)[found.stable]
        raised = np.array([state is not VolState.NORMAL for state in VOL_STATES])[found.vol_states]
        wild = np.array([regime in STRESSED_REGIMES for regime in REGIMES])[found.stable]
        known = ~np.isnan(found.values).any(axis=1)
        stressed = np.where(known, raised | wild, NONE).astype(np.int8)
        return Said(_held(held(direction), at), _held(stressed, at))


class Fitted(NamedTuple):
    """Each series' own model, else that of any instrument, as the regime service filters it. `without` names an input that is kept
    from it. There must be a model of the series.
    """

    models: Models
    without: str = ""

    def __call__(self, series: Series) -> Said:
        model = self.models.models[self.models.find(series.name, series.timeframe)]
        prices = WITHHELD[self.without](series.high_low_close) if self.without in WITHHELD else series.high_low_close
        volume = None if self.without == "volume" else series.volume
        found = look_back_model(prices, series.ts, model, volume)
        trends = np.column_stack((found.bull, found.bear, found.sideways))
        return Said(_likeliest(trends), _above(found.high_volatility), found.change_24h, found.change_48h)


class Plain(NamedTuple):
    """Hidden Markov models of log returns alone, fitted without labels: three states in order of mean, two of variance."""

    trend: Gaussian
    volatility: Gaussian

    def __call__(self, series: Series) -> Said:
        moves = np.diff(series.log_close, prepend=series.log_close[0])[:, None]
        known = [forward(densities(moves, each), each.start, each.transition)[0] for each in self]
        return Said(_likeliest(known[0]), _above(known[1][:, 1]))


def plain(several: Sequence[Series]) -> Plain:
    """Fitted to the returns of these by expectation and maximization. Needs some of them to move."""
    moves = [np.diff(series.log_close)[:, None] for series in several]
    together = np.concatenate(moves)
    trend = fit(moves, first_guess(together, 0, PLAIN_STATES), rounds=100)
    best_first = np.array([PLAIN_STATES - 1, 0, 1])[:PLAIN_STATES]
    sizes = fit(moves, _two_sizes(together), rounds=100)
    return Plain(
        ordered(trend, np.argsort(trend.means[:, 0])[best_first]),
        ordered(sizes, np.argsort(sizes.covariances[:, 0, 0])),
    )


def knowing(ceiling: Ceiling) -> Said:
    """What the exact filter says."""
    return Said(_likeliest(ceiling.trend), _above(ceiling.stressed), ceiling.change_24h, ceiling.change_48h)


def _two_sizes(moves: Floats) -> Gaussian:
    """Where the fit of two variances begins: a half and twice that of all."""
    variance = float(moves.var())
    stays = np.array([[0.98, 0.02], [0.02, 0.98]])
    return Gaussian(np.array([0.5, 0.5]), stays, np.zeros((2, 1)), np.array([[[variance / 2.0]], [[variance * 2.0]]]))


def _likeliest(probabilities: Floats) -> Codes:
    """The place of the greatest of each row; -1 where it is NaN."""
    unknown = np.isnan(probabilities).any(axis=1)
    return np.where(unknown, NONE, np.argmax(np.nan_to_num(probabilities), axis=1)).astype(np.int8)


def _above(probability: Floats) -> Codes:
    return np.where(np.isnan(probability), NONE, probability >= 0.5).astype(np.int8)


def held(codes: Codes) -> Codes:
    """Each none filled with what was said before it."""
    last = np.maximum.accumulate(np.where(codes != NONE, np.arange(codes.size), 0))
    return np.asarray(codes[last])


def _held(codes: Codes, at: Ints) -> Codes:
    """The code in place `at` of each bar; none before the first."""
    return np.where(at < 0, NONE, codes[np.maximum(at, 0)]).astype(np.int8)


def coarser(series: Series, timeframe: Timeframe) -> tuple[Series, Ints]:
    """Bars of `timeframe` by UTC, and for each bar of the series the last of them that is closed by then, -1 before."""
    period = -(-series.ts // timeframe.ns)
    firsts = np.flatnonzero(np.diff(period, prepend=period[0] - 1))
    high = np.maximum.reduceat(series.high_low_close[:, 0], firsts)
    low = np.minimum.reduceat(series.high_low_close[:, 1], firsts)
    lasts = np.append(firsts[1:], series.ts.size) - 1
    prices = np.column_stack((high, low, series.high_low_close[lasts, 2]))
    ends = period[lasts] * timeframe.ns
    volume = np.add.reduceat(series.volume, firsts)
    bars = Series(series.name, timeframe, ends, prices, volume)
    return bars, np.searchsorted(ends, series.ts, side="right") - 1


# --- ablation: what a verdict is worth without one of its inputs -----------------------------------------------------
def _close_only(prices: Floats) -> Floats:
    return np.ascontiguousarray(np.repeat(prices[:, 2:], 3, axis=1))


def _without_direction(prices: Floats) -> Floats:
    """Every bar turned over or not by the toss of a coin: moves keep their size and lose their sign."""
    coin = np.random.Generator(np.random.PCG64(0)).choice((-1.0, 1.0), len(prices))
    logs = np.log(prices)
    previous = np.concatenate(([logs[0, 2]], logs[:-1, 2]))
    up, down, moves = logs[:, 0] - previous, logs[:, 1] - previous, logs[:, 2] - previous
    turned = np.column_stack((np.where(coin > 0, up, -down), np.where(coin > 0, down, -up), moves * coin))
    begin = logs[0, 2] + np.concatenate(([0.0], np.cumsum(turned[:-1, 2])))
    return np.ascontiguousarray(np.exp(turned + begin[:, None]))


WITHHELD: Final = {"high and low": _close_only, "direction": _without_direction}
INPUTS: Final = ("volume", *WITHHELD)
# A value of the rules is withheld by thresholds that it cannot reach.
RULES_WITHOUT: Final[Mapping[str, Mapping[str, float]]] = {
    "ADX": {"adx_trend": 100.0, "adx_range": 1e-9},
    "choppiness": {"chop_choppy": 99.999, "chop_trend": 0.0},
    "ATR percentile": {"atr_high": 1.0},
    "ATR spike": {"atr_spike": 20.0},
    "Bollinger width": {"squeeze_atr": 0.0},
    "volatility ratio": {"vol_elevated": 19.0, "vol_stress": 20.0},
}


def rules_without(name: str, base: Settings) -> Settings:
    """The settings under which the value of that name decides nothing."""
    return msgspec.structs.replace(base, **RULES_WITHOUT[name])
