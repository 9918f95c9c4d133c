"""One trial: the whole system over one or several spans of time, flat at the beginning of each.

Indicators are warm and the book is empty when a span begins: a run starts `warmup_days` before it with trading halted by a
simulated operator, who resumes before the first slice after the beginning. While halted nothing is proposed, so no order,
cost or drawdown of the warm-up exists. What is open at the end of a span is valued at its last price; closing it would cost
half a spread and a commission that are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.lockstep import Lockstep
from common.messages.base import Message
from common.messages.market_data import MarketSlice
from common.messages.risk import HaltTrading, ResumeTrading, TradingStateChanged
from common.model.account import Account
from common.model.time import NS_PER_DAY
from common.quant import overfitting, performance
from common.runtime.settings import section
from market_data.source import source
from research.backtest import Operator, answer, cores
from research.optimize.splits import Span
from research.overrides import with_values
from research.run import run
from research.summary import Summary

_AUTHOR = "simulated operator"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is sent: everything a trial needs. `values` lie over `config` by dotted key. Before `first_ns` there is no
    data to warm up on.
    """

    config: dict[str, Any]
    values: dict[str, Any]
    spans: tuple[Span, ...]
    first_ns: int
    warmup_days: int
    resume_after_days: int | None = None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `metrics` are those of `METRICS`; returns are daily, of all spans one after the other; `day_ns` is the
    end of each. `days_a_year` is what annualizes them: 365 for crypto, else 252. None is undefined.
    """

    metrics: dict[str, float | None]
    returns: list[float]
    day_ns: list[int]
    days_a_year: int


METRICS: Final = {
    "sharpe": "annual Sharpe ratio of daily returns, risk-free rate zero",
    "sortino": "annual Sortino ratio",
    "calmar": "annual return over max_drawdown",
    "return": "compound return a year, a fraction",
    "total_return": "of the whole, a fraction",
    "volatility": "annual, a fraction",
    "max_drawdown": "a positive fraction, of daily equity",
    "trades": "round trips, from flat to flat",
    "win_rate": "share of round trips that gained",
    "profit_factor": "gains over losses of round trips; of several spans, that of the worst",
    "fills": "executions",
    "turnover": "traded notional a year over the starting cash",
    "commission": "paid, in account currency; the spread is in the prices",
    "halts": "times the guardian halted trading",
}


def measure(task: Task) -> Measured:
    """Raises ConfigError and DataError as a run does, and DataError for a span without any price."""
    config = with_values(task.config, task.values)
    runs = [_over(config, span, task) for span in task.spans]
    cash = float(section(config, "account", Account).starting_cash)
    days, returns = zip(*(_daily(each, span, cash) for each, span in zip(runs, task.spans, strict=True)), strict=True)
    joined = np.concatenate(returns)
    years = sum(span.end_ns - span.begin_ns for span in task.spans) / (365.25 * NS_PER_DAY)
    return Measured(
        metrics=_metrics(runs, joined, years, cash),
        returns=joined.tolist(),
        day_ns=np.concatenate(days).tolist(),
        days_a_year=runs[0].annualization,
    )


def bounds(config: Mapping[str, Any]) -> Span:
    """From the beginning of the day of the first row to the last row. Raises DataError where there is none."""
    first = last = None
    for step in source(config).feed.steps():
        first, last = step.ts_event if first is None else first, step.ts_event
    if first is None or last is None:
        raise DataError(f"--data {config['run']['data']}: no prices between --from and --to")
    return Span((first - 1) // NS_PER_DAY * NS_PER_DAY, last)


def performance_of(returns: NDArray[np.float64], days_a_year: int) -> dict[str, float | None]:
    """The metrics that need nothing but daily returns."""
    drawdown = performance.max_drawdown(returns)
    return {
        "sharpe": performance.sharpe_ratio(returns, days_a_year),
        "sortino": performance.sortino_ratio(returns, days_a_year),
        "calmar": performance.calmar_ratio(returns, days_a_year),
        "return": performance.annual_return(returns, days_a_year),
        "total_return": performance.cum_returns_final(returns),
        "volatility": performance.annual_volatility(returns, days_a_year),
        "max_drawdown": None if drawdown is None else abs(drawdown),
    }


def flat_until(messages: Iterable[Message], begin_ns: int) -> Iterator[Message]:
    """The messages, with a halt before the first slice and its end before the last slice that is not after `begin_ns`: a
    command takes a step to be heard, so the first orders are those of the first slice after it.
    """
    held: list[Message] = []  # the last slice so far, and what follows it
    halted = over = False
    for message in messages:
        if over or not isinstance(message, MarketSlice):
            if held:
                held.append(message)
            else:
                yield message
            continue
        if message.ts_event > begin_ns:
            over = True
            if held:
                yield ResumeTrading(ts_event=held[0].ts_event, book=message.book, author=_AUTHOR, reason="warm")
        elif not halted:
            halted = True
            yield HaltTrading(ts_event=message.ts_event, book=message.book, author=_AUTHOR, reason="warming up")
        yield from held
        held = [] if over else [message]
        if over:
            yield message
    yield from held


def _over(config: dict[str, Any], span: Span, task: Task) -> Summary:
    start = min(span.begin_ns, max(task.first_ns, span.begin_ns - task.warmup_days * NS_PER_DAY))
    said = {**config, "run": {**config["run"], "start_ns": start, "end_ns": span.end_ns}}
    if start == span.begin_ns:  # nothing to warm up on: the fast engine can do it
        return run(said, resume_after_days=task.resume_after_days)
    summary, operator = Summary(), Operator(task.resume_after_days)
    system = Lockstep(cores(said), answer)
    for message in system.run(operator.beside(flat_until(source(said).messages(), span.begin_ns))):
        if isinstance(message, TradingStateChanged) and message.ts_event <= span.begin_ns:
            continue  # the halt of the warm-up is neither counted nor the other operator's affair
        summary.see(message)
        operator.see(message)
    return summary


def _daily(summary: Summary, span: Span, cash: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ends of the days of the span and the returns on them; it begins with the starting cash."""
    ts, equity = summary.daily()
    inside = ts > span.begin_ns
    levels = np.concatenate(([cash], equity[inside]))
    if levels.size < 2:
        raise DataError("no day with prices in the span; expected more data, or other folds")
    return ts[inside], levels[1:] / levels[:-1] - 1.0


def _metrics(
    runs: Sequence[Summary], returns: NDArray[np.float64], years: float, cash: float
) -> dict[str, float | None]:
    results, each = [one.result() for one in runs], [one.metrics() for one in runs]
    trades = [metrics["trades"] or 0.0 for metrics in each]
    wins = sum((metrics["win_rate"] or 0.0) * number for metrics, number in zip(each, trades, strict=True))
    factors = [metrics["profit_factor"] for metrics in each if metrics["profit_factor"] is not None]
    return {
        **performance_of(returns, runs[0].annualization),
        "trades": sum(trades),
        "win_rate": wins / sum(trades) if sum(trades) else None,
        "profit_factor": min(factors, default=None),
        "fills": float(sum(result["fills"] for result in results)),
        "turnover": sum(result["costs"]["turnover"] for result in results) / cash / years,
        "commission": float(sum(result["costs"]["commission"] for result in results)),
        "halts": float(sum(result["halts"] for result in results)),
    }


def moments_of(returns: Sequence[float] | NDArray[np.float64]) -> overfitting.Moments | None:
    """Of daily returns, for the laws of `common.quant.overfitting`."""
    return overfitting.moments(np.asarray(returns, dtype=np.float64))
