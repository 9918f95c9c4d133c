"""A/B (RES-03): everything on, and each feature off, over the same data; what is left is what the feature contributes.

Differences are paired: of the returns of the same days, resampled in blocks together, so that what the market did to both
cancels. With many features some look good or bad by luck: `p_value` is corrected for how many were compared (Holm).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Final

import msgspec
import numpy as np

from common.messages.base import Message
from common.messages.control import InstrumentsDefined
from common.model.enums import AssetClass
from common.model.time import NS_PER_DAY
from common.quant.bootstrap import Array, Interval, Ints, Statistic, bootstrap_interval, means, sharpes
from research.overrides import with_values
from research.run import run
from research.truth.features import all_on, features

ALL: Final = "all on"
CONFIGURED: Final = "as configured"
Said = Callable[[int, str], None]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `total_return`, `max_drawdown` (positive) are fractions, `sharpe` annual, `commission` and `turnover` in the
    account currency. `days` numbers UTC days, `equity` is that of their last step.
    """

    name: str
    total_return: float | None
    sharpe: float | None
    max_drawdown: float | None
    commission: float
    turnover: float
    trades: int
    fills: int
    halts: int
    digest: str
    days: Ints
    equity: Array
    days_a_year: int
    features_off: tuple[str, ...]  # what failed and did not take part


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """What all is better by with the feature than `without` it: positive is good. Returns are per year; `p_value` is Holm's,
    of the difference of returns. None where nothing differs, or too little to resample.
    """

    feature: str
    without: Outcome
    active: bool  # an order or a fill differs
    annual_return: Interval | None
    sharpe: Interval | None
    p_value: float | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    everything: Outcome
    configured: Outcome | None  # None where the configuration has everything on
    contributions: tuple[Contribution, ...]


def compare(
    config: Mapping[str, Any],
    *,
    only: Sequence[str] = (),
    resume_after_days: int | None = None,
    seed: int = 1,
    replications: int = 2000,
    workers: int = 1,
    said: Said | None = None,
) -> Comparison:
    """Runs everything on, and every feature off whose name contains one of `only` (none: all). `said` hears the number of runs
    that are over. The same seed gives the same intervals. Raises ConfigError and DataError.
    """
    everything = all_on(config)
    found = [each for each in features(everything) if not only or any(word in each.name for word in only)]
    variants = [(ALL, everything), *((each.name, with_values(everything, each.off)) for each in found)]
    if everything != config:
        variants.append((CONFIGURED, dict(config)))
    outcomes = {}
    for number, outcome in enumerate(_outcomes(variants, resume_after_days, workers), start=1):
        outcomes[outcome.name] = outcome
        if said is not None:
            said(number, outcome.name)
    return Comparison(
        everything=outcomes[ALL],
        configured=outcomes.get(CONFIGURED),
        contributions=contributions(outcomes[ALL], [outcomes[each.name] for each in found], seed, replications),
    )


def runs(config: Mapping[str, Any], only: Sequence[str] = ()) -> int:
    """How many runs `compare` makes, for a progress bar."""
    everything = all_on(config)
    found = [each for each in features(everything) if not only or any(word in each.name for word in only)]
    return 1 + len(found) + (everything != config)


def contributions(
    everything: Outcome, without: Sequence[Outcome], seed: int, replications: int
) -> tuple[Contribution, ...]:
    """What each feature contributes, in the order of `without`; every one is resampled with the same days."""
    measured = [_contribution(everything, outcome, seed, replications) for outcome in without]
    corrected = holm([each.annual_return.p_value if each.annual_return else None for each in measured])
    return tuple(
        msgspec.structs.replace(each, p_value=p_value) for each, p_value in zip(measured, corrected, strict=True)
    )


def _contribution(everything: Outcome, without: Outcome, seed: int, replications: int) -> Contribution:
    ours, theirs = _paired_returns(everything, without)
    active, year = without.digest != everything.digest, float(everything.days_a_year)

    def interval(statistic: Statistic, scale: float) -> Interval | None:
        rng = np.random.default_rng(seed)
        found = bootstrap_interval(ours, statistic, rng, minus=theirs, replications=replications) if active else None
        return _scaled(found, scale)

    return Contribution(
        feature=without.name,
        without=without,
        active=active,
        annual_return=interval(means, year),
        sharpe=interval(sharpes, float(np.sqrt(year))),
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Corrected for as many comparisons as there are values (Holm 1979); None stays, and does not count."""
    order = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    corrected: list[float | None] = [None] * len(p_values)
    worst = 0.0
    for rank, (value, place) in enumerate(order):
        worst = min(1.0, max(worst, (len(order) - rank) * value))
        corrected[place] = worst
    return corrected


def _outcomes(
    variants: Sequence[tuple[str, Mapping[str, Any]]], resume_after_days: int | None, workers: int
) -> Iterator[Outcome]:
    one = partial(_outcome, resume_after_days)
    if workers == 1:
        yield from map(one, variants)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(one, variants)


def _outcome(resume_after_days: int | None, variant: tuple[str, Mapping[str, Any]]) -> Outcome:
    name, config = variant
    days_a_year = 252

    def watch(message: Message) -> None:
        nonlocal days_a_year
        if isinstance(message, InstrumentsDefined):
            is_crypto = any(each.asset_class is AssetClass.CRYPTO for each in message.instruments)
            days_a_year = 365 if is_crypto else 252

    summary = run(config, resume_after_days=resume_after_days, watchers=[watch])
    result, metrics = summary.result(), summary.metrics()
    ts, equity = summary.daily()
    return Outcome(
        name=name,
        total_return=float(equity[-1] / equity[0] - 1) if equity.size else None,
        sharpe=metrics["sharpe_ratio"],
        max_drawdown=result["max_drawdown"],
        commission=result["costs"]["commission"],
        turnover=result["costs"]["turnover"],
        trades=int(metrics["trades"] or 0),
        fills=result["fills"],
        halts=result["halts"],
        digest=result["digest"],
        days=(ts - 1) // NS_PER_DAY,
        equity=equity,
        days_a_year=days_a_year,
        features_off=tuple(result["features_off"]),
    )


def _paired_returns(one: Outcome, other: Outcome) -> tuple[Array, Array]:
    """Simple returns from each day that both know to the next."""
    _, at, there = np.intersect1d(one.days, other.days, assume_unique=True, return_indices=True)
    ours, theirs = one.equity[at], other.equity[there]
    return ours[1:] / ours[:-1] - 1, theirs[1:] / theirs[:-1] - 1


def _scaled(interval: Interval | None, scale: float) -> Interval | None:
    if interval is None:
        return None
    return msgspec.structs.replace(
        interval, estimate=interval.estimate * scale, low=interval.low * scale, high=interval.high * scale
    )
