"""Splits and dividends: raw prices of shares become a series whose returns are those of who held the share.

A table of factors (LEAN's form: timestamp, symbol, price_factor, split_factor; a row holds up to and including its date) back-adjusts:
prices times price_factor x split_factor, quantities divided by split_factor. Factors are taken relative to that of the last row of the
data. So prices at its end are those that were quoted, and an action after the end changes nothing at all. One inside multiplies
everything before it by one constant: it moves no return but that across its own date.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from common.errors import DataError
from common.model.time import NS_PER_DAY, NS_PER_HOUR, iso
from market_data.feed import RawBar
from market_data.feeds.files import NO_TIME, Floats, Instants, column_names, read_cells, read_columns
from market_data.feeds.rows import Rows

COLUMNS: Final = frozenset({"timestamp", "symbol", "price_factor", "split_factor"})
_PRICES: Final = ("open", "high", "low", "close", "spread_open", "spread_close", "bid", "ask")
_QUANTITIES: Final = ("volume", "bid_size", "ask_size")
# After the last trades of the date, before the first of the next; by when a row ends, that fits daily bars too.
_TURN_NS: Final = NS_PER_DAY + 6 * NS_PER_HOUR
_TELLING: Final = np.log(1.4)  # a smaller split cannot be told from a day's move
_CENT: Final = Decimal("0.01")
_BASIS_POINT: Final = 1e-4


class Factors(NamedTuple):
    """Of one symbol: row i holds for what ends after `until[i - 1]` and not after `until[i]`. Past the last one both are 1."""

    until: Instants
    price: Floats
    split: Floats

    def at(self, ts: Instants, end_ns: int) -> tuple[Floats, Floats]:
        """Of each of `ts`, relative to those of `end_ns`: prices are multiplied by the first, quantities divided by the second."""
        rows = np.searchsorted(self.until, np.append(ts, end_ns))
        price, split = np.append(self.price, 1.0)[rows], np.append(self.split, 1.0)[rows]
        whole = price * split
        return whole[:-1] / whole[-1], split[:-1] / split[-1]


def read(path: Path) -> dict[str, Factors]:
    """By symbol, from csv or csv.gz. Raises DataError naming the file, the row and what was expected."""
    if absent := sorted(COLUMNS - set(column_names(path))):
        raise DataError(f"{path}: a table of factors has no column {', '.join(absent)}")
    columns = read_columns(path, ("price_factor", "split_factor"))
    price, split = columns.values["price_factor"], columns.values["split_factor"]
    for row in np.flatnonzero(~((price > 0) & (split > 0) & (columns.ts != NO_TIME))):
        raise DataError(f"{path}: row {int(row) + 2}: expected a date and two factors > 0")
    names = np.array(read_cells(path, "symbol"))
    found = {}
    for name in dict.fromkeys(names.tolist()):
        of = names == name
        if (np.diff(columns.ts[of]) <= 0).any():
            raise DataError(f"{path}: {name}: expected dates that rise")
        found[name] = Factors(columns.ts[of] + _TURN_NS, price[of], split[of])
    return found


def adjust(name: str, rows: Rows, end_ns: int, factors: Factors) -> Rows:
    """The rows of a file as if the shares had always been those of `end_ns`. Raises DataError where they are already."""
    _refuse_adjusted(name, rows, factors)
    scale, split = factors.at(rows.ts, end_ns)
    values = dict(rows.values)
    values |= {of: values[of] * scale for of in _PRICES if of in values}
    values |= {of: values[of] / split for of in _QUANTITIES if of in values}
    return Rows(rows.kind, rows.ts, rows.arrival, values, rows.problems)


def with_spreads(rows: Rows, end_ns: int, factors: Factors, half_spread: Decimal | None) -> Rows:
    """Bars without quotes, with the spread that is assumed of the raw share, scaled like its price: `half_spread` on either side, or
    by the rule of shares a basis point and at least a cent. A constant would be most of the price of a share that has split often.
    """
    if rows.kind is not RawBar or "spread_close" in rows.values:
        return rows
    scale, _ = factors.at(rows.ts, end_ns)
    values = dict(rows.values)
    for spread, price in (("spread_open", "open"), ("spread_close", "close")):
        assumed = np.maximum(float(_CENT) * scale, _BASIS_POINT * values[price])
        values[spread] = 2.0 * (assumed if half_spread is None else float(half_spread) * scale)
    return Rows(rows.kind, rows.ts, rows.arrival, values, rows.problems)


def finest(rows: Rows, end_ns: int, factors: Factors) -> float:
    """The smallest number that prices were multiplied by, at most 1."""
    return min(1.0, float(np.min(factors.at(rows.ts, end_ns)[0])))


def _refuse_adjusted(name: str, rows: Rows, factors: Factors) -> None:
    """Prices across a split tell whether they are raw: they jump by it, or they do not move."""
    px = rows.values["close" if "close" in rows.values else "ask"]
    splits = np.append(factors.split, 1.0)
    for i in np.flatnonzero(np.abs(np.diff(np.log(splits))) > _TELLING):
        after = int(np.searchsorted(rows.arrival, factors.until[i], side="right"))
        if not 0 < after < px.size:
            continue
        jump, expected = np.log(px[after] / px[after - 1]), np.log(splits[i] / splits[i + 1])
        if abs(jump - expected) > abs(jump):
            raise DataError(
                f"{name}: adjusted already: it does not jump at the split of {iso(int(factors.until[i]) - _TURN_NS)[:10]};"
                " expected raw prices, or `adjusted = true` for the file in manifest.toml"
            )
