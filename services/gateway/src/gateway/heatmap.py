"""Hour of the day by instrument: how far prices moved, and how trades that began there ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from common.model.time import NS_PER_HOUR

HOURS: Final = 24
_ZERO: Final = Decimal(0)


class Outcome(NamedTuple):
    """A round trip, from flat to flat: the hour UTC in which it began, and whether it gained after commission."""

    instrument_id: str
    hour: int
    won: bool


class _Trip:
    """What is held in one instrument of one account. `began` is None while it began before the first fill we know."""

    __slots__ = ("began", "cash", "qty")

    def __init__(self, held: Decimal) -> None:
        self.qty, self.cash = held, _ZERO
        self.began: int | None = None


def outcomes(fills: Iterable[Mapping[str, Any]]) -> list[Outcome]:
    """Finished round trips in order of their ends, from fills in order (rows of queries.FILLS). A fill through zero ends one and
    begins the next. Trips that had begun before the first fill are left out: what they began at is not known.
    """
    open_trips: dict[tuple[str, str], _Trip] = {}
    found: list[Outcome] = []
    for fill in fills:
        key = (fill["account"], fill["instrument_id"])
        trip = open_trips.get(key) or open_trips.setdefault(key, _Trip(fill["held"]))
        _apply(trip, fill, found)
    return found


def _apply(trip: _Trip, fill: Mapping[str, Any], found: list[Outcome]) -> None:
    whole = fill["last_qty"] if fill["side"] == "BUY" else -fill["last_qty"]
    closing = _closing(trip.qty, whole)
    for qty in (closing, whole - closing):
        if not qty:
            continue
        if not trip.qty:
            trip.began, trip.cash = _hour(fill["ts_event"]), _ZERO
        trip.qty += qty
        trip.cash -= qty * fill["last_px"] + fill["commission"] * qty / whole
        if not trip.qty and trip.began is not None:
            found.append(Outcome(fill["instrument_id"], trip.began, trip.cash > 0))


def _closing(held: Decimal, signed_qty: Decimal) -> Decimal:
    """The part of a fill that only reduces what is held."""
    if held * signed_qty >= 0:
        return _ZERO
    return signed_qty if abs(signed_qty) <= abs(held) else -held


def _hour(ts: int) -> int:
    """A fill at the very end of an hour belongs to it, as a bar does."""
    return (ts - 1) // NS_PER_HOUR % HOURS


def cells(moves: Sequence[Mapping[str, Any]], ended: Iterable[Outcome]) -> list[dict[str, Any]]:
    """One for each instrument and hour of which anything is known, in that order; what is not known is None with a count of 0."""
    found = {(row["instrument_id"], row["hour"]): _cell(**row) for row in moves}
    for one in ended:
        cell = found.setdefault((one.instrument_id, one.hour), _cell(one.instrument_id, one.hour))
        cell["trades"] += 1
        cell["wins"] += one.won
    for cell in found.values():
        cell["win_rate"] = cell["wins"] / cell["trades"] if cell["trades"] else None
    return [cell for _, cell in sorted(found.items())]


def _cell(instrument_id: str, hour: int, hours: int = 0, mean_move_bps: float | None = None) -> dict[str, Any]:
    return {
        "instrument_id": instrument_id,
        "hour": hour,
        "hours": hours,
        "mean_move_bps": mean_move_bps,
        "trades": 0,
        "wins": 0,
        "win_rate": None,
    }
