"""A guardian that was built differently decides, and execution does not follow it into new risk (RELIABILITY, target 5). Real
processes; the other build is another interpreter start-up, not a switch in ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

import asyncpg
import pytest

from common.contracts import pattern
from common.messages import (
    ExecutionStep,
    InstrumentsDefined,
    MarketSlice,
    OrderDenied,
    OrderFilled,
    OrderSubmitted,
    PortfolioStep,
    RiskStep,
    ServiceStarted,
)
from common.messages.base import Message
from common.messages.market_data import Bar
from common.messages.orders import Order
from common.model.enums import DenyCode, OrderType, Side, TimeInForce
from common.model.instrument import Instrument
from common.model.time import Timeframe
from common.runtime.codec import decode, decode_envelope
from common.runtime.embedded import Endpoints
from common.runtime.nats_config import ADMIN, begin_new_tape_at
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.runtime.tape import Record, read_all
from common.testing.builders import EUR_USD, T0, a
from common.testing.service_process import ServiceProcess
from common.version import BUILD
from recorder import schema

M = TypeVar("M", bound=Message)
OTHER: Final = "0.0.9"
OTHER_BUILD: Final = f"import common.version\ncommon.version.BUILD = {OTHER!r}\n"
_numbers = count()

pytestmark = [pytest.mark.req("RSK-01", "PLT-02"), pytest.mark.timeout(180)]


class Market:
    """Hours of one instrument, and the orders that a portfolio wants at their closes."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._step = 0
        asyncio.run(self._say("market_data", a(InstrumentsDefined, instruments=(a(Instrument, close_only=True),))))

    def order(self, name: str, side: Side, *, reduce_only: bool = False) -> None:
        """Wanted at the close of one more hour, which is over when this returns."""
        self._step += 1
        ts = T0 + self._step * Timeframe.H1.ns
        bar = a(Bar, instrument_id=EUR_USD, timeframe=Timeframe.H1, base=True)
        asyncio.run(self._say("market_data", MarketSlice(ts_event=ts, book="fx", step=self._step, bars=(bar,))))
        self.wait_for(ExecutionStep, self._step)
        wanted = _market_order(name, side, reduce_only=reduce_only)
        asyncio.run(
            self._say("portfolio", a(PortfolioStep, ts_event=ts, step=self._step, orders=(wanted,), targets=()))
        )
        self.wait_for(RiskStep, self._step)

    def wait_for(self, kind: type[M], number: int) -> list[M]:
        """So many of one type, within seconds."""
        deadline = time.monotonic() + 15
        while len(found := self.said(kind)) < number:
            assert time.monotonic() < deadline, f"{len(found)} of {number} {kind.__name__}"
            time.sleep(0.05)
        return found

    def said(self, kind: type[M]) -> list[M]:
        return asyncio.run(self._read(kind))

    async def _say(self, user: str, message: Message) -> None:
        tape = await self._connect(user)
        await tape.append(subject(message), envelope(user, message, f"test:{next(_numbers)}", cause=None))
        await tape.flush()
        await tape.close()

    async def _read(self, kind: type[M]) -> list[M]:
        tape, found = await self._connect("operator"), list[Message]()

        async def on_record(record: Record) -> None:
            found.append(decode(decode_envelope(record.payload)))

        await asyncio.wait_for(read_all(tape, [pattern(kind)], 1, on_record), 10)
        await tape.close()
        return [message for message in found if isinstance(message, kind)]

    async def _connect(self, user: str) -> NatsTape:
        return await NatsTape.connect(self._endpoints.login(user))


@pytest.fixture
def market(servers: Endpoints) -> Iterator[Market]:
    asyncio.run(begin_new_tape_at(servers.login(ADMIN)))
    asyncio.run(_migrate(servers.postgres_dsn_with_password()))
    time.sleep(2.5)  # leases of a test before
    return Market(servers)


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """Where Python looks first: whoever starts from here was built from other code."""
    (tmp_path / "sitecustomize.py").write_text(OTHER_BUILD)
    return str(tmp_path)


def test_a_guardian_of_another_build_opens_nothing_and_closes_everything(
    servers: Endpoints, market: Market, tmp_path: Path, elsewhere: str
) -> None:
    guardian = ServiceProcess("risk_guardian", servers, tmp_path / "guardian")
    stranger = ServiceProcess("risk_guardian", servers, tmp_path / "stranger", PYTHONPATH=elsewhere)
    with ServiceProcess("execution", servers, tmp_path / "execution"):
        with stranger:
            market.order("refused", Side.BUY)
            (denied,) = market.wait_for(OrderDenied, 1)
        with guardian:
            market.order("entry", Side.BUY)
            market.wait_for(OrderSubmitted, 1)
            market.order("more", Side.BUY)
            market.wait_for(OrderSubmitted, 2)
        with stranger:
            market.order("refused-too", Side.BUY)
            market.order("exit", Side.SELL, reduce_only=True)
            sent = market.wait_for(OrderSubmitted, 3)
            market.order("refused-again", Side.BUY)
            filled = market.wait_for(OrderFilled, 3)
    assert (denied.code, denied.by, denied.order.client_order_id) == (
        DenyCode.VERSION_MISMATCH,
        "execution",
        "refused",
    )
    assert denied.detail.startswith(f"risk_guardian is {OTHER} (contracts ")
    assert f"execution is {BUILD} (contracts " in denied.detail
    assert [message.order.client_order_id for message in sent] == ["entry", "more", "exit"]
    assert [message.client_order_id for message in filled] == ["entry", "more", "exit"]
    assert {message.code for message in market.said(OrderDenied)} == {DenyCode.VERSION_MISMATCH}
    lives = [(m.service, m.build) for m in market.said(ServiceStarted) if m.service == "risk_guardian"]
    assert [build for _, build in lives] == [OTHER, BUILD, OTHER]
    assert "version mismatch" in stranger.log.read_text()


def _market_order(name: str, side: Side, *, reduce_only: bool) -> Order:
    return a(
        Order,
        client_order_id=name,
        side=side,
        qty=Decimal(100),
        order_type=OrderType.MARKET,
        limit_px=None,
        stop_px=None,
        time_in_force=TimeInForce.GTC,
        expire_ns=None,
        reduce_only=reduce_only,
        parent_id="",
        oco_group="",
        algorithm=None,
    )


async def _migrate(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await schema.migrate(connection)
    await connection.close()
