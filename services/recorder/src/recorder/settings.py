"""Section `[recorder]`."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may choose."""

    hot_days: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=3660,
            description=(
                "calendar days of data time that bars finer than an hour are kept; 0 keeps all. 12 hold 7 days of a market "
                "that closes at weekends"
            ),
        ),
    ] = 12
