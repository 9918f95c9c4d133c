"""Whose profit it was: the book's profit in an instrument, shared by the contributions that made its position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from common.messages.portfolio import Contribution

Key = tuple[str, str]  # strategy, timeframe
NOBODY: Final[Key] = ("(not attributed)", "-")


class Share:
    """One instrument's position between two fills, and who wanted how much of it.

    A strategy earns on the quantity it contributed, as far as that was held: where the guardian allowed less, everybody's
    share is cut alike. What is held beyond or against the contributions belongs to nobody.
    """

    __slots__ = ("mark", "qty", "waiting", "wanted")

    def __init__(self) -> None:
        self.qty = self.mark = 0.0
        self.wanted: Mapping[Key, float] = {}
        self.waiting: Mapping[Key, float] | None = None

    def aim(self, contributions: Sequence[Contribution], *, reached: bool, px: float, rate: float) -> dict[Key, float]:
        """A new target; it counts from the fill that leads there, or at once where it is `reached` already. Gives what was
        earned before it counts.
        """
        wanted: dict[Key, float] = {}
        for one in contributions:
            key = (one.strategy_id, str(one.timeframe))
            wanted[key] = wanted.get(key, 0.0) + float(one.signed_qty)
        if not reached:
            self.waiting = wanted
            return {}
        earned = self.earn(px, rate)
        self.wanted, self.waiting = wanted, None
        return earned

    def fill(self, signed_qty: float, px: float, rate: float) -> dict[Key, float]:
        """What was earned up to the fill's price, by whom; from here on the position is another."""
        earned = self.earn(px, rate)
        self.qty += signed_qty
        self.mark = px
        if self.waiting is not None:
            self.wanted, self.waiting = self.waiting, None
        return earned

    def earn(self, px: float, rate: float) -> dict[Key, float]:
        """Profit since the last mark in the account currency, before commission."""
        moved, self.mark = (px - self.mark) * rate, px
        if not self.qty or not moved:
            return {}
        total = sum(self.wanted.values())
        scale = min(1.0, max(0.0, self.qty / total)) if total else 0.0
        earned = {key: qty * scale * moved for key, qty in self.wanted.items()} if scale else {}
        rest = (self.qty - total * scale) * moved
        return {**earned, NOBODY: rest} if abs(rest) > 1e-9 else earned
