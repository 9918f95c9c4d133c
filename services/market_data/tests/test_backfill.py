"""Bars of the past: all of them, each asked for once, from venues that have bad days."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from support.feed_servers import KEY, TOKEN
from support.history_servers import HistoryServer, bar, broken, garbage, history, wait_seconds, wait_until

from common.errors import ConfigError, DataError
from common.model.time import NS_PER_MINUTE, NS_PER_SECOND, Timeframe, iso
from market_data.backfill.link import GaveUpError, LinkSettings
from market_data.backfill.run import Wish, backfill
from market_data.backfill.spans import Span, ceiling, floor, merged, missing, pages
from market_data.backfill.venue import Limit
from market_data.backfill.venues import NAMES, venue
from market_data.feed import RawBar
from market_data.feeds import open_feed
from market_data.settings import Settings

pytestmark = pytest.mark.req("MKT-05")

HOUR = 3600 * NS_PER_SECOND
T0 = 1_672_531_200 * NS_PER_SECOND  # 2023-01-01
NOW = T0 + 100 * HOUR + 1234 * NS_PER_SECOND
SYMBOLS = {"alpaca": "AAPL", "binance": "BTC-USDT", "coinbase": "BTC-USD", "kraken": "BTC-USD", "oanda": "EUR-USD"}
QUICK = LinkSettings(base_s=0.01, cap_s=0.04, cool_down_s=0.02, timeout_s=5.0)
FAST = Limit(requests=100_000, window_s=1.0, burst=50_000)


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    files = {"alpaca": json.dumps(KEY), "oanda": TOKEN}
    for name, content in files.items():
        (tmp_path / f"{name}.key").write_text(content)
    return {name: tmp_path / f"{name}.key" for name in files}


async def fetch(
    server: HistoryServer,
    into: Path,
    name: str = "binance",
    *,
    start: int = T0,
    end: int = NOW,
    timeframe: Timeframe = Timeframe.H1,
    key: Path | None = None,
    limit: Limit = FAST,
    settings: LinkSettings = QUICK,
) -> dict[str, Any]:
    wish = Wish(symbols=(SYMBOLS[name],), timeframe=timeframe, start_ns=start, end_ns=end)
    return await backfill(
        venue(name),
        wish,
        into,
        clock=lambda: server.now_ns,
        url=server.url,
        key_file=key,
        limit=limit,
        settings=settings,
    )


def rows(directory: Path) -> list[RawBar]:
    return [row for step in open_feed(str(directory), settings=Settings()).steps() for row in step.rows]


def made_up(start: int, end: int, length: int = HOUR) -> list[tuple[int, float, float, float, float, float]]:
    """Close of each bar, its prices and volume: what the venue traded in [start, end)."""
    found = (bar(ts, length, end + length) for ts in range(start, end, length))
    return [(one.ts_ns + length, *one[1:6]) for one in found if one]


def told(found: list[RawBar]) -> list[tuple[int, float, float, float, float, float]]:
    return [(one.ts, one.open, one.high, one.low, one.close, one.volume) for one in found]


# --- what is fetched ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
async def test_a_run_reads_what_was_fetched_from_each_venue(name: str, tmp_path: Path, keys: dict[str, Path]) -> None:
    async with history(NOW) as server:
        result = await fetch(server, tmp_path / "data", name, key=keys.get(name))
    over = floor(NOW - venue(name).settle_ns, Timeframe.H1)
    feed = open_feed(str(tmp_path / "data"), settings=Settings())
    assert feed.instruments[0].instrument_id == f"{SYMBOLS[name]}.{name.upper()}"
    expected = made_up(T0, over)
    assert [row[:1] + tuple(pytest.approx(px) for px in row[1:]) for row in told(rows(tmp_path / "data"))] == expected
    assert result["files"][SYMBOLS[name]]["bars"] == len(expected)
    assert result["end"] == iso(over)


async def test_quotes_of_oanda_keep_their_spread(tmp_path: Path, keys: dict[str, Path]) -> None:
    async with history(NOW) as server:
        await fetch(server, tmp_path / "data", "oanda", key=keys["oanda"])
    assert {round(row.spread_close or 0, 9) for row in rows(tmp_path / "data")} == {0.02}


async def test_many_pages_are_one_series(tmp_path: Path) -> None:
    """3,000 minutes of Coinbase are ten answers."""
    async with history(NOW) as server:
        await fetch(server, tmp_path, "coinbase", timeframe=Timeframe.M1, end=T0 + 3000 * NS_PER_MINUTE)
        assert len(server.asked) == 10
    assert told(rows(tmp_path)) == made_up(T0, T0 + 3000 * NS_PER_MINUTE, NS_PER_MINUTE)


async def test_only_the_last_720_bars_of_kraken_are_asked_for_and_it_is_said(tmp_path: Path) -> None:
    async with history(NOW) as server:
        result = await fetch(server, tmp_path, "kraken", timeframe=Timeframe.M1)
        assert "the last 719 bars" in result["notes"][0]
        again = await fetch(server, tmp_path, "kraken", timeframe=Timeframe.M1)
    assert again["requests"] == 0
    over = floor(NOW - venue("kraken").settle_ns, Timeframe.M1)
    assert told(rows(tmp_path)) == made_up(over - 719 * NS_PER_MINUTE, over, NS_PER_MINUTE)


async def test_a_day_of_new_york_is_fetched_only_when_it_is_over_there(tmp_path: Path, keys: dict[str, Path]) -> None:
    """Days of Alpaca begin at 05:00 UTC: at 02:00 the day before is not over."""
    async with history(T0 + 10 * 24 * HOUR + 2 * HOUR) as server:
        first = await fetch(
            server, tmp_path / "d", "alpaca", timeframe=Timeframe.D1, end=server.now_ns, key=keys["alpaca"]
        )
        assert first["end"] == iso(T0 + 9 * 24 * HOUR)
        server.now_ns += 4 * HOUR
        second = await fetch(
            server, tmp_path / "d", "alpaca", timeframe=Timeframe.D1, end=server.now_ns, key=keys["alpaca"]
        )
    assert second["end"] == iso(T0 + 10 * 24 * HOUR)
    assert server.asked[-1]["end"] == "2023-01-10T23:59:59Z"  # the bar of a day opens after its midnight in UTC


# --- what is not asked again -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
async def test_a_second_call_makes_no_request(name: str, tmp_path: Path, keys: dict[str, Path]) -> None:
    async with history(NOW) as server:
        await fetch(server, tmp_path / "data", name, key=keys.get(name))
        before, asked = rows(tmp_path / "data"), len(server.asked)
        again = await fetch(server, tmp_path / "data", name, key=keys.get(name))
        assert (len(server.asked), again["requests"]) == (asked, 0)
    assert rows(tmp_path / "data") == before
    assert again["files"][SYMBOLS[name]]["new"] == 0


async def test_only_what_is_missing_is_fetched(tmp_path: Path) -> None:
    async with history(NOW) as server:
        await fetch(server, tmp_path, start=T0 + 20 * HOUR, end=T0 + 30 * HOUR)
        server.asked.clear()
        await fetch(server, tmp_path, end=T0 + 50 * HOUR)
        asked = [(int(one["startTime"]) * 10**6, int(one["endTime"]) * 10**6 + 10**6) for one in server.asked]
    assert asked == [(T0, T0 + 20 * HOUR), (T0 + 30 * HOUR, T0 + 50 * HOUR)]
    assert told(rows(tmp_path)) == made_up(T0, T0 + 50 * HOUR)


async def test_the_bar_that_is_not_over_is_never_kept(tmp_path: Path) -> None:
    async with history(NOW) as server:
        first = await fetch(server, tmp_path)
        assert iso(rows(tmp_path)[-1].ts) == first["end"] == "2023-01-05T04:00:00Z"
        assert "not over yet" in (await fetch(server, tmp_path, end=NOW + 5 * HOUR))["notes"][0]
        server.now_ns = T0 + 101 * HOUR + 5 * NS_PER_SECOND  # over, but not settled
        assert (await fetch(server, tmp_path, end=server.now_ns))["requests"] == 0
        server.now_ns += 10 * NS_PER_SECOND
        assert (await fetch(server, tmp_path, end=server.now_ns))["requests"] == 1
    assert told(rows(tmp_path)) == made_up(T0, T0 + 101 * HOUR)


spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: Span(*pair)), max_size=8)


@given(st.integers(0, 40), st.integers(1, 40), spans)
def test_what_is_missing_and_what_is_there_make_the_whole(start: int, length: int, covered: list[Span]) -> None:
    wanted = Span(start, start + length)
    holes = missing(wanted, covered)
    there = {instant for span in covered for instant in range(*span)}
    assert [instant for hole in holes for instant in range(*hole)] == [i for i in range(*wanted) if i not in there]
    assert missing(wanted, [*covered, *holes]) == ()
    assert {instant for span in merged(covered) for instant in range(*span)} == there


@given(st.integers(0, 10**18), st.integers(1, 5000), st.sampled_from(Timeframe), st.integers(1, 1000))
def test_pages_cover_a_span_once_and_none_is_too_long(start: int, bars: int, timeframe: Timeframe, most: int) -> None:
    span = Span(ceiling(start, timeframe), ceiling(start, timeframe) + bars * timeframe.ns)
    found = list(pages(span, timeframe, most))
    assert (found[0].start, found[-1].end) == span
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(0 < page.end - page.start <= most * timeframe.ns for page in found)
    assert floor(start, timeframe) <= start <= ceiling(start, timeframe) < floor(start, timeframe) + 2 * timeframe.ns


def packed() -> web.Response:
    """Says gzip and is none."""
    return web.Response(body=b"<html>", headers={"Content-Encoding": "gzip"})


# --- bad days of a venue -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "trouble", [broken, garbage, packed, wait_seconds(0.05)], ids=["503", "no JSON", "no gzip", "429"]
)
async def test_trouble_delays_and_changes_nothing(trouble: Any, tmp_path: Path) -> None:
    async with history(NOW) as server:
        server.troubles = [trouble] * 3
        await fetch(server, tmp_path)
    assert told(rows(tmp_path)) == made_up(T0, T0 + 100 * HOUR)


@pytest.mark.parametrize(("pause", "least_s"), [(wait_seconds(1.2), 1.2), (wait_until(3.0), 2.0)])
async def test_the_pause_that_a_venue_asks_for_is_kept_by_every_request(
    pause: Any, least_s: float, tmp_path: Path
) -> None:
    async with history(NOW) as server:
        server.now_ns = _real_now()
        server.troubles = [pause]
        end = T0 + 2000 * NS_PER_MINUTE  # two pages
        await fetch(server, tmp_path, timeframe=Timeframe.M1, end=end, limit=Limit(3, 1.0, 1))
        assert server.asked_at[1] - server.asked_at[0] >= least_s  # the limit alone would let it go after half a second
        assert len(server.asked) == 3


async def test_the_venue_never_sees_more_than_the_limit(tmp_path: Path) -> None:
    limit = Limit(requests=12, window_s=0.5, burst=4)
    async with history(NOW) as server:
        await fetch(server, tmp_path, "coinbase", timeframe=Timeframe.M1, end=T0 + 6000 * NS_PER_MINUTE, limit=limit)
        assert len(server.asked) == 20
        window_s = 0.95 * limit.window_s  # what the way to the server may shift
        most = max(sum(at <= other <= at + window_s for other in server.asked_at) for at in server.asked_at)
    assert most <= limit.requests


async def test_a_dead_venue_is_left_alone_then_probed_and_what_was_had_is_kept(tmp_path: Path) -> None:
    async with history(NOW) as server:
        end = T0 + 5500 * NS_PER_MINUTE
        whole = await fetch(server, tmp_path / "whole", timeframe=Timeframe.M1, end=end)
        assert whole["requests"] == 6
        part = tmp_path / "part"
        await fetch(server, part, timeframe=Timeframe.M1, end=T0 + 1000 * NS_PER_MINUTE)
        server.troubles = [broken] * 100
        with pytest.raises(GaveUpError, match="HTTP 503"):
            await fetch(server, part, timeframe=Timeframe.M1, end=end)
        assert len(rows(part)) == len(made_up(T0, T0 + 1000 * NS_PER_MINUTE, NS_PER_MINUTE))
        server.troubles = [broken] * 12  # five in a row open the breaker; then one probe at a time
        server.asked.clear()
        result = await fetch(server, part, timeframe=Timeframe.M1, end=end)
        assert (result["breaker_opened"] > 0, result["failures"], len(server.asked)) == (True, 12, 17)
    assert rows(part) == rows(tmp_path / "whole")


async def test_where_nobody_ever_answers_it_is_over_soon(tmp_path: Path) -> None:
    async with history(NOW) as server:
        pass  # its address stays, it does not
    with pytest.raises(GaveUpError, match="after 3 attempts: no answer: ConnectError"):
        await fetch(server, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["alpaca", "oanda"])
async def test_a_refused_key_is_one_clear_sentence_without_the_key(name: str, tmp_path: Path) -> None:
    wrong = {"key": "WRONG-KEY-PUBLIC", "secret": "WRONG-KEY"}
    (tmp_path / "key").write_text(json.dumps(wrong) if name == "alpaca" else "WRONG-KEY")
    async with history(NOW) as server:
        with pytest.raises(DataError, match=r"HTTP 40[13]") as refused:
            await fetch(server, tmp_path / "data", name, key=tmp_path / "key")
        assert len(server.asked) == 1
    assert "WRONG" not in str(refused.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("binance", "binance: ETH-USDT: HTTP 400: it does not know this symbol"),
        ("kraken", "kraken: ETH-USDT: it does not know this symbol"),  # which it says with HTTP 200
    ],
)
async def test_an_unknown_symbol_is_not_asked_for_twice(name: str, said: str, tmp_path: Path) -> None:
    async with history(NOW) as server:
        wish = Wish(symbols=("ETH-USDT",), timeframe=Timeframe.H1, start_ns=T0, end_ns=NOW)
        with pytest.raises(DataError, match=said):
            await backfill(venue(name), wish, tmp_path, clock=lambda: NOW, url=server.url, settings=QUICK)
        assert len(server.asked) == 1


@pytest.mark.parametrize("ahead", [5 * NS_PER_MINUTE, 3 * HOUR])
async def test_a_clock_that_is_ahead_makes_no_bar_whole_that_is_not_over(ahead: int, tmp_path: Path) -> None:
    """The venue's own clock says what is over; what is not is left for later, and it is said."""
    async with history(_real_now()) as server:
        start, now_ns = floor(server.now_ns, Timeframe.M1) - HOUR, server.now_ns
        wish = Wish(symbols=("BTC-USDT",), timeframe=Timeframe.M1, start_ns=start, end_ns=now_ns + ahead)
        many: dict[str, Any] = {"url": server.url, "limit": FAST, "settings": QUICK}
        result = await backfill(venue("binance"), wish, tmp_path, clock=lambda: now_ns + ahead, **many)
        over = floor(now_ns - venue("binance").settle_ns, Timeframe.M1)
        assert told(rows(tmp_path))[-1][0] in {over, over - NS_PER_MINUTE, over + NS_PER_MINUTE}
        assert told(rows(tmp_path)) == made_up(start, rows(tmp_path)[-1].ts, NS_PER_MINUTE)
        assert "ours is ahead" in result["notes"][-1]
        server.now_ns = now_ns + 5 * NS_PER_MINUTE  # the venue's past grows; its clock is that of this machine
        again = await backfill(venue("binance"), wish, tmp_path, clock=lambda: now_ns + ahead, **many)
    assert again["requests"] == 1


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("nasdaq", {}, "expected one of alpaca"),
        ("coinbase", {"timeframe": Timeframe.H4}, "coinbase has 1m"),
        ("binance", {"symbols": ("bitcoin",)}, "expected a pair"),
        ("binance", {"symbols": ()}, "expected at least one"),
        ("binance", {"end_ns": T0}, "is not before"),
        ("oanda", {"symbols": ("EUR-USD",)}, "only with a key"),
        ("binance", {"start_ns": NOW - 60 * NS_PER_SECOND}, "no whole bar"),
    ],
)
async def test_what_is_asked_wrongly_is_said_before_anybody_is_asked(
    name: str, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    wish = {"symbols": ("BTC-USD",), "timeframe": Timeframe.H1, "start_ns": T0, "end_ns": NOW} | changes
    with pytest.raises((ConfigError, DataError), match=said):
        await backfill(venue(name), Wish(**wish), tmp_path, clock=lambda: NOW, url="http://127.0.0.1:9")


async def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "binance_BTC-USDT_1h.parquet").write_text("mine")
    async with history(NOW) as server:
        with pytest.raises(DataError, match="parquet"):
            await fetch(server, tmp_path)
    assert (tmp_path / "binance_BTC-USDT_1h.parquet").read_text() == "mine"


async def test_what_a_kill_left_half_written_is_not_read(tmp_path: Path) -> None:
    async with history(NOW) as server:
        await fetch(server, tmp_path)
        (tmp_path / ".binance_BTC-USDT_1h.parquet.4711").write_bytes(b"PAR1 half")
        assert told(rows(tmp_path)) == made_up(T0, T0 + 100 * HOUR)
        assert (await fetch(server, tmp_path))["requests"] == 0


async def test_a_span_in_which_nothing_was_traded_leaves_no_file_that_a_run_could_not_read(tmp_path: Path) -> None:
    into = tmp_path / "data"
    start = next(ts for ts in range(T0, NOW, HOUR) if bar(ts, HOUR, NOW) is None)
    async with history(NOW) as server:
        result = await fetch(server, into, start=start, end=start + HOUR)
    assert (result["requests"], result["files"]["BTC-USDT"]["bars"], into.exists()) == (1, 0, False)


async def test_the_command_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    """Ctrl-C after some answers: what was had is in a whole file, and is not asked for again."""
    async with history(NOW) as server:
        words = "--venue coinbase --symbols BTC-USD --start 2023-01-01 --end 2023-01-04 --timeframe 1m --json"
        command = ["data", "backfill", *words.split(), "--into", str(tmp_path / "data"), "--url", server.url]
        process = await _started(*command, "--rate", "300")
        async with asyncio.timeout(30):
            while len(server.asked) < 8:  # noqa: ASYNC110 - the server counts, nobody tells
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        await process.communicate()
        had, asked = len(rows(tmp_path / "data")), len(server.asked)
        assert 0 < had < len(made_up(T0, T0 + 72 * HOUR, NS_PER_MINUTE))
        process = await _started(*command)
        result = json.loads((await process.communicate())[0])
        assert process.returncode == 0
        assert result["requests"] == len(server.asked) - asked < 15
    assert told(rows(tmp_path / "data")) == made_up(T0, T0 + 72 * HOUR, NS_PER_MINUTE)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["coinbase_BTC-USD_1m.parquet"]


async def _started(*command: str) -> asyncio.subprocess.Process:
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    return await asyncio.create_subprocess_exec(str(Path(sys.executable).with_name("ballast")), *command, **pipes)


def _real_now() -> int:
    import time

    return time.time_ns()
