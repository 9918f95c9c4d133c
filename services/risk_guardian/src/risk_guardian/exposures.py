"""What the book is exposed to (RSK-11): signed fractions of equity by instrument, currency, sector and strategy.

Weights are float64[instruments], in the order of the history's rows: position value over equity, 0 where nothing is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import nan
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.ledger import Position
from common.model.money import DOLLARS
from risk_guardian.history import Stake
from risk_guardian.state import Working

Floats = NDArray[np.float64]
UNATTRIBUTED: Final = ""  # a position that no strategy asked for


class Values:
    """Account-currency values of one unit of each instrument, by the rule of `common.money.Conversion`, in floats."""

    def __init__(self, instruments: Mapping[str, Instrument], account_currency: str) -> None:
        account = DOLLARS | {account_currency} if account_currency == "USD" else {account_currency}
        count = len(instruments)
        route: dict[str, int] = {}
        for row, instrument in enumerate(instruments.values()):
            if instrument.quote in account:
                route.setdefault(instrument.base, row)
            elif instrument.base in account:
                route.setdefault(instrument.quote, count + row)
        one, unknown = 2 * count, 2 * count + 1
        self._rates = np.full(2 * count + 2, nan)  # prices, their inverses, one, unknown
        self._rates[one] = 1.0
        self._quotes = np.array(
            [one if each.quote in account else route.get(each.quote, unknown) for each in instruments.values()],
            dtype=np.intp,
        )

    def units(self, now: Floats) -> Floats:
        """NaN where a price is missing."""
        count = now.size
        self._rates[:count] = now
        np.divide(1.0, now, out=self._rates[count : 2 * count])
        values: Floats = now * self._rates[self._quotes]
        return values


class Quantities:
    """Positions as floats: each is converted once, when it changes."""

    def __init__(self, rows: Mapping[str, int]) -> None:
        self._rows = rows
        self._known: dict[str, Position] = {}
        self.held = np.zeros(len(rows))

    def update(self, positions: Mapping[str, Position]) -> bool:
        """Whether anything changed. `held` is a new array then."""
        changed, known = False, self._known
        for instrument_id, position in positions.items():
            if known.get(instrument_id) is not position:
                if not changed:
                    self.held, changed = self.held.copy(), True
                self.held[self._rows[instrument_id]] = float(position.signed_qty)
                known[instrument_id] = position
        return changed


def by_currency(instruments: Mapping[str, Instrument], weights: Mapping[str, float]) -> dict[str, float]:
    """Long the base, short the quote currency. A share is no currency and bought with money that then is in it: it counts in
    neither.
    """
    found: dict[str, float] = {}
    for instrument_id, weight in weights.items():
        instrument = instruments[instrument_id]
        if instrument.asset_class is not AssetClass.EQUITY:
            found[instrument.base] = found.get(instrument.base, 0.0) + weight
            found[instrument.quote] = found.get(instrument.quote, 0.0) - weight
    return found


def by_sector(
    instruments: Mapping[str, Instrument], weights: Mapping[str, float], sectors: Mapping[str, str]
) -> dict[str, float]:
    """`sectors` maps symbols; what it does not name counts under its asset class."""
    found: dict[str, float] = {}
    for instrument_id, weight in weights.items():
        instrument = instruments[instrument_id]
        sector = sectors.get(instrument.symbol, instrument.asset_class.value)
        found[sector] = found.get(sector, 0.0) + weight
    return found


def by_strategy(weights: Mapping[str, float], stakes: Mapping[str, Stake]) -> dict[str, float]:
    """What is held of an instrument, split as its strategies wanted it."""
    found: dict[str, float] = {}
    for instrument_id, weight in weights.items():
        stake = stakes.get(instrument_id)
        for strategy_id, share in (stake.shares if stake else {UNATTRIBUTED: 1.0}).items():
            found[strategy_id] = found.get(strategy_id, 0.0) + weight * share
    return found


def heat_held(held: Mapping[str, float], stakes: Mapping[str, Stake], equity: float) -> float | None:
    """Lost if every stop were hit, a fraction of equity: `held` in units. None where something is held that no strategy
    gave a stop.
    """
    total = 0.0
    for instrument_id, qty in held.items():
        stake = stakes.get(instrument_id)
        if stake is None:
            return None
        total += stake.unit_risk * abs(qty)
    return total / equity


def heat_wanted(stakes: Mapping[str, Stake], equity: float) -> float:
    """As `heat_held`, if everything the strategies want were held."""
    return sum(stake.risk for stake in stakes.values()) / equity


def concentration(weights: Mapping[str, float]) -> float | None:
    """Herfindahl index of absolute exposures: 1 is a single position, 1/n is n equal ones. None when flat."""
    gross = sum(map(abs, weights.values()))
    return sum((weight / gross) ** 2 for weight in weights.values()) if gross > 0 else None


def liquidity_days(
    held: Mapping[str, float], daily_volume: Mapping[str, float | None], participation: float
) -> float | None:
    """Until the least liquid position is sold at `participation` of its daily volume. None when flat, or a volume is unknown."""
    days = 0.0
    for instrument_id, qty in held.items():
        volume = daily_volume[instrument_id]
        if volume is None or volume <= 0:
            return None
        days = max(days, abs(qty) / (participation * volume))
    return days if held else None


def working_sides(working: Iterable[Working]) -> dict[str, tuple[float, float]]:
    """(buys >= 0, sells <= 0) of orders that can still trade, in units by instrument."""
    sides: dict[str, tuple[float, float]] = {}
    for order in working:
        buys, sells = sides.get(order.instrument_id, (0.0, 0.0))
        qty = float(order.signed_leaves_qty)
        sides[order.instrument_id] = (buys + qty, sells) if qty > 0 else (buys, sells + qty)
    return sides
