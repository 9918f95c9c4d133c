"""Results by what they belong to, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import fmean

from common.quant.performance import profit_factor, win_rate
from research.chronicle import Chronicle
from research.grouping import by_group
from research.report.attribution import NOBODY
from research.report.markup import Cell, Row, money, number, percent, ratio, signed, table, when
from research.report.records import Costs, Refusal, Trade

_TRADES: tuple[str, ...] = ("Trades", "Won", "Profit factor", "Mean", "Profit")


def by_strategy(chronicle: Chronicle) -> str:
    """By strategy and timeframe of its opinion, best first: what its contributions earned, open positions at the last price."""
    earned: dict[tuple[str, str], float] = {}
    for (_, key), profit in chronicle.earnings().items():
        earned[key] = earned.get(key, 0.0) + profit
    entries: dict[str, int] = {}
    for trade in chronicle.all_trades():
        for strategy in trade.strategies:
            entries[strategy] = entries.get(strategy, 0) + 1
    rows = [
        (key[0], key[1], number("" if key == NOBODY else f"{entries.get(key[0], 0):,}"), signed(profit, 2))
        for key, profit in sorted(earned.items(), key=lambda one: -one[1])
    ]
    total = sum(earned.values())
    rows += [("All", "", number(f"{len(chronicle.all_trades()):,}"), signed(total, 2))] if rows else []
    return table(("Strategy", "Timeframe", "In entries of", "Profit before costs"), rows, nothing="Nothing was traded.")


def by_timeframe(chronicle: Chronicle) -> str:
    """By timeframe of the opinions."""
    earned: dict[str, float] = {}
    for (_, (_, timeframe)), profit in chronicle.earnings().items():
        earned[timeframe] = earned.get(timeframe, 0.0) + profit
    rows = [(name, signed(profit, 2)) for name, profit in sorted(earned.items(), key=lambda one: -one[1])]
    return table(("Timeframe", "Profit before costs"), rows, nothing="Nothing was traded.")


def by_trades(chronicle: Chronicle, heading: str, of: Callable[[Trade], str]) -> str:
    """Closed trades by what `of` says of each, most profitable first."""
    groups = by_group((of(trade), trade.profit or 0.0) for trade in chronicle.trades)
    rows = sorted(groups.items(), key=lambda one: -sum(one[1]))
    return table(
        (heading, *_TRADES), ((name, *_judged(profits)) for name, profits in rows), nothing="No trade was closed."
    )


def _judged(profits: list[float]) -> Iterable[Cell]:
    return (
        number(f"{len(profits):,}"),
        number(percent(win_rate(profits), 0)),
        number(ratio(profit_factor(profits))),
        signed(fmean(profits), 2),
        signed(sum(profits), 2),
    )


def costs(by_instrument: Mapping[str, Costs]) -> str:
    """By instrument and in all; basis points of the turnover."""
    head = (
        "Instrument",
        "Turnover",
        "Commission",
        "Half spread",
        "Fill against decision",
        "Financing",
        "Commission and spread, bp",
    )
    rows: list[Row] = [(name, *_paid(one)) for name, one in by_instrument.items()]
    if len(rows) > 1:
        whole = Costs(
            *(sum(getattr(one, field) for one in by_instrument.values()) for field in Costs.__struct_fields__)
        )
        rows.append(("All", *_paid(whole)))
    return table(head, rows, nothing="Nothing was traded.")


def _paid(one: Costs) -> Iterable[Cell]:
    bp = (one.commission + one.spread) / one.turnover * 10_000 if one.turnover else None
    return (
        number(money(one.turnover)),
        number(money(one.commission, 2)),
        number(money(one.spread, 2)),
        number(money(one.slippage, 2)),
        number(money(one.financing, 2)),
        number(ratio(bp)),
    )


def refusals(found: Mapping[str, Refusal], what: str) -> str:
    """By reason, most frequent first, each with its first examples."""
    rows = [
        (name, number(f"{one.count:,}"), when(one.first_ns), when(one.last_ns), Cell(" · ".join(one.examples), "why"))
        for name, one in sorted(found.items(), key=lambda one: -one[1].count)
    ]
    return table(("Reason", "Times", "First", "Last", "Examples"), rows, nothing=f"No {what}.")
