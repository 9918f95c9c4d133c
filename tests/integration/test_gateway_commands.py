"""What a person commands over HTTP, and what of guardian and execution can be read there, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
from support.gateway import Stage, assert_problem, staged

from common import messages as m
from common.messages.base import Message
from common.messages.risk import ScenarioResult
from common.model.enums import OrderType, Side
from common.model.time import NS_PER_HOUR
from common.runtime.embedded import Endpoints
from common.testing.builders import EUR_USD, T0, a

pytestmark = [pytest.mark.integration, pytest.mark.req("GTW-01")]

TICKET = {"instrument_id": EUR_USD, "side": "BUY", "qty": "1000", "ref_px": "1.04"}
COMMANDS: tuple[tuple[str, str, dict[str, Any] | None, type[Message], dict[str, Any]], ...] = (
    ("POST", "risk/halt", {"reason": "drill"}, m.HaltTrading, {"reason": "drill", "flatten": False}),
    ("POST", "risk/resume", {"reason": "over"}, m.ResumeTrading, {"reason": "over"}),
    (
        "POST",
        "risk/scope",
        {"strategy_id": "sma_cross", "instrument_id": EUR_USD, "halted": True, "reason": "review"},
        m.HaltScope,
        {"strategy_id": "sma_cross", "instrument_id": EUR_USD, "halted": True, "reason": "review"},
    ),
    ("POST", "risk/stress", None, m.RunStress, {}),
    ("POST", "alerts/drawdown-1/acknowledge", None, m.AcknowledgeAlert, {"alert_id": "drawdown-1"}),
    (
        "POST",
        "features/enable",
        {"service": "portfolio", "feature": "exits", "reason": "mended"},
        m.EnableFeature,
        {"service": "portfolio", "feature": "exits", "reason": "mended"},
    ),
    (
        "POST",
        "regime/override",
        {"instrument_id": "EUR-USD.ECB", "regime": "CRISIS", "hours": 2, "reason": "outage"},
        m.OverrideRegime,
        {
            "instrument_id": "EUR-USD.ECB",
            "regime": "CRISIS",
            "expires_ns": T0 + 5 + 2 * NS_PER_HOUR,
            "reason": "outage",
        },
    ),
    ("POST", "orders", TICKET, m.ProposeOrders, {}),
    ("DELETE", "orders/fx-1", None, m.CancelOrder, {"client_order_id": "fx-1", "reason": "canceled by hand"}),
    (
        "PATCH",
        "orders/fx-1",
        {"qty": "500", "limit_px": "1.05"},
        m.AmendOrder,
        {"client_order_id": "fx-1", "qty": Decimal(500), "limit_px": Decimal("1.05"), "stop_px": None},
    ),
)
IDS = [f"{method} {path}" for method, path, *_ in COMMANDS]


@pytest.fixture(scope="module")
def stage(servers: Endpoints) -> Iterator[Stage]:
    with staged(servers, "gateway_commands_test") as stage:
        yield stage


def url(path: str) -> str:
    return f"/api/v1/{path}"


def kind_of(method: str) -> dict[str, str]:
    """Whatever another site's form could send must say that it is JSON, also without a body; a DELETE need not."""
    return {} if method == "DELETE" else {"Content-Type": "application/json"}


# --- commands ------------------------------------------------------------------------------------------------------------
@pytest.mark.req("EXE-03", "RSK-09", "RSK-12")
@pytest.mark.parametrize(("method", "path", "body", "kind", "says"), COMMANDS, ids=IDS)
async def test_a_command_lands_on_the_tape_with_its_author(
    stage: Stage, method: str, path: str, body: Any, kind: type[Message], says: dict[str, Any]
) -> None:
    await stage.say("market_data", a(m.MarketSlice, ts_event=T0 + 5, quotes=()))
    await stage.until("/api/v1/status", lambda status: status.get("run"))
    async with stage.client() as client:
        answer = await client.request(method, url(path), json=body, headers=kind_of(method))
    assert answer.status_code == 202, answer.text
    seq, said = await stage.last(kind)
    assert answer.json()["seq"] == seq
    found = {name: getattr(said, name) for name in ("author", "book", *says)}
    assert found == {"author": "admin", "book": "fx", **says}


@pytest.mark.req("GTW-01", "PLT-10")
@pytest.mark.parametrize(("method", "path", "body"), [row[:3] for row in COMMANDS], ids=IDS)
async def test_without_a_login_nothing_is_commanded(stage: Stage, method: str, path: str, body: Any) -> None:
    kind = next(row[3] for row in COMMANDS if row[:2] == (method, path))
    before = await _last_seq(stage, kind)
    async with httpx.AsyncClient(base_url=stage.url) as nobody:
        assert_problem(await nobody.request(method, url(path), json=body, headers=kind_of(method)), 401)
        assert_problem(
            await nobody.request(
                method, url(path), json=body, headers=kind_of(method), auth=("viewer", stage.password)
            ),
            401,
        )
        evil = {**kind_of(method), "Origin": "http://evil.example"}
        mine = ("admin", stage.password)
        assert_problem(await nobody.request(method, url(path), json=body, auth=mine, headers=evil), 403)
    assert await _last_seq(stage, kind) == before


async def _last_seq(stage: Stage, kind: type[Message]) -> int:
    try:
        return (await stage.last(kind))[0]
    except AssertionError:
        return 0


@pytest.mark.req("EXE-03")
async def test_a_bracket_is_three_orders_whose_names_are_answered(stage: Stage) -> None:
    wanted = {
        **TICKET,
        "order_type": "LIMIT",
        "limit_px": "1.0405",
        "stop_loss_px": "1.02",
        "take_profit_px": "1.08",
        "post_only": True,
    }
    async with stage.client() as client:
        answers = [(await client.post(url("orders"), json=wanted)).json() for _ in range(2)]
    _, said = await stage.last(m.ProposeOrders)
    assert isinstance(said, m.ProposeOrders)
    entry, stop, target = said.orders
    assert answers[1]["client_order_ids"] == [each.client_order_id for each in said.orders]
    assert not set(answers[0]["client_order_ids"]) & set(answers[1]["client_order_ids"])
    assert (entry.order_type, entry.limit_px, entry.post_only) == (OrderType.LIMIT, Decimal("1.0405"), True)
    assert (entry.account, entry.strategy_id, entry.reduce_only) == ("paper", "manual", False)
    for leg in (stop, target):
        assert (leg.side, leg.qty, leg.reduce_only) == (Side.SELL, Decimal(1000), True)
        assert (leg.parent_id, leg.oco_group) == (entry.client_order_id, stop.oco_group)
    assert (stop.stop_px, target.limit_px) == (Decimal("1.02"), Decimal("1.08"))


BAD: tuple[tuple[str, str, Any, int, str], ...] = (
    ("POST", "risk/scope", {"halted": True, "reason": "x"}, 422, "strategy_id"),
    ("POST", "risk/scope", {"strategy_id": "s", "reason": "x"}, 422, "halted"),
    ("POST", "risk/scope", {"strategy_id": "a b", "halted": True, "reason": "x"}, 422, "strategy_id"),
    ("POST", "risk/scope", {"strategy_id": "s", "halted": True, "reason": " "}, 422, "reason"),
    ("POST", "features/enable", {"service": "", "feature": "exits", "reason": "x"}, 422, "service"),
    ("POST", "features/enable", {"service": "portfolio", "reason": "x"}, 422, "feature"),
    ("POST", "regime/override", {"regime": "GREEDY", "reason": "x"}, 422, "regime"),
    ("POST", "regime/override", {"reason": "x"}, 422, "regime"),
    ("POST", "regime/override", {"regime": "CRISIS", "hours": 0, "reason": "x"}, 422, "hours"),
    ("POST", "regime/override", {"regime": "CRISIS", "hours": "NaN", "reason": "x"}, 422, "hours"),
    ("POST", "regime/override", {"regime": "CRISIS", "reason": " "}, 422, "reason"),
    ("POST", "regime/override", {"regime": "CRISIS", "instrument_id": "a b", "reason": "x"}, 422, "instrument_id"),
    ("POST", "orders", {**TICKET, "qty": "0"}, 422, "qty"),
    ("POST", "orders", {**TICKET, "qty": "NaN"}, 422, "qty"),
    ("POST", "orders", {**TICKET, "qty": "1e999999"}, 422, "qty"),
    ("POST", "orders", {**TICKET, "side": "HOLD"}, 422, "side"),
    ("POST", "orders", {**TICKET, "order_type": "LIMIT"}, 422, "limit_px"),
    ("POST", "orders", {**TICKET, "limit_px": "1.03"}, 422, "limit_px"),
    ("POST", "orders", {**TICKET, "stop_loss_px": "1.05"}, 422, "stop_loss_px"),
    ("POST", "orders", {**TICKET, "account": "other"}, 422, "account"),
    ("POST", "orders", {**TICKET, "strategy_id": "risk_guardian"}, 422, "strategy_id"),
    ("POST", "orders", {name: value for name, value in TICKET.items() if name != "ref_px"}, 422, "ref_px"),
    ("PATCH", "orders/fx-1", {}, 422, "qty, limit_px or stop_px"),
    ("PATCH", "orders/fx-1", {"qty": "-1"}, 422, "qty"),
    ("PATCH", "orders/fx-1", {"side": "SELL"}, 422, "side"),
    ("PATCH", f"orders/{'x' * 201}", {"qty": "1"}, 422, "client_order_id"),
    ("DELETE", "orders/%00", None, 422, "client_order_id"),
    ("POST", "alerts/%00/acknowledge", None, 422, "alert_id"),
    ("POST", "risk/stress/now", None, 404, ""),
    ("PUT", "orders/fx-1", {"qty": "1"}, 405, ""),
)


@pytest.mark.parametrize(("method", "path", "body", "status", "named"), BAD)
async def test_a_wrong_body_is_a_problem_with_the_name_of_its_field_and_commands_nothing(
    stage: Stage, method: str, path: str, body: Any, status: int, named: str
) -> None:
    kinds = (
        m.OverrideRegime,
        m.HaltScope,
        m.EnableFeature,
        m.ProposeOrders,
        m.AmendOrder,
        m.CancelOrder,
        m.AcknowledgeAlert,
    )
    before = [await _last_seq(stage, kind) for kind in kinds]
    async with stage.client() as client:
        assert_problem(await client.request(method, url(path), json=body, headers=kind_of(method)), status, named)
    assert [await _last_seq(stage, kind) for kind in kinds] == before


# --- what the recorder keeps of them ----------------------------------------------------------------------------------------
@pytest.mark.req("RSK-03", "RSK-11")
async def test_measures_said_on_the_tape_are_served_newest_first(stage: Stage) -> None:
    for step in (1, 2, 3):
        seq, _ = await stage.say("risk_guardian", a(m.RiskMeasured, step=step))
    body = await stage.until(url("risk/measures"), lambda body: len(body["items"]) == 3)
    newest = body["items"][0]
    said = a(m.RiskMeasured)
    assert [each["step"] for each in body["items"]] == [3, 2, 1]
    assert newest["seq"] == seq
    for name in ("var", "es", "component_var", "marginal_var", "by_currency", "by_sector", "by_strategy"):
        assert newest[name] == getattr(said, name)
    assert (newest["heat"], newest["var_breaches"], newest["kupiec_p"]) == (0.0002, 3, 0.3)
    async with stage.client() as client:
        first = (await client.get(url("risk/measures?limit=2"))).json()
        second = (await client.get(url(f"risk/measures?limit=2&before={first['next']}"))).json()
    assert [each["step"] for each in first["items"] + second["items"]] == [3, 2, 1]
    assert second["next"] is None


@pytest.mark.req("RSK-10")
async def test_of_stress_tests_the_newest_is_served_worst_first(stage: Stage) -> None:
    def result(name: str, loss: float, limit: float | None = None) -> ScenarioResult:
        return ScenarioResult(
            scenario=name, loss=loss, by_instrument={EUR_USD: loss}, limit=limit, breached=limit is not None
        )

    await stage.say("risk_guardian", a(m.StressTested, results=(result("old", 0.9),)))
    await stage.say(
        "risk_guardian", a(m.StressTested, results=(result("mild", 0.01), result("bad", 0.2, 0.1)), asked_by="admin")
    )
    body = await stage.until(url("risk/stress"), lambda body: len(body["items"]) == 2)
    assert [(each["scenario"], each["loss"], each["limit"], each["breached"]) for each in body["items"]] == [
        ("bad", 0.2, 0.1, True),
        ("mild", 0.01, None, False),
    ]
    assert body["items"][0]["by_instrument"] == {EUR_USD: 0.2}
    assert body["items"][0]["asked_by"] == "admin"


@pytest.mark.req("EXE-01")
async def test_the_ledger_of_breaks_shows_openings_and_closings(stage: Stage) -> None:
    opened = a(m.ReconciliationBreak, open=True)
    await stage.say("execution", opened)
    await stage.say("execution", msgspec.structs.replace(opened, open=False, action="agrees again"))
    body = await stage.until(url("reconciliation"), lambda body: len(body["items"]) == 2)
    closing, opening = body["items"]
    assert [closing["open"], opening["open"]] == [False, True]
    assert closing["action"] == "agrees again"
    for name in ("break_id", "kind", "instrument_id"):
        assert opening[name] == closing[name] == getattr(opened, name)
    assert (Decimal(opening["ours"]), Decimal(opening["venue"])) == (opened.ours, opened.venue)


@pytest.mark.req("EXE-05", "EXE-06")
async def test_what_an_order_cost_stands_beside_its_plan_and_without_one_alone(stage: Stage) -> None:
    for plan in (a(m.ExecutionPlanned, naive_bps=9.0), a(m.ExecutionPlanned, naive_bps=3.5, reason="newer")):
        await stage.say("execution", plan)
    await stage.say("execution", a(m.OrderCosted))
    await stage.say("execution", a(m.OrderCosted, client_order_id="unplanned", instrument_id="USD-JPY.ECB"))
    body = await stage.until(url("execution/orders"), lambda body: len(body["items"]) == 2)
    alone, planned = body["items"]
    said = a(m.OrderCosted)
    assert (alone["client_order_id"], alone["naive_bps"], alone["reason"]) == ("unplanned", None, None)
    assert (planned["naive_bps"], planned["reason"]) == (3.5, "newer")
    assert (planned["slippage_bps"], planned["total_bps"]) == (said.slippage_bps, said.total_bps)
    assert Decimal(planned["filled_qty"]) == said.filled_qty
    async with stage.client() as client:
        one = (await client.get(url("execution/orders?instrument_id=USD-JPY.ECB"))).json()["items"]
    assert [each["client_order_id"] for each in one] == ["unplanned"]


@pytest.mark.req("RSK-12")
async def test_an_alert_and_who_takes_care_of_it_are_in_the_list(stage: Stage) -> None:
    await stage.say("risk_guardian", a(m.AlertRaised, alert_id="vol-1", summary="volatility doubled"))
    await stage.say("risk_guardian", a(m.AlertAcknowledged, alert_id="vol-1", author="ann"))
    body = await stage.until(url("alerts"), lambda body: "ann takes care of vol-1" in str(body["items"]))
    (raised,) = [each for each in body["items"] if each["title"] == "volatility doubled"]
    assert "docs/runbooks/" in raised["detail"]


@pytest.mark.parametrize("path", ["risk/measures", "reconciliation", "execution/orders"])
async def test_a_wrong_page_is_a_problem_and_nobody_reads_without_a_login(stage: Stage, path: str) -> None:
    async with stage.client() as client:
        assert_problem(await client.get(url(f"{path}?limit=0")), 422, "limit")
        assert_problem(await client.get(url(f"{path}?before=x")), 422, "before")
    async with httpx.AsyncClient(base_url=stage.url) as nobody:
        for each in (path, "risk/stress"):
            assert_problem(await nobody.get(url(each)), 401)
