"""Fine bars leave the history after some days of data time, whatever dies meanwhile; what is read of them stays right."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from common import messages as m
from common.messages.market_data import Bar
from common.model.time import NS_PER_DAY, NS_PER_HOUR
from common.runtime.codec import encode_envelope
from common.runtime.embedded import Endpoints
from common.runtime.session import envelope
from common.runtime.tape import Record
from common.testing.builders import EUR_USD, T0, a
from gateway import heatmap, market_queries, profile
from recorder import schema
from recorder.hot_window import HotWindow, Trim
from recorder.intake import batch_of
from recorder.store import TRIM, Store

pytestmark = [pytest.mark.integration, pytest.mark.req("MKT-06")]

MIDNIGHT = T0 - T0 % NS_PER_DAY
QUARTER_NS = NS_PER_HOUR // 4
DAYS = 2
SEEN = "SELECT timeframe, count(*), min(ts_event) FROM market_bars GROUP BY timeframe"


@pytest.fixture
async def connection(servers: Endpoints, home: Path) -> AsyncIterator[asyncpg.Connection]:
    admin = await asyncpg.connect(servers.postgres_dsn_with_password())
    await admin.execute("DROP SCHEMA IF EXISTS hot_window_test CASCADE; CREATE SCHEMA hot_window_test")
    await admin.close()
    connection = await asyncpg.connect(f"{servers.postgres_dsn_with_password()}?search_path=hot_window_test")
    await schema.migrate(connection)
    yield connection
    await connection.close()


def records(quarters: int) -> list[Record]:
    """A quarter of an hour each, the hour's bar with every fourth, the day's with every 96th."""
    return [Record(number, encode_envelope(sealed(number)), 0) for number in range(1, quarters + 1)]


def sealed(number: int) -> Any:
    lengths = {"15m": 1, "1h": 4, "1d": 96}
    bars = tuple(
        a(Bar, timeframe=name, base=name == "15m", open=1.0, high=1.1, low=1.0, close=1.1, volume=2.0)
        for name, length in lengths.items()
        if number % length == 0
    )
    ts = MIDNIGHT + number * QUARTER_NS
    said = a(m.MarketSlice, ts_event=ts, step=number, bars=bars, quotes=())
    return envelope("market_data", said, f"hot-{number}", cause=None)


async def record(connection: asyncpg.Connection, said: list[Record], batch: int, die_every: int = 0) -> None:
    """As the recorder does; with `die_every` a new one takes over before every so many trims, and after the commit."""
    store, window = Store(connection), HotWindow(DAYS)
    at = await store.open()
    for number, first in enumerate(range(at.seq, len(said), batch), 1):
        made = batch_of(said[first : first + batch], at.seq)
        await store.write(made, at.seq)
        at = made.position
        window.recorded(len(made.rows["market_bars"]))
        if die_every and number % die_every == 0:
            store, window = Store(connection), HotWindow(DAYS)
            at = await store.open()
        if trim := window.due(store.ts_event):
            window.trimmed(trim, await store.trim(trim, at.seq))


async def rows(connection: asyncpg.Connection, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(sql, *arguments)]


async def test_fine_bars_older_than_the_window_go_and_those_of_an_hour_and_more_stay(
    connection: asyncpg.Connection,
) -> None:
    quarters = 6 * 96 + 30  # seven hours and a half into the seventh day
    await record(connection, records(quarters), 7)
    until = MIDNIGHT + 6 * NS_PER_DAY + 6 * NS_PER_HOUR - DAYS * NS_PER_DAY
    kept = {name: (count, first) for name, count, first in await rows(connection, SEEN)}
    assert kept["15m"] == (DAYS * 96 + 6, until + QUARTER_NS)
    assert kept["1h"] == (quarters // 4, MIDNIGHT + NS_PER_HOUR)
    assert kept["1d"] == (6, MIDNIGHT + NS_PER_DAY)
    assert await rows(connection, "SELECT count(*) FROM tape") == [(quarters,)]


@pytest.mark.parametrize(("batch", "die_every"), [(1, 0), (400, 0), (13, 1), (50, 3)])
async def test_what_is_left_depends_neither_on_batches_nor_on_who_died_when(
    connection: asyncpg.Connection, batch: int, die_every: int
) -> None:
    await record(connection, records(500), batch, die_every)
    until = MIDNIGHT + 5 * NS_PER_DAY - DAYS * NS_PER_DAY
    assert await rows(connection, "SELECT count(*), min(ts_event) FROM market_bars WHERE timeframe = '15m'") == [
        (500 - (until - MIDNIGHT) // QUARTER_NS, until + QUARTER_NS)
    ]


async def test_a_recorder_whose_place_another_one_took_trims_nothing(connection: asyncpg.Connection) -> None:
    store = Store(connection)
    at = await store.open()
    await store.write(batch_of(records(8), at.seq), at.seq)
    assert await store.trim(Trim(MIDNIGHT + NS_PER_DAY, 100), at.seq) == 0
    assert await store.trim(Trim(MIDNIGHT + NS_PER_DAY, 3), 8) == 3
    assert await store.trim(Trim(MIDNIGHT + NS_PER_DAY, 100), 8) == 5


MANY = """
    INSERT INTO market_bars SELECT n, 0, n * 60000000000, 'X' || n % 5, CASE WHEN n % 4 = 0 THEN '1h' ELSE '1m' END,
        1, 1, 1, 1, 0, true FROM generate_series(1, 200000) AS n
"""


async def test_a_trim_finds_what_is_old_by_an_index_and_takes_little_time(connection: asyncpg.Connection) -> None:
    await connection.execute(MANY)
    await connection.execute("ANALYZE market_bars")
    at = (await Store(connection).open()).seq
    literal = TRIM.replace("$1", str(100_000 * 60_000_000_000)).replace("$2", "5000").replace("$3", str(at))
    plan = json.dumps(json.loads(await connection.fetchval("EXPLAIN (FORMAT JSON) " + literal)))
    assert "market_bars_hot" in plan
    assert plan.count('"Seq Scan"') == 1, plan  # of the one row that tells the position
    started = time.perf_counter()
    assert await Store(connection).trim(Trim(100_000 * 60_000_000_000, 5_000), at) == 5_000
    print(f"\n5,000 of 200,000 bars: {(time.perf_counter() - started) * 1e3:.0f} ms")


async def test_hours_and_levels_are_read_from_hourly_bars_where_finer_ones_no_longer_reach_back(
    connection: asyncpg.Connection,
) -> None:
    said = records(8 * 96)
    await record(connection, said[: DAYS * 96], 400)
    found = profile.answer(await connection.fetch(market_queries.BINS, EUR_USD, *profile.WINDOW))
    assert (found["timeframe"], found["bars"]) == ("15m", DAYS * 96)  # all there is so far
    await record(connection, said, 400)
    found = profile.answer(await connection.fetch(market_queries.BINS, EUR_USD, *profile.WINDOW))
    assert (found["timeframe"], found["bars"]) == ("1h", profile.HOURS)
    moves = await connection.fetch(market_queries.MOVES, [EUR_USD], 60 * NS_PER_DAY)
    assert {one["hour"]: one["hours"] for one in heatmap.cells([dict(row) for row in moves], [])} == dict.fromkeys(
        range(24), 8
    )
