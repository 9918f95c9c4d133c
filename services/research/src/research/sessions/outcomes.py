"""What entries came to: trades of kept runs, or what strategies said bar by bar and where the price went."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.model.enums import Direction
from common.model.time import from_datetime
from common.model.trading_sessions import session
from common.quant.kernel import Floats, Ints
from market_data.instruments import parse_symbol
from research.fast.market import Market
from research.fast.opinions import load_opinions
from research.sessions.activity import ALL
from research.sessions.estimates import Estimate, mean, share
from research.sessions.series import Prices, pip_size, regime_name

ROUNDED: Final = 0.01  # money in the file has four digits: of less than this hardly any is exact


class Outcome(NamedTuple):
    """One entry at `ts`, over at `known`. `bps` is what it earned of its price after costs, `pips` before them; None for what is
    no currency.
    """

    ts: int
    known: int
    instrument_id: str
    timeframe: str
    regime: str
    bps: float
    pips: float | None


class Table(NamedTuple):
    """Outcomes of one instrument in order of time. Entries of the same instant and regime are one, with their mean: what several
    strategies say at once is no further evidence.
    """

    instrument_id: str
    ts: Ints
    known: Ints
    bps: Floats
    regime: NDArray[np.str_]


class Result(NamedTuple):
    """Entries of one group. `win_rate` counts what earned more than its costs."""

    session: str
    instrument_id: str
    timeframe: str
    regime: str
    signals: int
    win_rate: Estimate
    pips: Estimate
    bps: Estimate


def of_run(folder: Path) -> list[Outcome]:
    """The closed trades of a kept run. Raises DataError where its file cannot be read."""
    path = folder / "trades.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_of_trade(row) for row in csv.DictReader(file) if row["exit_px"] and row["profit"]]
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error!r}); expected the trades of a kept run") from None


def of_signals(
    config: Mapping[str, Any], market: Market, prices: Sequence[Prices], horizon: int
) -> tuple[list[Outcome], int]:
    """Every opinion other than flat, entered at the close of its bar and left `horizon` bars of its timeframe later, less the spread.
    Also how many lie too near the end of the data to be judged. Raises DataError where a strategy fails.
    """
    opinions = load_opinions(config, market)
    if opinions is None:
        raise DataError("a strategy fails on this data; `ballast backtest` says on which bar")
    by_key = {(one.instrument.instrument_id, one.timeframe): one for one in prices}
    found, open_ = list[Outcome](), 0
    for index in opinions.steps.tolist():
        for said in opinions.signals(index):
            of = by_key.get((said.instrument_id, said.timeframe))
            if of is None or said.direction is Direction.FLAT:
                continue
            row = int(np.searchsorted(of.closes, market.ts[index]))
            if row + horizon >= of.closes.size:
                open_ += 1
                continue
            found.append(_of_signal(of, row, row + horizon, said.direction.sign))
    return found, open_


def results(outcomes: Iterable[Outcome]) -> Iterator[Result]:
    """By session, instrument and timeframe, of all regimes together and then by each."""
    groups: dict[tuple[str, str, str, str], list[Outcome]] = {}
    for one in sorted(outcomes):
        name = session(one.ts)
        for regime in (ALL, one.regime):
            groups.setdefault((name, one.instrument_id, one.timeframe, regime), []).append(one)
    for key in sorted(groups):
        found = groups[key]
        bps = np.array([one.bps for one in found])
        pips = np.array([np.nan if one.pips is None else one.pips for one in found])
        wins = int(np.count_nonzero(bps > 0.0))
        yield Result(*key, len(found), share(wins, len(found)), mean(pips), mean(bps))


def tables(outcomes: Iterable[Outcome]) -> list[Table]:
    """One for each instrument, by name."""
    by_name: dict[str, dict[tuple[int, str], list[Outcome]]] = {}
    for one in sorted(outcomes):
        by_name.setdefault(one.instrument_id, {}).setdefault((one.ts, one.regime), []).append(one)
    return [_table(name, moments) for name, moments in sorted(by_name.items())]


def _table(name: str, moments: Mapping[tuple[int, str], Sequence[Outcome]]) -> Table:
    keys = sorted(moments)
    return Table(
        name,
        ts=np.array([ts for ts, _ in keys], dtype=np.int64),
        known=np.array([max(one.known for one in moments[key]) for key in keys], dtype=np.int64),
        bps=np.array([fmean(one.bps for one in moments[key]) for key in keys]),
        regime=np.array([regime for _, regime in keys], dtype=np.str_),
    )


def _of_trade(row: Mapping[str, str]) -> Outcome:
    """Profits are in the account currency: what a unit of it is in prices follows from the profit before commission. A fill that is
    stamped with the close of a bar happened in it: it counts in the hour and session in which it was decided.
    """
    entry, sign = float(row["entry_px"]), 1 if row["side"] == "LONG" else -1
    gross, profit = sign * (float(row["exit_px"]) - entry), float(row["profit"])
    before = profit + float(row["commission"])
    kept = profit / before if abs(before) > ROUNDED and before * gross > 0 else 1.0
    return Outcome(
        ts=from_datetime(datetime.fromisoformat(row["entry"])) - 1,
        known=from_datetime(datetime.fromisoformat(row["exit"])),
        instrument_id=row["instrument"],
        timeframe=row["timeframe"],
        regime=row["regime"],
        bps=gross * kept / entry * 1e4,
        pips=_pips(row["instrument"], gross),
    )


def _pips(instrument_id: str, gross: float) -> float | None:
    """By the symbol alone: the file of a kept run names no asset class."""
    symbol = parse_symbol(instrument_id.rpartition(".")[0])
    size = None if symbol is None else pip_size(symbol.asset_class, symbol.quote)
    return None if size is None else gross / size


def _of_signal(of: Prices, row: int, out: int, sign: int) -> Outcome:
    entry, gross = float(of.close[row]), sign * float(of.close[out] - of.close[row])
    cost = float(of.half_spread[row] + of.half_spread[out])
    return Outcome(
        ts=int(of.closes[row]),
        known=int(of.closes[out]),
        instrument_id=of.instrument.instrument_id,
        timeframe=str(of.timeframe),
        regime=regime_name(int(of.regime[row + 1])),
        bps=(gross - cost) / entry * 1e4,
        pips=None if of.pip is None else gross / of.pip,
    )
