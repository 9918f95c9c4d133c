"""The whole of execution (core, shell, journal in PostgreSQL, adapter) against a venue that misbehaves in every way it knows, while
execution is killed again and again: every order reaches the venue once, and both books agree.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from typing import Any

import asyncpg
import msgspec
import numpy as np
import pytest
from support.venues import QUICK, ReferenceDesk, order, reference_desk, until

from common.messages import InstrumentsDefined, MarketSlice, OrderApproved, OrderDenied, OrderFilled
from common.messages.base import Message
from common.messages.venue import Request
from common.model.account import Account
from common.model.instrument import Instrument
from common.model.parties import GUARDIAN
from common.runtime.codec import decode, decode_envelope
from common.runtime.embedded import Endpoints
from common.runtime.introduction import THIS_PROCESS
from common.runtime.memory_tape import MemoryLog, MemoryTape
from common.runtime.session import Session, envelope
from common.runtime.subjects import subject
from common.testing.builders import EUR_USD, T0, a
from execution.core import Execution
from execution.reference_venue.behavior import Fault, Rule
from execution.settings import RetrySettings, Settings
from execution.shell import ExecutionShell
from execution.tape_loss import TapeLoss
from recorder import schema

ORDERS = 300
KILLS = 12
RATE = 0.02
SENDING = (
    Fault.TIMEOUT_BEFORE,
    Fault.TIMEOUT_AFTER,
    Fault.ARRIVES_LATE,
    Fault.RESET_AFTER,
    Fault.ERROR_BEFORE,
    Fault.ERROR_AFTER,
    Fault.GARBAGE_AFTER,
    Fault.RATE_LIMIT,
)
TROUBLE = (
    *(Rule(fault=fault, on=kind, rate=RATE) for fault in SENDING for kind in (Request.SEND, Request.QUERY)),
    *(Rule(fault=fault, rate=RATE) for fault in (Fault.REPORT_TWICE, Fault.REPORTS_REVERSED, Fault.REPORT_LOST)),
    Rule(fault=Fault.DISCONNECT, rate=0.005),
    Rule(fault=Fault.IN_PARTS, rate=0.2),
)
_numbers = count()


class Execution1:
    """One life of the process, from start to kill."""

    def __init__(self, log: MemoryLog, settings: Settings, dsn: str) -> None:
        self.tape = MemoryTape(log)
        self.core = Execution(settings, Account())
        self.shell = ExecutionShell(settings, dsn, TapeLoss())
        self.session = Session("execution", self.core, self.tape, mark="m", run_id="drill", effects=self.shell.effects)

    async def begin(self) -> None:
        await self.shell.stand_by(self.session, self.tape)
        await self.shell.start(self.session, self.tape)
        await self.session.start()

    async def kill(self) -> None:
        """Whatever was under way stays undone, and no snapshot is left."""
        tasks = [*self.session._tasks, *self.shell._tasks]
        for task in tasks:
            task.cancel()
        await self.tape.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.shell.stop()
        assert not self.tape.broken.done(), self.tape.broken.result()


async def say(tape: MemoryTape, service: str, message: Message) -> None:
    await tape.append(subject(message), envelope(service, message, f"{service}:{next(_numbers)}", cause=None))


def approved() -> Iterator[OrderApproved]:
    """Market orders and limits on both sides of 1.1."""
    rng = np.random.default_rng(7)
    for number in range(ORDERS):
        qty = int(rng.integers(1, 200)) * (1 if rng.random() < 0.5 else -1)
        limit = None if rng.random() < 0.5 else "1.09" if qty > 0 else "1.11"
        yield OrderApproved(ts_event=T0, order=order(f"d{number}", qty, limit=limit, algorithm=None), step=1)


@contextlib.asynccontextmanager
async def beating(tape: MemoryTape) -> Any:
    async def beat() -> None:
        while True:
            for service in (GUARDIAN, "execution"):
                await tape.beat(service, b"{}")
            await asyncio.sleep(0.05)

    heart = asyncio.create_task(beat())
    yield
    heart.cancel()


async def say_orders(tape: MemoryTape) -> None:
    for message in approved():
        await say(tape, GUARDIAN, message)
        await asyncio.sleep(0.03)


async def wander(desk: ReferenceDesk) -> None:
    """The market, and with it limits and second halves."""
    for step in count():
        px = "1.08" if step % 8 == 3 else "1.12" if step % 8 == 7 else "1.1"
        await desk.drill.put("/prices", content=msgspec.json.encode({"prices": {EUR_USD: px}}))
        await asyncio.sleep(0.05)


@pytest.mark.req("EXE-01", "EXE-02")
async def test_every_order_reaches_the_venue_once_whatever_dies_and_both_books_agree(servers: Endpoints):
    dsn = servers.postgres_dsn_with_password()
    await _migrate(dsn)
    async with reference_desk(QUICK, listen=False) as desk:
        connection = msgspec.structs.replace(desk.settings, max_failures=1000, cancel_after_tape_loss_s=60.0)
        retry = RetrySettings(base_s=0.02, cap_s=0.1, max_attempts=100, not_found_spacing_s=0.3)
        settings = Settings(venue="reference", connection=connection, retry=retry)
        log = MemoryLog()
        world = MemoryTape(log)
        await say(world, GUARDIAN, THIS_PROCESS.introduction(GUARDIAN))
        await say(world, "market_data", a(InstrumentsDefined, instruments=(a(Instrument),)))
        await say(world, "market_data", MarketSlice(ts_event=T0, book="fx", step=1))
        life = Execution1(log, settings, dsn)
        async with beating(world):
            await life.begin()
            await until(lambda: life.core.state.connection.usable, "the venue is usable")
            await desk.behave(*TROUBLE, retry_after_s=0.02, hold_s=0.6)
            feed = asyncio.create_task(say_orders(world))
            market = asyncio.create_task(wander(desk))
            for _ in range(KILLS):
                await asyncio.sleep(0.8)
                await life.kill()
                life = Execution1(log, settings, dsn)
                await life.begin()
            await feed
            await desk.behave()
            state = life.core.state
            await until(lambda: not life.session.recovering and not state.orders, "every order is over", within_s=60)
            market.cancel()
        await _compare(life, desk, log, dsn)
        await life.kill()


@pytest.mark.req("EXE-07")
async def test_from_approval_to_acknowledgement_with_the_intent_committed_in_between(servers: Endpoints):
    dsn = servers.postgres_dsn_with_password()
    await _migrate(dsn)
    async with reference_desk(QUICK, listen=False) as desk:
        settings = Settings(venue="reference", connection=desk.settings)
        log, taken = MemoryLog(), []
        world = MemoryTape(log)
        await say(world, GUARDIAN, THIS_PROCESS.introduction(GUARDIAN))
        await say(world, "market_data", a(InstrumentsDefined, instruments=(a(Instrument),)))
        await say(world, "market_data", MarketSlice(ts_event=T0, book="fx", step=1))
        life = Execution1(log, settings, dsn)
        async with beating(world):
            await life.begin()
            state = life.core.state
            await until(lambda: state.connection.usable and state.reconciliation.taken > 0, "the venue is usable")
            for message in approved():
                started = time.perf_counter()
                await say(world, GUARDIAN, message)
                name = message.order.client_order_id
                await until(lambda name=name: _accepted(life, name), "it is accepted", pause_s=0)
                taken.append((time.perf_counter() - started) * 1e3)
        await life.kill()
    taken.sort()
    p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    print(f"\napproved to acknowledged, intent committed: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    assert sum(taken) / len(taken) < 100


def _accepted(life: Execution1, client_order_id: str) -> bool:
    live = life.core.state.find(client_order_id)
    return live is not None and live.venue_order_id != ""


async def _migrate(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await schema.migrate(connection)
    await connection.close()


async def _compare(life: Execution1, desk: ReferenceDesk, log: MemoryLog, dsn: str) -> None:
    said = [decode(decode_envelope(entry.payload)) for entry in log.entries]
    wanted = [message.order.client_order_id for message in approved()]
    denied = [message.order.client_order_id for message in said if isinstance(message, OrderDenied)]
    fills = [message for message in said if isinstance(message, OrderFilled)]
    exchange, summary = desk.reference.exchange, (await desk.audit())["summary"]
    codes = sorted({str(message.code) for message in said if isinstance(message, OrderDenied)})
    print(f"\n{len(wanted)} orders, {KILLS} kills: {summary}, {len(fills)} fills, {len(denied)} denied {codes}")
    assert sorted([*exchange.orders, *denied]) == sorted(wanted), "none lost"
    assert summary["accepted"] == len(exchange.orders), "none doubled"
    assert len(fills) == len(exchange.trades)
    assert sum(fill.signed_qty for fill in fills) == exchange.positions[EUR_USD]
    assert life.core.state.ledger.qty(EUR_USD) == exchange.positions[EUR_USD]
    assert life.core.state.ledger.cash["USD"] - Account().starting_cash == exchange.cash["USD"] - Decimal(100_000)
    connection = await asyncpg.connect(dsn)
    recorded = await connection.fetch("SELECT client_order_id FROM order_intents WHERE client_order_id LIKE 'd%'")
    await connection.close()
    assert {row["client_order_id"] for row in recorded} >= set(exchange.orders), "recorded before sent"
