"""The gateway on real servers: who gets in, what it says, and that stopping needs nothing but NATS."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import msgspec
import pytest
import websockets
from support.gateway import Stage, assert_problem, staged
from websockets.exceptions import ConnectionClosed, InvalidStatus

from common import messages as m
from common.messages.market_data import Bar
from common.messages.orders import Order
from common.runtime.embedded import EmbeddedServers, Endpoints
from common.runtime.nats_config import provision_at
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.testing.builders import EUR_USD, a

pytestmark = [pytest.mark.integration, pytest.mark.req("GTW-01")]

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def stage(servers: Endpoints) -> Iterator[Stage]:
    with staged(servers, "gateway_test") as stage:
        yield stage


@pytest.fixture
async def own(home: Path) -> AsyncIterator[tuple[Stage, EmbeddedServers]]:
    """On servers of its own, that may be killed."""
    servers = EmbeddedServers(home / "servers")
    endpoints = servers.start()
    await provision_at(endpoints.login("admin"))
    stage = Stage(endpoints, home)
    with stage.recorder, stage.gateway:
        yield stage, servers
    servers.stop()


# --- who gets in -----------------------------------------------------------------------------------------------------
async def test_nobody_gets_in_without_the_password(stage: Stage) -> None:
    async with httpx.AsyncClient(base_url=stage.url) as nobody:
        for path in ("status", "orders", "explain/x", "openapi.json", "nothing"):
            answer = await nobody.get(f"/api/v1/{path}")
            assert_problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Basic")
        for user, password in (("admin", "wrong"), ("root", stage.password), ("", ""), ("admin", stage.password + "x")):
            assert_problem(await nobody.get("/api/v1/status", auth=(user, password)), 401)
        for header in ("Basic", "Basic !!", "Bearer x", "Basic " + base64.b64encode(b"\xff").decode()):
            assert_problem(await nobody.get("/api/v1/status", headers={"Authorization": header}), 401)
        page = await nobody.get("/")
        assert (page.status_code, page.headers["location"]) == (303, "/login")
    assert (stage.home / "secrets" / "gateway_password").stat().st_mode & 0o777 == 0o600


async def test_a_login_link_works_once_and_gives_a_cookie_that_scripts_and_other_sites_cannot_use(stage: Stage) -> None:
    token = (stage.home / "secrets" / "gateway_token").read_text()
    async with httpx.AsyncClient(base_url=stage.url, follow_redirects=True) as browser:
        page = await browser.get(f"/?token={token}")
        assert page.status_code == 200
        assert "Stop trading" in page.text
        cookie = page.history[-1].headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert stage.password not in cookie
        assert (await browser.get("/api/v1/status")).status_code == 200
    async with httpx.AsyncClient(base_url=stage.url, follow_redirects=True) as other:
        assert "Log in" in (await other.get(f"/?token={token}")).text
        assert "Log in" in (await other.post("/login", data={"password": "wrong"})).text
        assert "Stop trading" in (await other.post("/login", data={"password": stage.password})).text


async def test_another_site_cannot_use_a_logged_in_browser(stage: Stage) -> None:
    async with stage.client() as client:
        for host in ("evil.example", f"evil.example:{stage.gateway.port}", "127.0.0.1.evil.example", ""):
            assert_problem(await client.get("/api/v1/status", headers={"Host": host}), 421)
        assert (
            await client.get("/api/v1/status", headers={"Host": f"localhost:{stage.gateway.port}"})
        ).status_code == 200
        body = b'{"reason": "drill"}'
        for origin in ("http://evil.example", "null", stage.url.replace("http", "https") + "1"):
            answer = await client.post("/api/v1/risk/halt", content=body, headers={**JSON, "Origin": origin})
            assert_problem(answer, 403, "another site")
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = await client.post("/api/v1/risk/halt", content=body, headers={"Content-Type": kind})
            assert_problem(answer, 415, "application/json")
        headers = (await client.get("/api/v1/status")).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.req("GTW-02")
async def test_the_stream_is_only_for_those_who_may_and_from_the_same_site(stage: Stage) -> None:
    url = stage.url.replace("http", "ws") + "/api/v1/stream"
    mine = {"Authorization": "Basic " + base64.b64encode(f"admin:{stage.password}".encode()).decode()}
    for headers in ({}, {**mine, "Origin": "http://evil.example"}, {**mine, "Host": "evil.example"}):
        with pytest.raises(InvalidStatus):
            await websockets.connect(url, additional_headers=headers)
    async with websockets.connect(url + "?topics=nonsense", additional_headers=mine) as socket:
        with pytest.raises(ConnectionClosed, match="unknown topic 'nonsense'"):
            await socket.recv()
    async with websockets.connect(url, additional_headers={**mine, "Origin": stage.url}) as socket:
        assert (await socket.ping()) is not None


# --- what it says ----------------------------------------------------------------------------------------------------
async def test_every_wrong_request_gets_a_problem_that_says_what_was_expected(stage: Stage) -> None:
    async with stage.client() as client:
        assert_problem(await client.get("/api/v1/nothing"), 404)
        assert_problem(await client.get("/api/v1/orders/none"), 404, "no order 'none'")
        assert_problem(await client.get("/api/v1/explain/none"), 404, "no order 'none'")
        assert_problem(await client.get("/api/v1/risk/halt"), 405)
        assert_problem(await client.get("/api/v1/orders?state=DONE"), 422, "DONE")
        assert_problem(await client.get("/api/v1/orders?limit=0"), 422, "query.limit", "greater than or equal to 1")
        assert_problem(await client.get("/api/v1/orders?before=99999999999999999999"), 422, "before")
        assert_problem(await client.get("/api/v1/orders?instrument_id=%00"), 422, "instrument_id")
        assert_problem(await client.get("/api/v1/orders/%00"), 422, "client_order_id")
        assert_problem(await client.get("/api/v1/regime/history?instrument_id=x&timeframe=3d"), 422, "timeframe")
        post = "/api/v1/risk/halt"
        assert_problem(await client.post(post, content=b"{", headers=JSON), 400)
        assert_problem(await client.post(post, content=b"[]", headers=JSON), 422)
        for body in ({}, {"reason": ""}, {"reason": "  "}, {"reason": "x", "flaten": True}, {"reason": 7}):
            assert_problem(await client.post(post, json=body), 422, "body")
        assert_problem(await client.post(post, json={"reason": "x", "flatten": "yes"}), 422, "flatten", "'yes'")
        assert_problem(await client.post(post, content=b" " * 70_000, headers=JSON), 413)


async def test_orders_come_in_pages_and_can_be_filtered(stage: Stage) -> None:
    order = a(Order)
    for place in range(5):
        named = msgspec.structs.replace(order, client_order_id=f"page-{place}", strategy_id="paging")
        await stage.say("risk_guardian", a(m.OrderDenied, order=named))
    query = "/api/v1/orders?strategy_id=paging"
    await stage.until(query, lambda body: len(body["items"]) == 5)
    async with stage.client() as client:
        first = (await client.get(f"{query}&limit=3")).json()
        second = (await client.get(f"{query}&limit=3&before={first['next']}")).json()
        ids = [one["client_order_id"] for one in first["items"] + second["items"]]
        assert ids == [f"page-{place}" for place in (4, 3, 2, 1, 0)]
        assert second["next"] is None
        denied = (await client.get("/api/v1/decisions?decision=DENIED&limit=1")).json()["items"][0]
        assert (denied["deny_code"], denied["deny_observed"], denied["deny_limit"]) == (
            "MAX_NOTIONAL",
            "1041.20",
            "1000",
        )
        assert (await client.get(f"{query}&state=FILLED")).json()["items"] == []


async def test_a_page_of_orders_ends_with_the_last_of_its_step(stage: Stage) -> None:
    """Else those of the same step that the page had no room for would be on none."""
    orders = tuple(msgspec.structs.replace(a(Order), client_order_id=f"tie-{n}", strategy_id="ties") for n in range(3))
    await stage.say("portfolio", a(m.PortfolioStep, orders=orders))
    query = "/api/v1/orders?strategy_id=ties"
    await stage.until(query, lambda body: len(body["items"]) == 3)
    async with stage.client() as client:
        page = (await client.get(f"{query}&limit=2")).json()
        assert len(page["items"]) == 3
        assert (await client.get(f"{query}&limit=2&before={page['next']}")).json()["items"] == []


async def test_the_book_is_shown_at_the_last_price(stage: Stage) -> None:
    await stage.say("market_data", a(m.MarketSlice, quotes=(), bars=(a(Bar, close=1.0512),)))
    await stage.say("execution", a(m.ExecutionStep))
    await stage.say("portfolio", a(m.PortfolioStep, orders=(), targets=()))
    await stage.say("regime", a(m.RegimeStep))
    await stage.say("signals", a(m.SignalsStep))
    await stage.say("risk_guardian", a(m.TradingStateChanged, state="ACTIVE", previous="HALTED"))
    (seq, _) = await stage.say("risk_guardian", a(m.RiskStep))
    book = await stage.until("/api/v1/portfolio", lambda body: int(body.get("as_of", {}).get("seq", 0)) >= seq)
    assert book["equity"] == "100012.50"
    assert book["currency"] == "USD"
    (position,) = [one for one in book["positions"] if one["instrument_id"] == EUR_USD]
    assert (Decimal(position["unrealized"]), position["quote"]) == (Decimal("10.0000"), "USD")
    async with stage.client() as client:
        risk = (await client.get("/api/v1/risk/portfolio")).json()
        assert (risk["drawdown"], risk["trading_state"]["state"]) == (0.00485, "ACTIVE")
        (regime,) = (await client.get(f"/api/v1/regime/current?instrument_id={EUR_USD}")).json()
        assert (regime["regime"], regime["adx"]) == ("TRENDING_UP", 31.0)
        history = (await client.get(f"/api/v1/regime/history?instrument_id={EUR_USD}&timeframe=1h")).json()["items"]
        assert history[0]["regime"] == "TRENDING_UP"
        (signal,) = (await client.get("/api/v1/strategies")).json()
        assert signal["direction"] == "LONG"
        assert (await client.get("/api/v1/portfolio/history")).json()["items"][-1]["equity"] == "100012.50"
        assert (await client.get("/api/v1/runs")).json()["items"][0]["profile"] == "fx"


@pytest.mark.req("PLT-10")
async def test_an_order_explains_itself_from_the_tick_to_the_fill(stage: Stage) -> None:
    await stage.order("why-1")
    async with stage.client() as client:
        answer = (await client.get("/api/v1/explain/why-1")).json()
        costs = (await client.get("/api/v1/execution/costs?strategy_id=explained")).json()["items"]
    stages = [(link["stage"], link["by"]) for link in answer["chain"]]
    assert stages == [
        ("tick", "market_data"),
        ("regime", "regime"),
        ("signal", "signals"),
        ("tick", "market_data"),
        ("target", "portfolio"),
        ("proposed", "portfolio"),
        ("decision", "risk_guardian"),
        ("order", "execution"),
        ("order", "execution"),
        ("order", "execution"),
        ("tick", "market_data"),
        ("fill", "execution"),
    ]
    signal, target, fill = answer["chain"][2], answer["chain"][4], answer["chain"][-1]
    assert signal["rule"] == "MA 20 crossed above MA 50"
    assert target["what"] == "hold 1000 instead of 0"
    assert target["inputs"]["target"]["contributions"][0]["volatility_adjustment"] == 0.9
    assert fill["what"] == "BUY 600 at 1.0413, 0 left"
    assert (costs[0]["fills"], costs[0]["commission"], costs[0]["slippage_bps"]) == (1, "0.02", 0.96)


async def test_silent_services_are_named(stage: Stage) -> None:
    body = await stage.until(
        "/api/v1/health/services",
        lambda body: {"recorder", "gateway"} <= {one["service"] for one in body["services"] if one["state"] == "ready"},
    )
    states = {one["service"]: one["state"] for one in body["services"]}
    assert states["risk_guardian"] == "silent"


@pytest.mark.req("GTW-02")
async def test_the_stream_conflates_prices_and_keeps_every_fill(stage: Stage) -> None:
    url = stage.url.replace("http", "ws") + "/api/v1/stream?topics=prices,trades"
    mine = {"Authorization": "Basic " + base64.b64encode(f"admin:{stage.password}".encode()).decode()}
    async with websockets.connect(url, additional_headers=mine) as socket:
        tapes = {user: await NatsTape.connect(stage.endpoints.login(user)) for user in ("market_data", "execution")}
        for step in range(1, 501):
            for user, message in (
                ("market_data", a(m.MarketSlice, step=step, quotes=(), bars=(a(Bar, close=float(step)),))),
                ("execution", a(m.OrderFilled, fill_id=f"stream-{step}", client_order_id="stream")),
            ):
                await tapes[user].append(subject(message), envelope(user, message, f"{time.time_ns()}", cause=None))
            if step % 50 == 0:
                await asyncio.sleep(0.05)
        prices, fills, skipped = [0.0], [], 0
        async with asyncio.timeout(20):
            while len(fills) + skipped < 500 or prices[-1] != 500.0:
                frame = msgspec.json.decode(await socket.recv())
                if frame["topic"] == "prices":
                    prices.append(frame["data"][EUR_USD])
                else:
                    fills += [one["fill_id"] for one in frame["data"]]
                    skipped += frame["skipped"]
        for tape in tapes.values():
            await tape.close()
    assert prices == sorted(prices)
    assert len(prices) < 60
    assert fills == sorted(fills, key=lambda name: int(name.removeprefix("stream-")))
    print(f"\n500 prices in {len(prices)} frames; {len(fills)} fills, {skipped} skipped")


# --- stopping --------------------------------------------------------------------------------------------------------
async def test_halt_and_resume_are_on_the_tape_with_author_and_reason(stage: Stage) -> None:
    async with stage.client() as client:
        started = time.perf_counter()
        answer = await client.post("/api/v1/risk/halt", json={"reason": "drill", "flatten": True})
        took = time.perf_counter() - started
        assert answer.status_code == 202, answer.text
        seq, halt = await stage.last(m.HaltTrading)
        assert (answer.json()["seq"], halt.author, halt.reason, halt.flatten) == (seq, "admin", "drill", True)
        answer = await client.post("/api/v1/risk/resume", json={"reason": "drill over"})
        seq, resume = await stage.last(m.ResumeTrading)
        assert (answer.json()["seq"], resume.author, resume.book) == (seq, "admin", "fx")
    print(f"\nhalt on the tape after {took * 1e3:.1f} ms")


@pytest.mark.req("RSK-09")
async def test_trading_can_be_stopped_with_redis_and_postgresql_dead(own: tuple[Stage, EmbeddedServers]) -> None:
    stage, servers = own
    async with stage.client() as client:
        body = assert_problem(await client.post("/api/v1/risk/halt", json={"reason": "too early"}), 503, "no run")
        assert body["waits_for"] == "data"
        await stage.say("market_data", a(m.RunStarted))
        await stage.until("/api/v1/runs", lambda body: body["items"])
        for name in ("redis", "postgres"):
            os.kill(servers.processes[name].pid, signal.SIGKILL)
            servers.processes[name].wait()
        assert assert_problem(await client.get("/api/v1/portfolio"), 503, "Redis")["waits_for"] == "redis"
        assert assert_problem(await client.get("/api/v1/orders"), 503, "PostgreSQL")["waits_for"] == "postgresql"
        assert (await client.post("/api/v1/risk/halt", json={"reason": "all else is dead"})).status_code == 202
        assert (await stage.last(m.HaltTrading))[1].reason == "all else is dead"
        os.kill(servers.processes["nats"].pid, signal.SIGKILL)
        assert_problem(await client.post("/api/v1/risk/halt", json={"reason": "nobody hears"}), 503)
        servers.stop()
        servers.start()
        async with asyncio.timeout(20):
            while (await client.post("/api/v1/risk/resume", json={"reason": "all is well"})).status_code != 202:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await stage.until("/api/v1/runs", lambda body: body.get("items"))
        await stage.until("/api/v1/portfolio", lambda body: "as_of" in body)
    assert stage.gateway.stop() == 0
