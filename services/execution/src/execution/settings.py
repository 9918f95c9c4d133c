"""Section `[execution]`: the venue, how long to trust silence, and what to do when the venue's book is not ours."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from execution.algorithms import AlgorithmSettings
from execution.costs import Fees, FeeTier
from execution.financing import FinancingSettings
from execution.venue_settings import PAPER, VenueSettings

Meta = msgspec.Meta


class RetrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section `[execution.retry]`."""

    base_s: Annotated[float, Meta(gt=0, le=60, description="wait after the first failure; doubles with each")] = 0.2
    cap_s: Annotated[float, Meta(gt=0, le=600, description="longest wait")] = 10.0
    max_attempts: Annotated[
        int, Meta(ge=1, le=100, description="failures in a row after which an order that adds risk is denied")
    ] = 6
    not_found_confirmations: Annotated[
        int, Meta(ge=1, le=10, description="times a venue must say it has not got an order before it is sent again")
    ] = 2
    not_found_spacing_s: Annotated[float, Meta(gt=0, le=60, description="wait between two such questions")] = 0.5


class ReconciliationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section `[execution.reconciliation]`; the paper venue needs none."""

    every_s: Annotated[float, Meta(ge=1, le=86_400, description="from one comparison to the next, in data time")] = 60.0
    confirm_s: Annotated[float, Meta(ge=0, le=600, description="wait before a difference is looked at again")] = 2.0
    unknown_orders: Annotated[
        Literal["cancel", "adopt"], Meta(description="what becomes of orders at the venue that are not ours")
    ] = "cancel"
    adopt_positions: Annotated[
        bool, Meta(description="take over the venue's positions and cash instead of waiting for a person")
    ] = False
    compare_cash: Annotated[bool, Meta(description="false where the venue's cash is not this account's alone")] = True
    cash_tolerance: Annotated[float, Meta(ge=0, description="difference in cash that is none, per currency")] = 0.01


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    venue: Annotated[str, Meta(description="where orders go: paper, or a venue outside")] = PAPER
    taker_bps: Annotated[float, Meta(ge=0, le=1000, description="commission on market and stop fills")] = 0.2
    maker_bps: Annotated[float, Meta(ge=0, le=1000, description="commission on limit fills")] = 0.2
    fee_tiers: Annotated[
        tuple[FeeTier, ...], Meta(description="commissions by 30-day turnover; below the first: as above")
    ] = ()
    impact: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="paper venue: factor of the square-root law of market impact, for shares and coins whose volume is"
            " known; 0: none",
        ),
    ] = 1.0
    slippage_bps: Annotated[
        float,
        Meta(ge=0, le=1000, description="paper venue: paid on fills that take liquidity, beyond spread and impact"),
    ] = 0.0
    latency_ms: Annotated[int, Meta(ge=0, le=60_000, description="order to venue, in data time")] = 50
    participation: Annotated[
        float, Meta(ge=0, le=1, description="largest share of a bar's volume one order may take; 0: no bound")
    ] = 0.0
    max_qty_per_bar: Annotated[
        float, Meta(ge=0, description="largest quantity one order may fill in one bar; 0: no bound")
    ] = 0.0
    reject_rate: Annotated[float, Meta(ge=0, le=1, description="share of orders the paper venue rejects")] = 0.0
    seed: Annotated[int, Meta(ge=0, description="decides which orders are rejected")] = 1
    report_costs: Annotated[bool, Meta(description="say of every order that has filled what it cost")] = True
    intent_timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="an intent not recorded by then fails, and the order with it")
    ] = 2.0
    guardian_timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="no new order when the guardian was silent for longer")
    ] = 2.0
    cancel_after_silence_s: Annotated[
        float, Meta(gt=0, le=3600, description="working orders that add risk are canceled after such a silence")
    ] = 15.0
    retry: RetrySettings = RetrySettings()
    reconciliation: ReconciliationSettings = ReconciliationSettings()
    algorithms: AlgorithmSettings = AlgorithmSettings()
    financing: FinancingSettings = FinancingSettings()
    connection: VenueSettings = VenueSettings()

    @property
    def max_fill(self) -> Decimal | None:
        """`max_qty_per_bar` as a quantity; None for no bound."""
        return Decimal(str(self.max_qty_per_bar)) if self.max_qty_per_bar else None

    @property
    def fees(self) -> Fees:
        """Below the first tier."""
        return Fees(self.taker_bps, self.maker_bps)
