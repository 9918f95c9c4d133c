"""When the portfolio has to be asked again, and how it catches up with slices in which it had nothing to do.

A backtest that skips such slices is the only one to ask. Whoever changes what the portfolio does in a step looks here as well:
the plain run and the one that skips must trade the same (services/research/tests/test_fast_engine.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import NamedTuple

from common.messages.orders import ExecutionStep
from common.messages.regime import RegimeReading
from common.messages.signals import Signal
from common.model.ledger import Ledger
from common.model.money import ZERO
from common.model.time import NS_PER_HOUR, Timeframe
from portfolio import halts, moves, sizing
from portfolio.moves import Desk
from portfolio.settings import Settings
from portfolio.shares import Shares, key_of
from portfolio.state import Seen, State


class Edges(NamedTuple):
    """A base bar of an instrument is an event if its low is at or under `low`, its high at or over `high`, or its close at or
    beyond `below` or `above`. Prices of the instrument; infinite where there is no such edge.
    """

    low: float = -inf
    high: float = inf
    below: float = -inf
    above: float = inf


class Quiet(NamedTuple):
    """Nothing changes before `until_ns` while no base bar touches `edges` (by instrument), no bar of `series` closes, equity
    stays above `min_equity`, and no quantity of `waiting` (by instrument, > 0) becomes worth `min_notional`; money in the
    account currency.
    """

    until_ns: int
    edges: dict[str, Edges]
    series: set[tuple[str, Timeframe]]
    min_equity: float
    waiting: dict[str, float]
    min_notional: float


class Passed(NamedTuple):
    """What the skipped slices brought, up to the last one at `ts`: last closes of base bars by instrument; closes (time, price) of
    the correlation timeframe; where exits are watched, of each series the closes of its last bars and the last reading; and the
    signals that were only to be heard. Oldest first, and at least as many as are kept.
    """

    ts: int
    equity: Decimal
    closes: Mapping[str, float]
    correlated: Mapping[str, Sequence[tuple[int, float]]] = {}
    series: Mapping[tuple[str, Timeframe], Sequence[float]] = {}
    readings: Sequence[RegimeReading] = ()
    signals: Sequence[Signal] = ()


def quiet(desk: Desk, ledger: Ledger) -> Quiet | None:
    """As of the last step, nothing being under way at the venue; `ledger` is execution's. None: ask at the next slice."""
    state, settings = desk.state, desk.settings
    busy = state.cut or state.features or state.cut_by_guardian
    behind = state.slices or state.signals or state.executions or state.regimes
    if busy or behind or state.equity is None or state.equity <= 0:
        return None
    waiting = moves.waiting(desk, _seen(state, ledger), state.last_ns)
    if waiting is None:
        return None
    edges, until_ns, series = _edges(state, settings)
    total = sum((each.contribution.risk for each in state.holdings.values() if each.contribution), ZERO)
    interval = settings.rebalance_hours * NS_PER_HOUR
    again = [denied.until_ns for denied in state.denied.values() if denied.until_ns > state.last_ns]
    return Quiet(
        until_ns=min([until_ns, (state.rebalanced_ns // interval + 1) * interval, *again]),
        edges=edges,
        series=series,
        min_equity=float(total / sizing.exact(settings.max_total_risk)),
        waiting={name: float(qty) for name, qty in waiting.items()},
        min_notional=settings.min_trade_notional,
    )


def only_hears(state: State, signal: Signal) -> bool:
    """Whether the signal is remembered and nothing else: its strategy is halted and owns nothing by the opinion before."""
    holding = state.holdings.get(key_of(signal))
    owns = holding is not None and holding.contribution is not None
    return not owns and halts.of_strategy(state, signal) is not None


def catch_up(desk: Desk, passed: Passed) -> None:
    """The state as if all of the slices had come one by one."""
    state, settings = desk.state, desk.settings
    if passed.signals:
        shares = Shares(state, settings, desk.conversion, passed.ts)
        for signal in passed.signals:
            shares.listen(signal)
    for instrument_id, close in passed.closes.items():
        state.last_px[instrument_id] = state.instruments[instrument_id].round_price(close)
    for instrument_id, bars in passed.correlated.items():
        kept = state.closes.setdefault(instrument_id, [])
        kept.extend(bars)
        del kept[: -(settings.correlation_window + 1)]
    for (instrument_id, timeframe), closes in passed.series.items():
        known = state.watch.closes.setdefault(instrument_id, {}).setdefault(timeframe, [])
        known.extend(closes)
        del known[: -(settings.exits.momentum_bars + 2)]
    for reading in passed.readings:
        state.watch.readings.setdefault(reading.instrument_id, {})[reading.timeframe] = reading
    state.equity, state.last_ns = passed.equity, passed.ts


def _seen(state: State, ledger: Ledger) -> Seen:
    positions = tuple(ledger.positions.values())
    step = ExecutionStep(ts_event=0, book=state.book, step=0, cash={}, positions=positions, open_orders=())
    return Seen(execution=step, manual=state.manual)


def _edges(state: State, settings: Settings) -> tuple[dict[str, Edges], int, set[tuple[str, Timeframe]]]:
    edges, until_ns, series = dict[str, Edges](), 2**62, set[tuple[str, Timeframe]]()
    for holding in state.holdings.values():
        if holding.contribution is None:
            continue
        signal, sign = holding.signal, holding.signal.direction.sign
        stop_px = signal.ref_px * (1 - sign * signal.stop_fraction * state.stop_factor)
        edge = _tighter(edges.get(signal.instrument_id, Edges()), sign, stop_px, sign * inf)
        if settings.exits.enabled and holding.exits is not None:
            edge = _tighter(edge, sign, holding.exits.stop_px, holding.exits.wake_px)
            until_ns = min(until_ns, holding.exits.until_ns)
            series.add((signal.instrument_id, signal.timeframe))
        edges[signal.instrument_id] = edge
    return edges, until_ns, series


def _tighter(edge: Edges, sign: int, stop_px: float, wake_px: float) -> Edges:
    if sign > 0:
        return edge._replace(low=max(edge.low, stop_px), above=min(edge.above, wake_px))
    return edge._replace(high=min(edge.high, stop_px), below=max(edge.below, wake_px))
