"""Section `[execution]`: the paper venue, and how long to trust silence."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    taker_bps: Annotated[float, msgspec.Meta(ge=0, le=1000, description="commission on market and stop fills")] = 0.2
    maker_bps: Annotated[float, msgspec.Meta(ge=0, le=1000, description="commission on limit fills")] = 0.2
    latency_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000, description="order to venue, in data time")] = 50
    participation: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="largest share of a bar's volume one order may take; 0: no bound")
    ] = 0.0
    max_qty_per_bar: Annotated[
        float, msgspec.Meta(ge=0, description="largest quantity one order may fill in one bar; 0: no bound")
    ] = 0.0
    reject_rate: Annotated[float, msgspec.Meta(ge=0, le=1, description="share of orders the paper venue rejects")] = 0.0
    seed: Annotated[int, msgspec.Meta(ge=0, description="decides which orders are rejected")] = 1
    intent_timeout_s: Annotated[
        float, msgspec.Meta(gt=0, le=60, description="an intent not recorded by then fails, and the order with it")
    ] = 2.0
    guardian_timeout_s: Annotated[
        float, msgspec.Meta(gt=0, le=60, description="no new order when the guardian was silent for longer")
    ] = 2.0
    cancel_after_silence_s: Annotated[
        float, msgspec.Meta(gt=0, le=3600, description="working orders that add risk are canceled after such a silence")
    ] = 15.0

    @property
    def max_fill(self) -> Decimal | None:
        """`max_qty_per_bar` as a quantity; None for no bound."""
        return Decimal(str(self.max_qty_per_bar)) if self.max_qty_per_bar else None
