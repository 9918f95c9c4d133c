"""Execution's part in the holes that the strongest rival is known for (issue 3): it trusts no approval further than it must.

The guardian's part has the same name; that only its own reduce-only exits pass a halt is in `test_execution.py`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from common.messages import IntentRecorded, OrderDenied, TradingStateChanged
from common.model.enums import DenyCode, TradingState
from common.testing.builders import a
from execution.settings import Settings

qtys = st.integers(-300, 300).filter(bool)


def reducing(desk: Any, held: int = 0, **settings: Any) -> Any:
    made = desk(**settings)
    if held:
        made.approve(held, client_order_id="in", reduce_only=False)
        made.trade(1.1)
    made.hear(a(TradingStateChanged, state=TradingState.REDUCING))
    return made


@pytest.mark.req("RSK-01", "RSK-08")
@pytest.mark.parametrize("held", [0, 100, -100])
@pytest.mark.parametrize("signed_qty", [40, -40, 100, -100, 140, -140])
def test_while_reducing_what_does_not_say_that_it_reduces_is_denied(desk: Any, held: int, signed_qty: int) -> None:
    made = reducing(desk, held)
    (denied,) = made.approve(signed_qty, client_order_id="o", reduce_only=False)
    assert (denied.code, denied.observed, denied.limit) == (DenyCode.WOULD_INCREASE, signed_qty, -held)
    made.trade(1.1)
    assert made.held() == held


@pytest.mark.req("RSK-01", "RSK-08")
@given(st.integers(-200, 200), st.lists(st.tuples(qtys, st.booleans(), st.booleans()), max_size=6))
def test_while_reducing_no_orders_together_open_grow_or_flip_a_position(
    desk: Any, held: int, wanted: list[tuple[int, bool, bool]]
) -> None:
    """Whatever the guardian approved: several exits, resting or not, some recorded before it began and some never."""
    made = reducing(desk, held)
    for number, (qty, says_so, rests) in enumerate(wanted):
        made.approve(qty, client_order_id=f"o-{number}", reduce_only=says_so, **({"limit_px": 1.1} if rests else {}))
    before = made.held()
    for px in (1.2, 1.0, 1.1):
        made.trade(px)
        after = made.held()
        assert before * after >= 0
        assert abs(after) <= abs(before)
        before = after


@pytest.mark.req("RSK-01", "RSK-08")
def test_an_approval_on_its_way_when_reducing_begins_is_judged_again(desk: Any, told: Any) -> None:
    made = desk()
    made.approve(100, client_order_id="in", reduce_only=False)
    made.trade(1.1)
    for name in ("one", "two"):
        made.approve(-100, client_order_id=name, reduce_only=False, record=False)
    made.hear(a(TradingStateChanged, state=TradingState.REDUCING))
    for live in list(made.core.state.orders.values()):
        said = made.hear(a(IntentRecorded, client_order_id=live.order.client_order_id))
        assert told(said) == ["denied"]
    made.trade(1.1)
    assert made.held() == 100


@pytest.mark.req("RSK-01")
def test_another_accounts_order_is_not_traded(desk: Any) -> None:
    (denied,) = desk().approve(100, account="somebody")
    assert (type(denied), denied.code) == (OrderDenied, DenyCode.UNKNOWN_ACCOUNT)


@pytest.mark.req("RSK-01", "PLT-07")
def test_execution_has_no_switch_that_lets_orders_past_its_own_checks(desk: Any) -> None:
    switches = [
        field.encode_name for field in inspect.type_info(Settings).fields if isinstance(_bare(field), inspect.BoolType)
    ]
    for name in switches:
        for value in (True, False):
            made = reducing(desk, 100, **{name: value})
            assert made.approve(-140, client_order_id="o", reduce_only=False)[0].code is DenyCode.WOULD_INCREASE
            assert made.approve(-1, client_order_id="p", qty=Decimal(0))[0].code is DenyCode.QTY_INVALID
            made.hear(a(TradingStateChanged, state=TradingState.HALTED))
            assert made.approve(-1, client_order_id="q", reduce_only=True)[0].code is DenyCode.TRADING_HALTED


def _bare(field: inspect.Field) -> inspect.Type:
    return field.type.type if isinstance(field.type, inspect.Metadata) else field.type
