"""The account that is traded."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section `[account]` of the configuration."""

    id: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]+$", description="name, part of subjects and order ids")] = (
        "paper"
    )
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3,5}$", description="equity, limits and risk are in it")] = (
        "USD"
    )
    starting_cash: Annotated[Decimal, msgspec.Meta(description="cash before the first trade, > 0")] = Decimal(100_000)

    def __post_init__(self) -> None:
        if not (self.starting_cash.is_finite() and self.starting_cash > 0):
            raise ValueError("Expected a finite amount > 0")
