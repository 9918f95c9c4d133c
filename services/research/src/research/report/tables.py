"""The page's figures and tables but those by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

import numpy as np

from common.model.time import NS_PER_DAY
from research.chronicle import Chronicle
from research.comparison import TARGETS
from research.report import series
from research.report.facts import Facts
from research.report.markup import Cell, Row, money, number, percent, ratio, sense, signed, table, text, when

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EVENTS_SHOWN: Final = 1_000
_SHARES: Final = frozenset({"max_drawdown", "win_rate"})


def warnings(facts: Facts) -> Iterator[str]:
    """What spoils the result, a sentence each."""
    yield from facts.belief.warnings
    for name, reason in facts.result["features_off"].items():
        yield f"{name} was off: {reason}. This is not the result of what was asked for."
    halts = [event for event in facts.chronicle.events if event.what.startswith("Trading ")]
    if halts and halts[-1].what == "Trading HALTED":
        yield f"Trading was halted on {when(halts[-1].ts_ns)} and never resumed: {halts[-1].detail}. What follows is flat."
    paid = facts.chronicle.costs.values()
    if paid and not any(one.commission or one.spread for one in paid):
        yield "Commission and spread are zero: no market is that cheap."


def figures(facts: Facts) -> str:
    """The headline, as a list of terms and values."""
    metrics, result = facts.metrics, facts.result
    profit = None if result["equity"] is None else result["equity"] - facts.start
    worst = result["max_drawdown"]
    rows = [
        ("Equity", money(result["equity"], 2), "big", ""),
        ("Profit", signed(profit, 2).text, sense(profit), ""),
        ("Total return", percent(metrics["cum_returns_final"]), sense(metrics["cum_returns_final"]), ""),
        ("Buy and hold", percent(_held(facts)), sense(_held(facts)), ""),
        ("Return a year", percent(metrics["annual_return"]), sense(metrics["annual_return"]), ""),
        ("Volatility a year", percent(metrics["annual_volatility"]), "", ""),
        ("Sharpe ratio", ratio(metrics["sharpe_ratio"]), "", _target("sharpe_ratio")),
        (*_confidence(facts), "", ""),
        ("Sortino ratio", ratio(metrics["sortino_ratio"]), "", ""),
        ("Worst drawdown", percent(worst), "down" if worst else "", _target("max_drawdown")),
        ("Calmar ratio", ratio(metrics["calmar_ratio"]), "", ""),
        ("Closed trades", f"{len(facts.chronicle.trades):,}", "", ""),
        ("Trades won", percent(metrics["win_rate"], 1), "", _target("win_rate")),
        ("Profit factor", ratio(metrics["profit_factor"]), "", _target("profit_factor")),
        ("Diversification ratio", ratio(metrics["diversification_ratio"]), "", ""),
        ("BTC correlation", ratio(metrics["btc_correlation"]), "", _target("btc_correlation")),
        ("Mean exposure", percent(metrics["exposure"], 1), "", ""),
        ("Turnover a year", f"{ratio(metrics['turnover'])} ×", "", ""),
        ("Commission", money(result["costs"]["commission"], 2), "", ""),
        ("Financing", money(result["costs"]["financing"], 2), "", ""),
        ("Refused orders", f"{result['orders']['denied']:,}", "", ""),
    ]
    return "".join(
        f'<div class="{"wide" if kind == "big" else ""}"><dt>{text(name)}</dt><dd class="{kind}">{text(value)}</dd>{target}</div>'
        for name, value, kind, target in rows
    )


def _target(metric: str) -> str:
    """What is aimed at, as a second value."""
    value = next(abs(one.value) for one in TARGETS if one.metric == metric)
    return f'<dd class="target">target {percent(value, 0) if metric in _SHARES else f"{value:g}"}</dd>'


def _confidence(facts: Facts) -> tuple[str, str]:
    """The probability that the Sharpe ratio is above zero, deflated where it is known how much was tried."""
    if facts.belief.trials > 1:
        return "Deflated Sharpe", percent(facts.belief.deflated, 0)
    return "Sharpe above zero", percent(facts.belief.above_zero, 0)


def _held(facts: Facts) -> float | None:
    return None if facts.benchmark is None else float(facts.benchmark[-1]) / facts.start - 1


def samples(facts: Facts) -> str:
    """The book before and after the date from which on data was held out."""
    returns = np.diff(np.concatenate(([facts.start], facts.equity))) / np.concatenate(
        ([facts.start], facts.equity[:-1])
    )
    inside = facts.ts <= (facts.out_of_sample_ns or 0)
    rows: list[Row] = []
    for name, chosen in (("In sample", inside), ("Out of sample", ~inside)):
        part = series.headline(returns[chosen], facts.annualization)
        cells = (percent(part["total"]), percent(part["annual"]), ratio(part["sharpe"]), percent(part["max_drawdown"]))
        rows.append((name, number(f"{int(chosen.sum()):,}"), *map(number, cells)))
    return table(("", "Days", "Return", "A year", "Sharpe", "Worst drawdown"), rows, nothing="No data.")


def months(facts: Facts) -> str:
    """Years down, months across, with the year's return."""
    found = series.monthly(facts.ts.tolist(), facts.equity.tolist(), facts.start)
    columns = (*range(1, 13), 0)
    hottest = {at: max((abs(row[at]) for row in found.values() if at in row), default=0.0) for at in columns}
    of_months = max(hottest[at] for at in columns if at)
    rows: Iterator[Row] = (
        (str(year), *(_return(row.get(at), of_months if at else hottest[0]) for at in columns))
        for year, row in found.items()
    )
    shown = table(("", *MONTHS, "Year"), rows, nothing="No month of data.")
    return f'<div class="months">{shown}</div>'


def _return(value: float | None, hottest: float) -> Cell:
    """In percent, on a background as strong as its share of the `hottest`."""
    if value is None:
        return Cell("", "num heat")
    if not round(value, 3):
        return Cell("0.0", "num heat")
    return Cell(f"{value * 100:+.1f}", "num heat", value / hottest)


def deepest(facts: Facts) -> str:
    """From which day to which, and how deep."""
    rows = []
    for fall in series.falls(np.concatenate(([facts.start], facts.equity))):
        # The curve has the start in front of the first day.
        peak, trough = (int(facts.ts[max(0, at - 1)]) for at in (fall.peak, fall.trough))
        end = None if fall.recovered is None else int(facts.ts[fall.recovered - 1])
        days = ((end or int(facts.ts[-1])) - peak) // NS_PER_DAY
        rows.append((_day(peak), _day(trough), _day(end), number(f"{days:,}"), number(percent(fall.depth))))
    return table(("Peak", "Trough", "Recovered", "Days", "Depth"), rows, nothing="The equity never fell.")


def _day(ts_ns: int | None) -> str:
    return "not yet" if ts_ns is None else when(ts_ns - 1)[:10]


def bridge(facts: Facts) -> str:
    """From the start to the end: the parts add up to the profit, to the cent."""
    paid = facts.chronicle.costs.values()
    parts = [
        ("Moves of what was held, spread included", round(sum(facts.chronicle.earnings().values()), 2)),
        ("Commission", -round(sum(one.commission for one in paid), 2)),
        ("Financing: interest, swap, funding", -round(sum(one.financing for one in paid), 2)),
    ]
    end = float(facts.equity[-1]) if facts.equity.size else facts.start
    profit = round(end - facts.start, 2)
    rest = profit - sum(value for _, value in parts)
    rows = [
        (name, signed(value, 2)) for name, value in (*parts, ("Balances in other currencies", rest), ("Profit", profit))
    ]
    return table(("", facts.chronicle.account_currency), rows, nothing="")


def events(chronicle: Chronicle) -> str:
    """What restricted trading and what released it, in order."""
    if not chronicle.events:
        return '<p class="empty">Nothing restricted trading.</p>'
    shown = list(chronicle.events)[-_EVENTS_SHOWN:]
    left_out = len(chronicle.events) - len(shown) + chronicle.events_beyond
    before = f'<p class="note">{left_out:,} earlier ones are not shown.</p>' if left_out else ""
    lines = (
        f'<li class="{event.level}"><b>{text(event.what)}</b> <span class="quiet">{text(when(event.ts_ns))} · '
        f"{text(event.detail)}</span></li>"
        for event in shown
    )
    return f'{before}<ol class="events">{"".join(lines)}</ol>'


def data(facts: Facts) -> str:
    """What prices the run had, and what was wrong with them."""
    chronicle = facts.chronicle
    rows: list[Row] = []
    for name, closes in chronicle.closes.items():
        days = list(closes)
        span = tuple(_day((day + 1) * NS_PER_DAY) for day in (days[0], days[-1]))
        rows.append((name, chronicle.base_timeframes.get(name, ""), *span, number(f"{len(days):,}")))
    bad = (
        (reason, number(f"{one.count:,}"), when(one.first_ns), Cell(" · ".join(one.examples), "why"))
        for reason, one in chronicle.quarantined.items()
    )
    gaps = "unknown" if chronicle.gaps is None else f"{chronicle.gaps:,}"
    said = f"{facts.result['bars']:,} bars in {facts.result['steps']:,} steps; {gaps} missing periods inside the data; "
    said += f"{facts.result['quarantined']:,} rows refused."
    return (
        f'<p class="note">{text(said)}</p>'
        + table(("Instrument", "Bars of", "From", "To", "Days"), rows, nothing="No prices.")
        + table(("Refused because", "Rows", "First", "Examples"), bad, nothing="No row was refused.")
    )


def parameters(config: Mapping[str, Any]) -> str:
    """Every key, a section at a time, folded away."""
    parts = []
    for name, section in config.items():
        rows = list(_flat(section)) if isinstance(section, Mapping) else [("", str(section))]
        body = table(("Key", "Value"), ((key, Cell(value, "why")) for key, value in rows), nothing="Nothing is set.")
        parts.append(f"<details><summary>{text(name)} <span class=quiet>{len(rows)}</span></summary>{body}</details>")
    return "".join(parts)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    return chain.from_iterable(
        _flat(value, f"{prefix}{key}.")
        if isinstance(value, Mapping) and value
        else ((f"{prefix}{key}", _plain(value)),)
        for key, value in values.items()
    )


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
