"""The whole system over many synthetic paths of the same market, and how its fortunes are distributed.

A path is data like any other: `paths:KIND:SEED:DATA` (market_data.feeds.paths), run with the costs, limits and guardian of
the configuration. So every path can be replayed by any command that takes `--data`.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Final

import msgspec
import numpy as np

from common.errors import ConfigError
from common.messages.base import Message
from common.messages.risk import RiskMeasured
from market_data.feeds.path_models import KINDS
from research.run import run

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
REAL: Final = "real"  # the prices as they were, beside the kinds of paths


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the book made of one path. `total_return` and `max_drawdown` (positive) are fractions; None where nothing was
    ever priced. A VaR breach is a day that lost more than the one-day 95 % VaR of the evening before.
    """

    kind: str
    seed: int | None
    data: str
    total_return: float | None
    max_drawdown: float | None
    var_breaches: int
    var_days: int
    halts: int
    trades: int
    quarantined: int
    features_off: tuple[str, ...]  # what failed and did not take part

    @property
    def var_breach_rate(self) -> float | None:
        return self.var_breaches / self.var_days if self.var_days else None


def outcomes(
    config: Mapping[str, Any],
    *,
    kinds: Sequence[str],
    paths: int,
    seed: int,
    resume_after_days: int | None = None,
    workers: int = 1,
) -> Iterator[Outcome]:
    """First the real prices, then every kind with the seeds from `seed` on, in this order whatever the `workers`.

    Raises ConfigError for an unknown kind and DataError for data without enough bars.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"--kind {kind}: no such kind of path; expected some of {', '.join(KINDS)}")
    jobs = [(REAL, None), *((kind, seed + i) for kind in kinds for i in range(paths))]
    one = partial(_outcome, config, resume_after_days)
    if workers == 1:
        yield from map(one, jobs)
        return
    # Spawned, not forked: a child must not inherit the threads of numeric libraries.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(one, jobs)


def stress(seen: Iterable[Outcome]) -> dict[str, Any]:
    """By kind: the quantiles of each measure, the share of paths that lost, and the worst path, whose `data` replays it."""
    by_kind: dict[str, list[Outcome]] = {}
    for outcome in seen:
        by_kind.setdefault(outcome.kind, []).append(outcome)
    return {kind: _real(found[0]) if kind == REAL else _distribution(found) for kind, found in by_kind.items()}


def _outcome(config: Mapping[str, Any], resume_after_days: int | None, job: tuple[str, int | None]) -> Outcome:
    kind, seed = job
    real = config["run"]["data"]
    data = real if seed is None else f"paths:{kind}:{seed}:{real}"
    risk = _Risk()
    summary = run(
        {**config, "run": {**config["run"], "data": data}}, resume_after_days=resume_after_days, watchers=(risk.see,)
    )
    metrics = summary.metrics()
    return Outcome(
        kind=kind,
        seed=seed,
        data=data,
        total_return=metrics["cum_returns_final"],
        max_drawdown=summary.result()["max_drawdown"],
        var_breaches=risk.last.var_breaches if risk.last else 0,
        var_days=risk.last.var_days if risk.last else 0,
        halts=summary.halts,
        trades=int(metrics["trades"] or 0),
        quarantined=summary.quarantined,
        features_off=tuple(sorted(summary.features_off)),
    )


class _Risk:
    """The guardian's last measures: its counts are over the whole run."""

    def __init__(self) -> None:
        self.last: RiskMeasured | None = None

    def see(self, message: Message) -> None:
        if isinstance(message, RiskMeasured):
            self.last = message


def _real(outcome: Outcome) -> dict[str, Any]:
    measures = {name: of(outcome) for name, of in MEASURES.items()}
    return {**measures, "trades": outcome.trades, "features_off": list(outcome.features_off)}


def _distribution(found: Sequence[Outcome]) -> dict[str, Any]:
    returns = [outcome.total_return for outcome in found if outcome.total_return is not None]
    worst = min(found, key=lambda outcome: np.inf if outcome.total_return is None else outcome.total_return)
    return {
        "paths": len(found),
        **{name: _quantiles([of(outcome) for outcome in found]) for name, of in MEASURES.items()},
        "losing": sum(value < 0 for value in returns) / len(returns) if returns else None,
        "halted": sum(outcome.halts > 0 for outcome in found) / len(found),
        "features_off": sorted({name for outcome in found for name in outcome.features_off}),
        "worst": msgspec.to_builtins(worst),
    }


def _quantiles(values: Sequence[float | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {f"p{round(100 * share):02}": float(np.quantile(known, share)) for share in QUANTILES}


MEASURES: Final[dict[str, Callable[[Outcome], float | None]]] = {
    "return": lambda outcome: outcome.total_return,
    "max_drawdown": lambda outcome: outcome.max_drawdown,
    "var_breach_rate": lambda outcome: outcome.var_breach_rate,
    "halts": lambda outcome: outcome.halts,
}
