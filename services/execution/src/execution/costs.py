"""What trading costs, in basis points of the order's notional; positive is worse (EXE-06).

Before: half the spread, the fee, the impact by the square-root law (Almgren, Thum, Hauptmann and Li 2005: `coefficient · σ ·
√(quantity / volume)`, both of one bar) and the risk of waiting. After: Perold's implementation shortfall against the
arrival price, which is slippage + fee exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import erf, erfc, exp, pi, sqrt
from typing import Annotated, Final

import msgspec

from common.messages.orders import Order, OrderCosted, OrderFilled
from common.model.enums import Algorithm
from common.model.money import ZERO
from common.model.time import NS_PER_DAY

TIER_DAYS: Final = 30
_BPS: Final = Decimal(10_000)


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Expected, in basis points. `spread_bps` is below 0 where waiting at the near side is expected to earn."""

    spread_bps: float = 0.0
    fee_bps: float = 0.0
    impact_bps: float = 0.0
    delay_bps: float = 0.0

    @property
    def expected_bps(self) -> float:
        return self.spread_bps + self.fee_bps + self.impact_bps + self.delay_bps


# --- fees --------------------------------------------------------------------------------------------


class Fees(msgspec.Struct, frozen=True):
    """What the venue takes of the notional of a fill, in basis points."""

    taker_bps: float
    maker_bps: float


class FeeTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the venue's table."""

    turnover: Annotated[float, msgspec.Meta(ge=0, description="reached from this 30-day turnover on, quote currency")]
    taker_bps: Annotated[float, msgspec.Meta(ge=0, le=1000, description="commission on fills that take liquidity")]
    maker_bps: Annotated[float, msgspec.Meta(ge=-100, le=1000, description="commission on fills that add liquidity")]


def fees_at(tiers: Sequence[FeeTier], turnover: float, otherwise: Fees) -> Fees:
    """Of the highest tier that `turnover` reaches, in any order of the table; `otherwise` below the first."""
    reached = [tier for tier in tiers if tier.turnover <= turnover]
    if not reached:
        return otherwise
    best = max(reached, key=lambda tier: tier.turnover)
    return Fees(best.taker_bps, best.maker_bps)


class Turnover(msgspec.Struct, kw_only=True):
    """Notional traded by UTC day, the last 30 of them."""

    days: dict[int, float] = msgspec.field(default_factory=dict)

    def add(self, ts: int, notional: float) -> None:
        """`ts` never falls."""
        day = ts // NS_PER_DAY
        self.days[day] = self.days.get(day, 0.0) + notional
        while (oldest := next(iter(self.days))) <= day - TIER_DAYS:
            del self.days[oldest]

    def as_of(self, ts: int) -> float:
        first = ts // NS_PER_DAY - TIER_DAYS + 1
        return sum(notional for day, notional in self.days.items() if day >= first)


# --- before ------------------------------------------------------------------------------------------


def impact_bps(coefficient: float, sigma_bps: float, qty: float, volume: float) -> float:
    """Of `qty` traded at once in a bar that moves `sigma_bps` and trades `volume`; 0 where the volume is not known (<= 0)."""
    return coefficient * sigma_bps * sqrt(qty / volume) if volume > 0 else 0.0


def reach_probability(distance_bps: float, sigma_bps: float) -> float:
    """That a price without drift goes `distance_bps` (>= 0) one way within the time in which it moves `sigma_bps`: the
    reflection principle, `2 Φ(-distance / σ)`.
    """
    if distance_bps <= 0:
        return 1.0
    return erfc(distance_bps / (sigma_bps * sqrt(2))) if sigma_bps > 0 else 0.0


def mean_wait(distance_bps: float, sigma_bps: float) -> float:
    """Share of the time allowed that an order waits on average for such a price: `∫ P(not reached by t) dt`, in [0, 1]."""
    if distance_bps <= 0:
        return 0.0
    if sigma_bps <= 0:
        return 1.0
    x = distance_bps / (sigma_bps * sqrt(2))
    return erf(x) + 2 * x / sqrt(pi) * exp(-x * x) - 2 * x * x * erfc(x)


def delay_bps(sigma_bps: float, risk_weight: float, urgency: float) -> float:
    """Price of the risk `sigma_bps` run by waiting; urgency 0 does not mind, 0.5 minds by `risk_weight`, 1 without end."""
    return risk_weight * urgency / (1 - urgency) * sigma_bps if urgency < 1 else float("inf")


# --- after -------------------------------------------------------------------------------------------


class Tally(msgspec.Struct, kw_only=True):
    """The sums of an order's fills, its children's included."""

    qty: Decimal = ZERO
    value: Decimal = ZERO
    commission: Decimal = ZERO
    maker_qty: Decimal = ZERO

    def add(self, fill: OrderFilled) -> None:
        self.qty += fill.last_qty
        self.value += fill.last_qty * fill.last_px
        self.commission += fill.commission
        self.maker_qty += fill.last_qty if fill.maker else ZERO


def costed(
    order: Order, tally: Tally, algorithm: Algorithm, expected_bps: float, started_ns: int, ts: int
) -> OrderCosted | None:
    """What the order cost; None when nothing of it filled. `started_ns` is its approval, `ts` its end. Commission is taken to
    be in the quote currency. An order without an arrival price has no slippage: its fills' average stands in for it.
    """
    if tally.qty <= 0:
        return None
    avg_px = tally.value / tally.qty
    arrival_px = order.ref_px if order.ref_px > 0 else avg_px
    notional = tally.qty * arrival_px
    slippage = (tally.value - notional) * order.side.sign
    return OrderCosted(
        ts_event=ts,
        client_order_id=order.client_order_id,
        account=order.account,
        strategy_id=order.strategy_id,
        instrument_id=order.instrument_id,
        algorithm=algorithm,
        filled_qty=tally.qty,
        avg_px=avg_px,
        arrival_px=arrival_px,
        slippage_bps=float(slippage / notional * _BPS),
        fee_bps=float(tally.commission / notional * _BPS),
        total_bps=float((slippage + tally.commission) / notional * _BPS),
        expected_bps=expected_bps,
        maker_share=float(tally.maker_qty / tally.qty),
        duration_ns=ts - started_ns,
    )
