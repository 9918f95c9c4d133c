"""Orders decided by other code than ours add no risk (docs/adr/0013)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts import DECIDING
from common.messages import CancelOrder, IntentRecorded, OrderCanceled, OrderDenied, OrderFilled, ServiceStarted
from common.model.account import Account
from common.model.enums import DenyCode
from common.testing.builders import a
from execution.core import Execution
from execution.settings import Settings

CHAIN = [name for name in DECIDING if name != "execution"]
PARTS = ("build", "contracts")
pytestmark = pytest.mark.req("RSK-01", "PLT-02")


def started(service: str, **changes: str) -> ServiceStarted:
    return a(ServiceStarted, **{"service": service, "build": "1.0", "contracts": "abc", **changes})


def introduced(desk: Any, *services: str, held: int = 0, **settings: Any) -> Any:
    """A desk that may hold a position from before; then everybody named says what he is, all alike."""
    made = desk(**settings)
    if held:
        made.approve(held, client_order_id="in", reduce_only=False)
        made.trade(1.1)
    for service in services:
        made.hear(started(service))
    return made


def denials(said: Any) -> list[OrderDenied]:
    return [message for message in said if isinstance(message, OrderDenied)]


def test_where_nobody_says_what_he_is_nobody_is_refused(desk: Any, told: Any) -> None:
    assert told(introduced(desk).approve(100, reduce_only=False)) == ["submitted", "accepted"]


def test_where_all_are_alike_nobody_is_refused(desk: Any, told: Any) -> None:
    assert told(introduced(desk, *DECIDING).approve(100, reduce_only=False)) == ["submitted", "accepted"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("service", CHAIN)
def test_one_of_other_code_anywhere_on_the_way_to_the_order_and_it_is_denied_with_both_versions(
    desk: Any, service: str, part: str
) -> None:
    made = introduced(desk, *DECIDING)
    made.hear(started(service, **{part: "odd"}))
    (denial,) = denials(made.approve(100, reduce_only=False))
    assert (denial.code, denial.by) == (DenyCode.VERSION_MISMATCH, "execution")
    theirs = {"build": "odd (contracts abc)", "contracts": "1.0 (contracts odd)"}[part]
    assert denial.detail == f"{service} is {theirs}; execution is 1.0 (contracts abc)"


def test_a_guardian_that_has_not_said_what_it_is_is_not_obeyed_once_we_have(desk: Any) -> None:
    made = introduced(desk, *(name for name in DECIDING if name != "risk_guardian"))
    (denial,) = denials(made.approve(100, reduce_only=False))
    assert denial.code is DenyCode.VERSION_MISMATCH
    assert denial.detail.startswith("risk_guardian has not said what it is; execution is 1.0")


def test_a_guardian_that_says_it_before_we_do_waits_for_us_to_compare(desk: Any, told: Any) -> None:
    made = introduced(desk, "risk_guardian")
    assert told(made.approve(100, client_order_id="before", reduce_only=False)) == ["submitted", "accepted"]
    made.hear(started("execution", build="2.0"))
    assert [one.code for one in denials(made.approve(100, client_order_id="after", reduce_only=False))] == [
        DenyCode.VERSION_MISMATCH
    ]


def test_it_ends_when_the_odd_one_is_started_anew_from_the_same_code(desk: Any, told: Any) -> None:
    made = introduced(desk, *DECIDING)
    made.hear(started("signals", build="odd"))
    assert denials(made.approve(100, client_order_id="one", reduce_only=False))
    made.hear(started("signals"))
    assert told(made.approve(100, client_order_id="two", reduce_only=False)) == ["submitted", "accepted"]


def test_a_service_that_decides_nothing_may_be_of_any_code(desk: Any, told: Any) -> None:
    made = introduced(desk, *DECIDING)
    made.hear(started("recorder", build="odd"))
    assert told(made.approve(100, reduce_only=False)) == ["submitted", "accepted"]
    assert "recorder" not in made.core.state.versions


def test_an_exit_passes_and_fills(desk: Any, only: Any) -> None:
    made = introduced(desk, *DECIDING, held=100)
    made.hear(started("risk_guardian", build="odd"))
    assert denials(made.approve(-100, client_order_id="out", reduce_only=True)) == []
    (fill,) = only(made.trade(1.1), OrderFilled)
    assert (fill.client_order_id, fill.last_qty) == ("out", Decimal(100))


def test_an_order_no_larger_than_the_position_that_does_not_say_so_is_denied(desk: Any) -> None:
    """Two of them together could flip it."""
    made = introduced(desk, *DECIDING, held=100)
    made.hear(started("risk_guardian", build="odd"))
    assert denials(made.approve(-100, client_order_id="out", reduce_only=False))


def test_what_works_already_can_be_canceled(desk: Any, only: Any) -> None:
    made = introduced(desk, *DECIDING)
    made.approve(100, client_order_id="works", reduce_only=False)
    made.hear(started("risk_guardian", build="odd"))
    said = made.hear(a(CancelOrder, client_order_id="works"))
    assert [one.client_order_id for one in only(said, OrderCanceled)] == ["works"]


def test_other_code_that_speaks_up_between_approval_and_intent_is_in_time(desk: Any, told: Any) -> None:
    made = introduced(desk, *DECIDING)
    assert told(made.approve(100, client_order_id="o", reduce_only=False, record=False)) == []
    made.hear(started("portfolio", contracts="odd"))
    (denial,) = denials(made.hear(a(IntentRecorded, client_order_id="o")))
    assert denial.code is DenyCode.VERSION_MISMATCH


announcements = st.builds(
    started, st.sampled_from(DECIDING), build=st.sampled_from(["1.0", "2.0"]), contracts=st.sampled_from(["a", "b"])
)


@given(heard=st.lists(announcements, max_size=12))
def test_new_risk_passes_only_when_whoever_has_spoken_is_as_we_are_and_the_guardian_has(
    desk: Any, heard: list[ServiceStarted]
) -> None:
    made = introduced(desk)
    for message in heard:
        made.hear(message)
    latest = {message.service: (message.build, message.contracts) for message in heard}
    alike = len(set(latest.values())) == 1 and "risk_guardian" in latest
    may = "execution" not in latest or alike
    assert bool(denials(made.approve(100, reduce_only=False))) is not may


@given(heard=st.lists(announcements, max_size=8), cut=st.integers(0, 8))
def test_a_snapshot_anywhere_and_a_replay_decide_the_same(desk: Any, heard: list[ServiceStarted], cut: int) -> None:
    whole, halved = introduced(desk), introduced(desk)
    for number, message in enumerate(heard):
        if number == cut:
            restored = Execution(Settings(taker_bps=0, maker_bps=0, report_costs=False), Account())
            restored.state = msgspec.msgpack.decode(
                msgspec.msgpack.encode(halved.core.state), type=type(whole.core.state)
            )
            halved.core = restored
        said = [made.hear(message) for made in (whole, halved)]
        said += [made.approve(100, client_order_id=f"o{number}", reduce_only=False) for made in (whole, halved)]
        assert said[0::2] == said[1::2]
