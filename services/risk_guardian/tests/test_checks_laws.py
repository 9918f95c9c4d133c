"""Laws of the verdict on any single order, in any state: exits pass, unknown is no, and REDUCING opens nothing (RSK-02)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import OrderApproved, OrderDenied
from common.model.enums import OrderType, TradingState
from risk_guardian.limits import Session

SATURDAY = 1_483_790_400_000_000_000  # 2017-01-07 12:00 UTC
TIGHTEST: dict[str, Any] = {  # nothing new fits any of these
    "max_order_qty": 0.1,
    "max_order_notional": 1e-9,
    "max_position": 1e-9,
    "max_gross_exposure": 1e-9,
    "max_net_exposure": 1e-9,
    "max_leverage": 1e-9,
    "max_deployed": 1e-9,
    "max_currency": 1e-9,
    "max_strategy_type": 1e-9,
    "max_sector": 1e-9,
    "max_correlated": 1e-9,
    "max_var_95_1d": 1e-9,
    "max_es_95_1d": 1e-9,
    "max_stress_loss": 1e-9,
    "max_heat": 1e-9,
    "max_daily_loss": 1e-9,
    "max_drawdown": 1e-9,
    "max_volume_share": 1e-9,
    "notional_per_minute": 1e-9,
    "orders_per_minute": 1,
    "strategy_orders_per_minute": 1,
    "max_open_orders": 1,
    "max_repeats": 1,
    "duplicate_window_s": 1e6,
    "restricted": ("EUR-USD",),
    "session": Session.FX_WEEK,
    "require_var": True,
    "require_volume": True,
    "require_quote": True,
}
lots = st.integers(1, 50_000)
signs = st.sampled_from([1, -1])


def spoil(bench: Any) -> None:
    """A Saturday after a crash, with a broken clock, an old price and no equity."""
    state = bench.state
    state.day.opening = state.peak_equity = Decimal(10**6)
    state.ts, state.equity = SATURDAY, None
    state.flow.jump_ns = -1
    bench.judge.halt_scope(state, "", "", ts=state.ts, reason="test")


@pytest.mark.req("RSK-02")
@given(lots, lots, signs, st.sampled_from([TradingState.ACTIVE, TradingState.REDUCING]), st.data())
def test_getting_out_passes_whole_whatever_protects_against_new_risk(
    bench: Any, held: int, more: int, sign: int, trading: TradingState, data: Any
) -> None:
    made = bench(**TIGHTEST)
    made.hold(sign * (held + more))
    assert isinstance(made.one(-sign * more), OrderApproved), "it works, and counts"
    spoil(made)
    made.state.trading = trading
    if data.draw(st.booleans()):
        made.state.last_px.clear()
    said = made.one(-sign * data.draw(st.integers(1, held)), ref_px=Decimal(9))
    assert isinstance(said, OrderApproved)
    assert said.resized_from is None


@pytest.mark.req("RSK-02")
@given(lots, signs, st.sampled_from(OrderType))
def test_nothing_passes_the_tightest_limits(bench: Any, qty: int, sign: int, kind: OrderType) -> None:
    px = Decimal("1.1")
    said = bench(**TIGHTEST).one(sign * qty, order_type=kind, limit_px=px, stop_px=px)
    assert isinstance(said, OrderDenied)


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize(
    "limit", [name for name in TIGHTEST if not name.startswith(("require", "duplicate", "orders"))]
)
def test_every_limit_alone_stops_what_it_is_for(bench: Any, limit: str) -> None:
    """Each of the tightest limits denies some order that passes without it; none is dead."""
    extra = {"require_var": True} if limit.startswith(("max_var", "max_es", "max_stress", "max_heat")) else {}
    extra |= {"require_volume": True} if limit == "max_volume_share" else {}
    free, tight = bench(), bench(**{limit: TIGHTEST[limit]}, **extra)
    codes = []
    for made in (free, tight):
        made.hold(10_000, "GBP-USD.ECB")
        made.after = Alike()
        made.state.day.opening = made.state.peak_equity = Decimal(100_001)
        made.state.ts = SATURDAY
        made.state.last_px_ns = dict.fromkeys(made.state.last_px_ns, SATURDAY)
        codes.append([isinstance(made.one(1000 + number), OrderApproved) for number in range(2)])
    assert codes[0] == [True, True]
    assert not all(codes[1])


class Alike:
    """The pound moves like the euro; nothing else is known."""

    def correlated(self, instrument_id: str) -> tuple[str, ...]:
        return ("GBP-USD.ECB",)

    def unknown(self, *_: Any) -> None:
        return None

    var_95 = es_95 = worst_stress = stress_breach = heat = unknown
