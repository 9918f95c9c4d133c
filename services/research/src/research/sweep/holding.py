"""What holding through the night costs, as numbers: the paper venue's rolls laid on the rows of a series.

The rule is `execution.financing`: it is asked what one unit held through a roll earns, so that all that is known here is when rolls
are and when they are booked. A charge depends on what a book holds, and so does the row at which it is booked (the first with a
price from the midnight after the first roll not yet booked): the kernel keeps both for each book.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

import numpy as np

from common.model.instrument import Instrument
from common.model.time import NEW_YORK, NS_PER_DAY, from_datetime, to_datetime
from common.quant.kernel import Floats, Ints
from execution.financing import FUNDING_NS, Financing, FinancingSettings

# Columns of the rolls, float64[rows with one, 4]: what a unit long and a unit short earns (units of the base), and the rows at
# which that is booked where nothing else is due (0: nothing is earned, the number of rows: never).
ROLL_LONG, ROLL_SHORT, BOOKED_LONG, BOOKED_SHORT = range(4)
_ONE: Final = Decimal(1)
_WEEK: Final = 7


def rolls(
    instrument: Instrument, settings: FinancingSettings, ts: Ints, has_price: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[Ints, Floats]:
    """The rows, rising, at which a position that was held since the row before has earned or cost something, and what.

    `has_price` bool[rows] says at which something can be booked. A position cannot be older than the first row.
    """
    if not settings.enabled or ts.size < 2:
        return np.empty(0, np.int64), np.empty((0, 4))
    at, long, short = _paid(instrument, settings, int(ts[0]), int(ts[-1]))
    row = np.searchsorted(ts, at)
    rows = np.unique(row[(long != 0.0) | (short != 0.0)])
    found = np.zeros((rows.size, 4))
    priced = np.append(np.flatnonzero(has_price), ts.size)
    for earned, units, booked in ((long, ROLL_LONG, BOOKED_LONG), (short, ROLL_SHORT, BOOKED_SHORT)):
        of = np.flatnonzero(earned)
        np.add.at(found[:, units], np.searchsorted(rows, row[of]), earned[of])
        begun, first = np.unique(row[of], return_index=True)
        ripe = np.maximum(-(-at[of[first]] // NS_PER_DAY) * NS_PER_DAY, ts[begun])
        found[np.searchsorted(rows, begun), booked] = priced[np.searchsorted(ts[priced[:-1]], ripe)]
    return rows, found


def _paid(instrument: Instrument, settings: FinancingSettings, after: int, until: int) -> tuple[Ints, Floats, Floats]:
    """All rolls in (`after`, `until`] and what a unit long and a unit short earns. It depends on nothing but the weekday and the
    rates, so one roll of each kind is asked for.
    """
    if instrument.symbol.endswith("PERP"):
        at = np.arange(after // FUNDING_NS + 1, until // FUNDING_NS + 1, dtype=np.int64) * FUNDING_NS
        kind = np.zeros(at.size, np.int64)
    else:
        days, at = _closes(after, until)
        since = [
            row.since.toordinal()
            for name in (instrument.base, instrument.quote)
            for row in settings.rates.get(name, ())
        ]
        kind = np.searchsorted(np.sort(np.array(since, np.int64)), days, side="right") * _WEEK + days % _WEEK
    rule = Financing(settings)
    _, first, which = np.unique(kind, return_index=True, return_inverse=True)
    earned = np.array([[float(rule.units(instrument, sign * _ONE, int(at[k]))) for k in first] for sign in (1, -1)])
    return at, earned[0][which], earned[1][which]


@lru_cache(maxsize=16)
def _closes(after: int, until: int) -> tuple[Ints, Ints]:
    """Ordinals of the days in New York whose 17:00 lies in (`after`, `until`], and those instants (ns)."""
    days = range(*(to_datetime(ts).astimezone(NEW_YORK).toordinal() + more for ts, more in ((after, 0), (until, 1))))
    at = np.array([_five(date.fromordinal(day)) for day in days], np.int64)
    within = (at > after) & (at <= until)
    return np.array(days, np.int64)[within], at[within]


def _five(day: date) -> int:
    return from_datetime(datetime(day.year, day.month, day.day, 17, tzinfo=NEW_YORK))
