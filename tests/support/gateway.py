"""Recorder and gateway on real servers, and somebody who speaks for all the other services."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec

from common import messages as m
from common.messages.base import Envelope, Message
from common.messages.orders import Order
from common.runtime import codec
from common.runtime.embedded import Endpoints
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.testing.builders import T0, a
from common.testing.service_process import ServiceProcess

Said = tuple[int, Envelope]


class Stage:
    """Recorder and gateway, and somebody who speaks for all the other services."""

    def __init__(self, endpoints: Endpoints, home: Path, dsn_file: str = "") -> None:
        self.endpoints, self.home = endpoints, home
        self.recorder = ServiceProcess("recorder", endpoints, home, dsn_file=dsn_file)
        self.gateway = ServiceProcess("gateway", endpoints, home, dsn_file=dsn_file)
        self.url = f"http://127.0.0.1:{self.gateway.port}"

    @property
    def password(self) -> str:
        return (self.home / "secrets" / "gateway_password").read_text()

    def client(self, **more: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, auth=("admin", self.password), timeout=20, **more)

    async def say(self, user: str, message: Message, cause: Said | None = None) -> Said:
        tape = await NatsTape.connect(self.endpoints.login(user))
        said = envelope(user, message, f"{user}:{time.time_ns()}", cause=(cause[0], 0, cause[1]) if cause else None)
        seq = await (await tape.append(subject(message), said))
        await tape.close()
        return seq, said

    async def last(self, kind: type[Message]) -> tuple[int, Message]:
        """The newest message of a kind on the tape."""
        tape = await NatsTape.connect(self.endpoints.login("operator"))
        record = await tape.last([f"{kind.TYPE}.>"])
        await tape.close()
        assert record is not None
        return record.seq, codec.decode(codec.decode_envelope(record.payload))

    async def until(self, path: str, fits: Any) -> Any:
        """What `path` answers, once that fits: the recorder needs a moment."""
        async with self.client() as client, asyncio.timeout(20):
            while not fits(body := (await client.get(path)).json()):  # noqa: ASYNC110 it happens in another process
                await asyncio.sleep(0.02)
            return body

    async def order(self, order_id: str) -> None:
        """One order from its tick to its fill, as the services would have said it."""
        ts, order = T0 + 7, msgspec.structs.replace(a(Order), client_order_id=order_id)
        opinion = a(m.SignalsStep).signals[0]
        earlier = await self.say("market_data", a(m.MarketSlice, step=6, ts_event=T0, quotes=()))
        await self.say(
            "regime",
            a(m.RegimeStep, step=6, readings=(msgspec.structs.replace(a(m.RegimeStep).readings[0], timeframe="1d"),)),
            earlier,
        )
        await self.say("signals", a(m.SignalsStep, step=6, signals=(opinion,)), earlier)
        tick = await self.say("market_data", a(m.MarketSlice, ts_event=ts, quotes=()), None)
        await self.say("regime", a(m.RegimeStep, ts_event=ts, readings=()), tick)
        proposed = await self.say("portfolio", a(m.PortfolioStep, ts_event=ts, orders=(order,)), tick)
        await self.say(
            "risk_guardian", a(m.OrderApproved, ts_event=ts, order=order, rule="", resized_from=None), proposed
        )
        told = await self.say("execution", a(m.IntentRecorded, ts_event=ts, client_order_id=order_id))
        await self.say("execution", a(m.OrderSubmitted, ts_event=ts, order=order), told)
        await self.say("execution", a(m.OrderAccepted, ts_event=ts, client_order_id=order_id), told)
        following = await self.say("market_data", a(m.MarketSlice, step=8, ts_event=ts + 1, quotes=()))
        await self.say(
            "execution",
            a(m.OrderFilled, ts_event=ts + 1, client_order_id=order_id, strategy_id="explained", leaves_qty=Decimal(0)),
            following,
        )
        await self.until(f"/api/v1/orders/{order_id}", lambda body: body.get("state") == "FILLED")


@contextmanager
def staged(servers: Endpoints, schema: str) -> Iterator[Stage]:
    """On the shared servers, in a schema of its own; a run has begun."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="ballast-gateway-"))
        stack.callback(shutil.rmtree, home)
        secret = home / "dsn"
        secret.write_text(asyncio.run(_schema(servers.postgres_dsn_with_password(), schema)))
        stage = Stage(servers, home, str(secret))
        stack.enter_context(stage.recorder)
        stack.enter_context(stage.gateway)
        asyncio.run(stage.say("market_data", a(m.RunStarted)))
        asyncio.run(stage.say("market_data", a(m.InstrumentsDefined)))
        asyncio.run(stage.until("/api/v1/status", lambda body: body.get("run")))
        yield stage


async def _schema(dsn: str, name: str) -> str:
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
    await connection.close()
    return f"{dsn}?search_path={name}"


def assert_problem(answer: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert "Traceback" not in answer.text
    for word in words:
        assert word in body["detail"]
    return body
