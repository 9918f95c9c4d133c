"""Everything a page shows, computed once from a run's two folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.model.time import NS_PER_DAY
from research.chronicle import Chronicle
from research.comparison import compared
from research.report import series
from research.report.belief import Belief, believe
from research.report.series import Floats
from research.summary import Summary

_DAYS_PER_YEAR: Final = 365.25
_WINDOWS: Final = (1.0, 0.25)  # of a year, for the rolling Sharpe: the longest of which the data holds two


class Facts(NamedTuple):
    """Arrays are by UTC day, aligned with `ts` (the last step of each). `start` is the equity before the first trade."""

    config: Mapping[str, Any]
    result: dict[str, Any]
    metrics: dict[str, float | None]
    chronicle: Chronicle
    ts: NDArray[np.int64]
    equity: Floats
    benchmark: Floats | None
    gross: Floats  # share of equity
    net: Floats
    sharpe: Floats
    window: int
    annualization: int
    start: float
    belief: Belief
    out_of_sample_ns: int | None
    build: str


def gather(
    config: Mapping[str, Any],
    summary: Summary,
    chronicle: Chronicle,
    *,
    trials: Sequence[float] = (),
    out_of_sample_ns: int | None = None,
) -> Facts:
    """`trials`: Sharpe ratios per day of all configurations known to have been tried on this data, this one among them.
    What closes after `out_of_sample_ns` was held out.
    """
    ts, equity = summary.daily()
    start = float(config.get("account", {}).get("starting_cash", equity[0] if equity.size else 0.0))
    annualization = summary.annualization
    returns = np.diff(np.concatenate(([start], equity))) / np.concatenate(([start], equity[:-1]))
    window = _window(returns.size, annualization)
    gross, net = _exposure(ts, equity, chronicle)
    metrics = {**summary.metrics(), **compared(summary, chronicle)}
    return Facts(
        config=config,
        result=summary.result(),
        metrics=metrics,
        chronicle=chronicle,
        ts=ts,
        equity=equity,
        benchmark=series.buy_and_hold(
            chronicle.closes, chronicle.instruments, chronicle.account_currency, series.days_of(ts), start
        ),
        gross=gross,
        net=net,
        sharpe=series.rolling_sharpe(returns, window, annualization),
        window=window,
        annualization=annualization,
        start=start,
        belief=believe(
            returns[1:],
            annualization,
            years=(chronicle.last_ns - chronicle.first_ns) / NS_PER_DAY / _DAYS_PER_YEAR,
            trades=len(chronicle.trades),
            trials=trials,
            held_out=out_of_sample_ns is not None,
        ),
        out_of_sample_ns=out_of_sample_ns,
        build=str(config.get("run", {}).get("build", "")),
    )


def _window(returns: int, annualization: int) -> int:
    for share in _WINDOWS:
        if returns >= 2 * share * annualization:
            return int(share * annualization)
    return int(_WINDOWS[-1] * annualization)


def _exposure(ts: NDArray[np.int64], equity: Floats, chronicle: Chronicle) -> tuple[Floats, Floats]:
    rows = [chronicle.days.get(day, (0, None, 0.0, 0.0)) for day in series.days_of(ts).tolist()]
    gross, net = (np.array([row[at] for row in rows], dtype=np.float64) for at in (2, 3))
    with np.errstate(divide="ignore", invalid="ignore"):
        return gross / equity, net / equity
