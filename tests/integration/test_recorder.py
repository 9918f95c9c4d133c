"""The recorder on real servers: every message once, whatever dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import messages as m
from common.errors import BallastError
from common.messages.base import Message
from common.messages.market_data import Bar
from common.model.time import NS_PER_DAY, NS_PER_HOUR
from common.runtime import codec
from common.runtime import redis as hot
from common.runtime.embedded import EmbeddedServers, Endpoints
from common.runtime.nats_config import provision_at
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.runtime.tape import Record
from common.testing import strategies
from common.testing.builders import EUR_USD, T0, a
from common.testing.service_process import ServiceProcess
from recorder import schema
from recorder.intake import batch_of
from recorder.store import Store

pytestmark = [pytest.mark.integration, pytest.mark.req("PLT-03", "MON-02")]


class Stage:
    """A tape, a database schema of its own, and somebody who speaks."""

    def __init__(self, endpoints: Endpoints, home: Path, dsn: str) -> None:
        self.endpoints, self.dsn = endpoints, dsn
        secret = home / "dsn"
        secret.write_text(dsn)
        self.recorder = ServiceProcess("recorder", endpoints, home, dsn_file=str(secret))
        self.redis = hot.client(endpoints.redis_url_with_password())

    async def say(self, user: str, *messages: Message) -> list[int]:
        """Their sequences on the tape."""
        tape = await NatsTape.connect(self.endpoints.login(user))
        stored = []
        for message in messages:
            identity = f"{time.time_ns()}:{len(stored)}"
            stored.append(await tape.append(subject(message), envelope(user, message, identity, cause=None)))
        await tape.flush()
        await tape.close()
        return [seq.result() for seq in stored]

    async def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *arguments)]
        finally:
            await connection.close()

    async def recorded(self, seq: int) -> None:
        """Returns when the tape is recorded up to `seq`."""

        async def there() -> bool:
            return (await self.rows("SELECT seq FROM recorder_position"))[0][0] >= seq

        await until(there)

    async def mirrored(self, seq: int) -> dict[str, dict[str, Any]]:
        """The hot state in Redis once it holds `seq`."""

        async def there() -> bool:
            return int(await self.redis.hget(hot.key(hot.TAPE), "seq") or -1) >= seq

        await until(there)
        return {name: await self.redis.hgetall(hot.key(name)) for name in hot.HASHES}


async def until(there: Callable[[], Awaitable[bool]], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not await there():  # noqa: ASYNC110 what is awaited happens in another process
            await asyncio.sleep(0.02)


async def _schema(dsn: str, name: str) -> str:
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
    await connection.close()
    return f"{dsn}?search_path={name}"


@pytest.fixture
async def stage(servers: Endpoints, home: Path) -> AsyncIterator[Stage]:
    """On the shared servers, whose tape already holds what other tests said."""
    dsn = await _schema(servers.postgres_dsn_with_password(), "recorder_test")
    stage = Stage(servers, home, dsn)
    yield stage
    stage.recorder.kill()
    await stage.redis.aclose()


@pytest.fixture
async def own(home: Path) -> AsyncIterator[tuple[Stage, EmbeddedServers]]:
    """On servers of its own, that may be killed."""
    servers = EmbeddedServers(home / "servers")
    endpoints = servers.start()
    await provision_at(endpoints.login("admin"))
    stage = Stage(endpoints, home, endpoints.postgres_dsn_with_password())
    yield stage, servers
    stage.recorder.kill()
    await stage.redis.aclose()
    servers.stop()


def slices(count: int, *, first: int = 1) -> Iterator[Message]:
    for step in range(first, first + count):
        yield a(m.MarketSlice, step=step, ts_event=T0 + step, bars=(a(Bar, close=1 + step / 1e6),), quotes=())


async def test_an_order_leaves_its_whole_life_in_the_history(stage: Stage) -> None:
    order_id = f"life-{time.time_ns()}"
    order = a(m.OrderSubmitted).order
    order = msgspec.structs.replace(order, client_order_id=order_id)
    named = {"client_order_id": order_id}
    with stage.recorder:
        await stage.say("portfolio", a(m.PortfolioStep, orders=(order,)))
        await stage.say("risk_guardian", a(m.OrderApproved, order=order))
        (last,) = (
            await stage.say(
                "execution",
                a(m.OrderSubmitted, order=order),
                a(m.OrderAccepted, **named),
                a(m.OrderFilled, **named),
                a(m.OrderFilled, **named, cum_qty=Decimal(1000), leaves_qty=Decimal(0), last_qty=Decimal(400)),
            )
        )[-1:]
        await stage.recorded(last)
    (state,) = await stage.rows(
        "SELECT state, qty, cum_qty, reason, venue_order_id FROM orders WHERE client_order_id = $1", order_id
    )
    assert state == ("FILLED", Decimal(1000), Decimal(1000), "new signal", "paper-7")
    events = await stage.rows("SELECT state FROM order_events WHERE client_order_id = $1 ORDER BY seq", order_id)
    assert [row[0] for row in events] == ["PROPOSED", "APPROVED", "SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "FILLED"]
    assert await stage.rows("SELECT sum(last_qty) FROM fills WHERE client_order_id = $1", order_id) == [
        (Decimal(1000),)
    ]


async def test_a_recorder_killed_again_and_again_records_every_message_once(stage: Stage) -> None:
    with stage.recorder:
        (before,) = await stage.say("market_data", a(m.RunStarted))
        await stage.recorded(before)
    speaking = asyncio.create_task(stage.say("market_data", *slices(6000)))
    for _ in range(6):
        stage.recorder.start()
        await asyncio.sleep(0.45)
        stage.recorder.kill()
    last = max(await speaking)
    with stage.recorder:
        await stage.recorded(last)
    ((count, distinct, steps),) = await stage.rows(
        "SELECT count(*), count(DISTINCT id), sum((data->>'step')::bigint) FROM tape WHERE seq > $1", before
    )
    assert (count, distinct, steps) == (6000, 6000, 6000 * 6001 // 2)
    assert await stage.rows("SELECT count(*), min(seq), max(seq) FROM tape WHERE seq > $1", before) == [
        (last - before, before + 1, last)
    ]


@pytest.mark.req("MKT-06")
async def test_a_recorder_killed_again_and_again_keeps_the_fine_bars_of_its_window_and_all_coarse_ones(
    stage: Stage, home: Path
) -> None:
    (home / "run" / "config.json").write_text('{"recorder": {"hot_days": 1}}')
    quarter, name, count = NS_PER_HOUR // 4, f"HOT-{time.time_ns()}", 3000
    midnight = T0 - T0 % NS_PER_DAY
    fine, coarse = (a(Bar, timeframe=timeframe, instrument_id=name) for timeframe in ("15m", "1h"))
    said = [
        a(m.MarketSlice, ts_event=midnight + number * quarter, bars=(fine, coarse)[: 1 + (number % 4 == 0)], quotes=())
        for number in range(1, count + 1)
    ]
    with stage.recorder:
        (before,) = await stage.say("market_data", a(m.RunStarted))
        await stage.recorded(before)
    speaking = asyncio.create_task(stage.say("market_data", *said))
    for _ in range(4):
        stage.recorder.start()
        await asyncio.sleep(0.45)
        stage.recorder.kill()
    last = max(await speaking)
    until_ns = (midnight + count * quarter) // (6 * NS_PER_HOUR) * 6 * NS_PER_HOUR - NS_PER_DAY
    kept = "SELECT timeframe, count(*), min(ts_event) FROM market_bars WHERE instrument_id = $1 GROUP BY 1 ORDER BY 1"
    expected = [
        ("15m", count - (until_ns - midnight) // quarter, until_ns + quarter),
        ("1h", count // 4, midnight + NS_PER_HOUR),
    ]

    async def trimmed() -> bool:
        return await stage.rows(kept, name) == expected

    with stage.recorder:
        await stage.recorded(last)
        await until(trimmed)


async def test_a_backlog_is_recorded_faster_than_it_can_arise(stage: Stage) -> None:
    await stage.say("market_data", *slices(10_000))
    (last,) = await stage.say("market_data", a(m.MarketDataEnded))
    started = time.perf_counter()
    with stage.recorder:
        await stage.recorded(last)
    print(
        f"\nbacklog of {last} messages, from the start of the process: {last / (time.perf_counter() - started):,.0f}/s"
    )
    assert await stage.rows("SELECT count(*) FROM tape WHERE type = 'md.ended.v1' AND seq = $1", last) == [(1,)]


async def test_a_wiped_redis_is_filled_from_postgresql(stage: Stage) -> None:
    with stage.recorder:
        await stage.say("market_data", a(m.InstrumentsDefined), *slices(50))
        (last,) = await stage.say("risk_guardian", a(m.RiskStep, step=50))
        before = await stage.mirrored(last)
        assert msgspec.json.decode(before[hot.PRICES][EUR_USD])["px"] == 1.00005
        await stage.redis.flushdb()
        started = time.perf_counter()
        assert await stage.mirrored(last) == before
        print(f"\nwiped to whole again: {time.perf_counter() - started:.2f} s")
        await stage.redis.flushdb()
        (last,) = await stage.say("risk_guardian", a(m.RiskStep, step=51))  # a wipe is also noticed by the next write

        async def whole() -> bool:  # the write itself is there a moment before the rest is
            return (await stage.mirrored(last))[hot.PRICES] == before[hot.PRICES]

        await until(whole)
        after = await stage.mirrored(last)
        assert after[hot.BOOK]["instruments"] == before[hot.BOOK]["instruments"]


@pytest.mark.req("PLT-02")
async def test_what_nobody_understands_is_a_dead_letter_and_its_neighbors_are_recorded(stage: Stage) -> None:
    with stage.recorder:
        await stage.say("market_data", a(m.RunStarted))
        tape = await NatsTape.connect(stage.endpoints.login("market_data"))
        good = envelope("market_data", a(m.MarketSlice), f"good-{time.time_ns()}", cause=None)
        newer = msgspec.structs.replace(good, id=f"newer-{time.time_ns()}", type="md.slice.v9")
        broken = msgspec.structs.replace(good, id=f"broken-{time.time_ns()}", data=msgspec.Raw(b'{"book":7}'))
        name = subject(a(m.MarketSlice))
        seqs = [await (await tape.append(name, sent)) for sent in (newer, broken, good)]
        await tape.close()
        await stage.recorded(seqs[-1])
    letters = await stage.rows("SELECT seq, reason FROM dead_letters WHERE seq >= $1 ORDER BY seq", seqs[0])
    assert [seq for seq, _ in letters] == seqs[:2]
    assert "unknown message type or version 'md.slice.v9'" in letters[0][1]
    assert "md.slice.v1" in letters[1][1]
    kept = await stage.rows("SELECT seq FROM tape WHERE seq >= $1 ORDER BY seq", seqs[0])
    assert [seq for (seq,) in kept] == seqs


async def test_commands_are_chained_in_the_audit_log_and_a_forged_one_is_found(stage: Stage) -> None:
    with stage.recorder:
        (last,) = (await stage.say("operator", a(m.HaltTrading), a(m.ResumeTrading), a(m.HaltTrading, reason="again")))[
            -1:
        ]
        await stage.recorded(last)
    log = await stage.rows("SELECT action, reason, previous_hash, hash FROM audit_log ORDER BY seq DESC LIMIT 3")
    assert [row[:2] for row in log] == [("halt", "again"), ("resume", "drill over"), ("halt", "drill")]
    assert log[0][2] == log[1][3]
    await stage.rows("UPDATE audit_log SET reason = 'nothing happened' WHERE seq = $1", last - 1)
    stage.recorder.start()
    with pytest.raises(AssertionError, match=f"entry with seq {last - 1} does not follow"):
        stage.recorder.wait_ready()


async def test_two_that_start_at_once_migrate_once(stage: Stage) -> None:
    first, second = [await asyncpg.connect(stage.dsn) for _ in range(2)]
    came_from = await asyncio.gather(schema.migrate(first), schema.migrate(second))
    assert sorted(came_from, key=str) == [None, "base"]
    await first.execute("UPDATE alembic_version SET version_num = 'v9999'")
    with pytest.raises(
        BallastError, match=f"PostgreSQL has schema 'v9999', this build knows up to '{schema.newest()}'"
    ):
        await schema.migrate(second)
    await first.close()
    await second.close()


async def test_asked_to_stop_it_ends_at_once_and_starts_again_quickly(stage: Stage) -> None:
    with stage.recorder:
        started = time.perf_counter()
        assert stage.recorder.stop() == 0
        print(f"\nstopped after {time.perf_counter() - started:.2f} s")
        started = time.perf_counter()
        stage.recorder.start()
        stage.recorder.wait_ready()
        print(f"ready again after {time.perf_counter() - started:.2f} s")


async def test_another_tape_is_refused_instead_of_mixed_in(stage: Stage) -> None:
    with stage.recorder:
        (last,) = await stage.say("market_data", a(m.RunStarted))
        await stage.recorded(last)
    await stage.rows("UPDATE recorder_position SET digest = 'of another message'")
    stage.recorder.start()
    with pytest.raises(AssertionError, match="there is another message"):
        stage.recorder.wait_ready()


@pytest.mark.req("PLT-06")
async def test_without_its_servers_it_waits_by_name_and_then_goes_on_without_a_loss(
    own: tuple[Stage, EmbeddedServers], home: Path
) -> None:
    stage, servers = own
    with stage.recorder:
        (first,) = await stage.say("market_data", a(m.RunStarted))
        await stage.recorded(first)

        os.kill(servers.processes["redis"].pid, signal.SIGKILL)
        (last,) = (await stage.say("market_data", *slices(100)))[-1:]
        await stage.recorded(last)
        assert stage.recorder.health()["ready"]

        os.kill(servers.processes["postgres"].pid, signal.SIGKILL)
        await until(lambda: _waits_for(stage, "postgresql"))
        (last,) = (await stage.say("market_data", *slices(100, first=101)))[-1:]
        servers.stop()
        await until(lambda: _waits_for(stage, "nats"))
        servers.start()
        (last,) = (await stage.say("market_data", *slices(100, first=201)))[-1:]
        await asyncio.to_thread(stage.recorder.wait_ready)
        await stage.recorded(last)
        assert int((await stage.mirrored(last))[hot.TAPE]["seq"]) == last
    counted = await stage.rows("SELECT count(*), sum((data->>'step')::int) FROM tape WHERE type = 'md.slice.v1'")
    assert counted == [(300, 300 * 301 // 2)]


async def _waits_for(stage: Stage, what: str) -> bool:
    return what in (await asyncio.to_thread(stage.recorder.health))["waits_for"]


async def test_whatever_can_be_said_can_be_recorded(stage: Stage) -> None:
    with stage.recorder:
        pass  # makes the schema
    connection = await asyncpg.connect(stage.dsn)
    loop = asyncio.get_running_loop()
    store, at = Store(connection), [(await Store(connection).open()).seq]

    async def write(said: list[Message]) -> int:
        records = [
            Record(at[0] + 1 + place, codec.encode_envelope(envelope("test", message, str(place), cause=None)), 0)
            for place, message in enumerate(said)
        ]
        await store.write(batch_of(records, at[0]), at[0])
        at[0] += len(records)
        return await connection.fetchval("SELECT count(*) FROM tape WHERE seq > $1", at[0] - len(records))

    @settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.lists(strategies.messages(), min_size=1, max_size=8))
    def law(said: list[Message]) -> None:
        assert asyncio.run_coroutine_threadsafe(write(said), loop).result(30) == len(said)

    await asyncio.to_thread(law)
    await connection.close()
