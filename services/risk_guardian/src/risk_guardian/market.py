"""Volatilities and correlations of the market, from the history's daily returns; computed once a day, when first asked for."""

from __future__ import annotations

from functools import cached_property
from math import isnan
from typing import Final

import numpy as np
from numpy.typing import NDArray

from risk_guardian.history import History

Floats = NDArray[np.float64]
INSTRUMENTS_OF_A_MARKET: Final = 3  # one pair that moves together is a pair, not a crisis


class Market:
    """A view on `history` at one version of its returns. Arrays are float64[instruments], NaN where the history is too short."""

    def __init__(
        self, history: History, *, short: int, normal: int, minimum: int, correlation_window: int, threshold: float
    ) -> None:
        self.history = history
        self.version = history.version
        self.short, self._normal, self._minimum = short, normal, minimum
        self._window, self._threshold = correlation_window, threshold
        self._rows: NDArray[np.intp] | None = None
        self._of_rows: float | None = None
        self._alike: dict[int, NDArray[np.intp]] = {}
        self._counts = np.array(history.counts)

    # --- volatility --------------------------------------------------------------------------------------------------

    @cached_property
    def current(self) -> Floats:
        """Daily deviation (root mean square) of the newest `short` returns, as a fraction."""
        known = self._counts >= self.short
        return np.where(known, _rms(self.history.returns[:, -self.short :]), np.nan)

    @cached_property
    def normal(self) -> Floats:
        """The same of up to `normal` returns before those: what is current must not hide in what it is compared with."""
        before = self._counts - self.short
        older = self.history.returns[:, : -self.short][:, -self._normal :]
        squares = np.add.reduce(older * older, axis=1)  # before an instrument's first close there are zeros
        size = np.minimum(before, self._normal)
        known = (before >= self._minimum) & (squares > 0)
        return np.where(known, np.sqrt(squares / np.maximum(size, 1)), np.nan)

    @cached_property
    def comparable(self) -> Floats:
        """`normal` where there is also a current one."""
        return np.where(np.isnan(self.current), np.nan, self.normal)

    @cached_property
    def sigma(self) -> Floats:
        """The larger of current and normal."""
        return np.fmax(self.current, self.normal)

    def ratios(self) -> Floats:
        """Current over normal volatility. The day under way counts as soon as its move so far makes it worse."""
        moved = self.history.now / self.closes - 1.0
        current = np.sqrt(np.fmax(self.short_squares, self.squares_but_oldest + moved * moved) / self.short)
        ratios: Floats = current / self.comparable  # which is NaN where there is no current one
        return ratios

    def ratio(self, weights: Floats | None) -> float | None:
        """Mean of the ratios, by absolute weight; of all instruments alike without weights. None where none is defined."""
        ratios = self.ratios()
        known = ~np.isnan(ratios)
        size = known.astype(np.float64) if weights is None else np.abs(weights) * known
        total = float(np.add.reduce(size))
        if not total > 0:
            return None
        return float(np.add.reduce(np.where(known, ratios, 0.0) * size)) / total

    @cached_property
    def closes(self) -> Floats:
        return np.array(self.history.closes)

    @cached_property
    def short_squares(self) -> Floats:
        newest = self.history.returns[:, -self.short :]
        squares: Floats = np.add.reduce(newest * newest, axis=1)
        return squares

    @cached_property
    def squares_but_oldest(self) -> Floats:
        newest = self.history.returns[:, -self.short + 1 :]
        squares: Floats = np.add.reduce(newest * newest, axis=1)
        return squares

    # --- correlation -------------------------------------------------------------------------------------------------

    @cached_property
    def correlations(self) -> Floats:
        """float64[instruments, instruments]: absolute correlation of daily returns over the correlation window; NaN on the
        diagonal and where the history is too short or does not move.
        """
        newest = self.history.returns[:, -self._window :]
        centered = newest - (np.add.reduce(newest, axis=1) / newest.shape[1])[:, None]
        length = np.sqrt(np.add.reduce(centered * centered, axis=1))
        length[(self._counts < self._window) | (length == 0)] = np.nan
        unit = centered / length[:, None]
        found: Floats = np.abs(np.add.reduce(unit[:, None, :] * unit[None, :, :], axis=2))
        np.fill_diagonal(found, np.nan)
        return found

    @cached_property
    def mean_correlation(self) -> float | None:
        """Of all pairs of the market. None with fewer than three instruments that have a correlation."""
        return _mean_of_pairs(self.correlations)

    def correlation_of(self, rows: NDArray[np.intp]) -> float | None:
        """The higher of the market's mean and that of the pairs held. `rows` is remembered by identity: it is a new array
        when other instruments are held.
        """
        if self._rows is not rows:
            held = _mean_of_pairs(self.correlations[np.ix_(rows, rows)])
            found = [each for each in (held, self.mean_correlation) if each is not None]
            self._rows, self._of_rows = rows, max(found, default=None)
        return self._of_rows

    def correlated(self, row: int) -> NDArray[np.intp]:
        """Rows that correlate more than the threshold with `row`, whichever way: a short in one is a long in the other."""
        if row not in self._alike:
            with np.errstate(invalid="ignore"):
                self._alike[row] = np.flatnonzero(self.correlations[row] > self._threshold)
        return self._alike[row]


def _rms(values: Floats) -> Floats:
    found: Floats = np.sqrt(np.add.reduce(values * values, axis=1) / values.shape[1])
    return found


def _mean_of_pairs(correlations: Floats) -> float | None:
    known = ~np.isnan(correlations)
    if np.count_nonzero(known.any(axis=1)) < INSTRUMENTS_OF_A_MARKET:
        return None
    mean = float(np.add.reduce(np.where(known, correlations, 0.0), axis=None)) / int(np.count_nonzero(known))
    return None if isnan(mean) else mean
