"""The book as it would be after an order: what the pre-trade checks on VaR, ES and stress ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import isnan
from typing import NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from common.quant.tail_risk import Tail
from risk_guardian.exposures import working_sides
from risk_guardian.history import History
from risk_guardian.market import Market
from risk_guardian.state import Working
from risk_guardian.stress import Stress

Floats = NDArray[np.float64]


class TailOf(Protocol):
    """VaR and ES of a book's daily returns at a level; None where they are undefined."""

    def __call__(self, returns: Floats, level: float, /) -> Tail | None: ...


class Book(NamedTuple):
    """`weights` float64[instruments] in fractions of equity; `returns` of each day of the window, of which the newest `days` are
    had by everything in the book.
    """

    weights: Floats
    returns: Floats
    days: int


class Standing(NamedTuple):
    """The book as it stands: `qty` in units, `fraction` of equity that one unit of each instrument is worth (NaN unpriced)."""

    qty: Floats
    fraction: Floats
    book: Book


class Move(NamedTuple):
    """A book with another weight in one row."""

    book: Book
    row: int
    weight: float


class After:
    """Asks about one order at a time, on top of positions and of all that works already. Two books are looked at, and the worse
    counts: nothing that works trades, and everything does that makes its position larger (in the order's own instrument: all of
    the order's side). A quantity of 0 asks about the book without a new order.
    Orders that are added to `working` meanwhile are noticed.
    """

    def __init__(
        self,
        history: History,
        market: Market,
        stress: Stress,
        tail: TailOf,
        *,
        standing: Standing,
        working: Mapping[str, Working],
        heat: float,
    ) -> None:
        self._history, self._market, self._stress, self._tail = history, market, stress, tail
        self._standing, self._heat = standing, heat
        self._qty, self._fraction = standing.qty, standing.fraction
        self._working, self._seen = working, -1
        self._sides: dict[str, tuple[float, float]] = {}
        self._ids = tuple(history.rows)
        self._books: tuple[Book, ...] = ()
        self._asked: tuple[str, Decimal] | None = None
        self._found: Tail | None = None
        self._stressed: tuple[str, Decimal] | None = None
        self._lost: Sequence[tuple[Floats, Floats]] = ()

    def var_95(self, instrument_id: str, signed_qty: Decimal) -> float | None:
        """For one day, a positive fraction of equity; None with too little history of anything that would be held."""
        tail = self._tail_after(instrument_id, signed_qty)
        return tail.var if tail else None

    def es_95(self, instrument_id: str, signed_qty: Decimal) -> float | None:
        """As `var_95`."""
        tail = self._tail_after(instrument_id, signed_qty)
        return tail.es if tail else None

    def worst_stress(self, instrument_id: str, signed_qty: Decimal) -> tuple[str, float] | None:
        """The scenario that would cost most, and its loss as a fraction of equity. None without scenarios or a price."""
        found = [self._stress.worst_of(losses) for _, losses in self._losses(instrument_id, signed_qty)]
        return max((each for each in found if each), key=lambda each: each[1], default=None)

    def stress_breach(self, instrument_id: str, signed_qty: Decimal) -> tuple[str, float, float] | None:
        """(scenario, loss, limit) where a scenario with a limit of its own would exceed it; None where none would."""
        if not self._stress.limited:
            return None
        found = (self._stress.breach_of(*each) for each in self._losses(instrument_id, signed_qty))
        return next((each for each in found if each), None)

    def correlated(self, instrument_id: str) -> Sequence[str]:
        """Instruments whose absolute correlation with this one is over `correlated_above`."""
        row = self._history.rows.get(instrument_id)
        return () if row is None else [self._ids[other] for other in self._market.correlated(row)]

    def heat(self) -> float | None:
        """Lost at the stops if all that strategies want were held, a fraction of equity. A single order has no stop of its own:
        the targets that made it are in here already.
        """
        return self._heat

    def _tail_after(self, instrument_id: str, signed_qty: Decimal) -> Tail | None:
        moves = self._moves(instrument_id, signed_qty)
        if self._asked != (instrument_id, signed_qty):
            self._asked, self._found = (instrument_id, signed_qty), self._worst(moves)
        return self._found

    def _losses(self, instrument_id: str, signed_qty: Decimal) -> Sequence[tuple[Floats, Floats]]:
        """Weights of each book with the order in it, and what they would lose in each scenario."""
        moves = self._moves(instrument_id, signed_qty)
        if self._stressed != (instrument_id, signed_qty):
            weights, sigma = [_weights(move) for move in moves], self._market.sigma
            self._lost = [(each, self._stress.of_positions(each, sigma)) for each in weights]
            self._stressed = instrument_id, signed_qty
        return self._lost

    def _worst(self, moves: Sequence[Move]) -> Tail | None:
        """The larger of each; None when one of the books has none, or there is no book."""
        var = es = 0.0
        for move in moves:
            days = self._days(move)
            tail = self._tail(self._returns(move)[-days:], 0.95) if days else None
            if tail is None:
                return None
            var, es = max(var, tail.var), max(es, tail.es)
        return Tail(var, es) if moves else None

    def _returns(self, move: Move) -> Floats:
        """One vector more than the book's own; nothing is summed again."""
        added = move.weight - float(move.book.weights[move.row])
        return move.book.returns + added * self._history.returns[move.row] if added else move.book.returns

    def _days(self, move: Move) -> int:
        if move.weight:
            return min(move.book.days, self._history.counts[move.row])
        left = move.book.weights[move.row] != 0.0
        return _days_of(self._history, np.flatnonzero(_weights(move))) if left else move.book.days

    def _moves(self, instrument_id: str, signed_qty: Decimal) -> tuple[Move, ...]:
        """The books with the order in them. Empty for an instrument without a price."""
        if len(self._working) != self._seen:
            self._seen, self._asked, self._stressed = len(self._working), None, None
            self._sides = working_sides(self._working.values())
            self._books = self._build()
        row = self._history.rows.get(instrument_id)
        if row is None or isnan(self._fraction[row]):
            return ()
        qty, held, fraction = float(signed_qty), float(self._qty[row]), float(self._fraction[row])
        quiet, *full = self._books
        moves = [Move(quiet, row, (held + qty) * fraction)]
        if full:
            buys, sells = self._sides.get(instrument_id, (0.0, 0.0))
            own = (held + (buys if qty > 0 else sells) + qty) * fraction
            moves.append(Move(full[0], row, own if qty else float(full[0].weights[row])))
        return tuple(moves)

    def _build(self) -> tuple[Book, ...]:
        quiet = self._standing.book
        return (quiet, self._worked()) if self._sides else (quiet,)

    def _worked(self) -> Book:
        """All that works has traded, where that makes a position larger. What does not differ is not summed again."""
        history, quiet, qty = self._history, self._standing.book, self._qty.copy()
        for instrument_id, (buys, sells) in self._sides.items():
            row = history.rows[instrument_id]
            qty[row] = max(qty[row] + buys, qty[row] + sells, key=abs)
        rows = np.flatnonzero(qty)
        weights = _weigh(qty, self._fraction, rows)
        changed = np.flatnonzero(weights != quiet.weights)
        added = (weights - quiet.weights)[changed, None]
        returns = quiet.returns + np.add.reduce(history.returns[changed] * added, axis=0)
        return Book(weights, returns, _days_of(history, rows))


def stand(history: History, qty: Floats, fraction: Floats) -> Standing:
    """The book of `qty` units, each worth `fraction` of the equity."""
    rows = np.flatnonzero(qty)
    weights = _weigh(qty, fraction, rows)
    if rows.size == 1:
        row = int(rows[0])
        returns = history.returns[row] * weights[row] + 0.0  # the sum of one, to the bit
    else:
        returns = np.add.reduce(history.returns[rows] * weights[rows, None], axis=0)
    return Standing(qty, fraction, Book(weights, returns, _days_of(history, rows)))


def _weigh(qty: Floats, fraction: Floats, rows: NDArray[np.intp]) -> Floats:
    weights = np.zeros(qty.size)
    weights[rows] = qty[rows] * fraction[rows]
    return weights


def _days_of(history: History, rows: NDArray[np.intp]) -> int:
    """All of the window for an empty book."""
    counts, held = history.counts, cast("list[int]", rows.tolist())
    window: int = history.returns.shape[1]
    return min((counts[row] for row in held), default=window)


def _weights(move: Move) -> Floats:
    weights = move.book.weights.copy()
    weights[move.row] = move.weight
    return weights
