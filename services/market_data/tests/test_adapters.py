"""Live adapters against venues on this machine that speak their own protocols, and misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from support.feed_messages import Tick
from support.feed_servers import ACCOUNT, KEY, TOKEN, Fault, FeedServer, serving

from common.errors import ConfigError
from market_data.adapters import alpaca, ccxt_pro, oanda
from market_data.adapters.reconnecting import LostError, Reconnecting
from market_data.live.connection import (
    Connected,
    Disconnected,
    FeedEvent,
    Heartbeat,
    Malformed,
    QuoteSeen,
    TradeSeen,
)
from market_data.live.settings import FeedSettings

pytestmark = pytest.mark.req("MKT-01")

CRYPTO = ("binance", "coinbase", "kraken")
ALL = (*CRYPTO, "alpaca", "oanda")
SYMBOLS = {"alpaca": ("AAPL", "BRK-B"), "oanda": ("EUR-USD", "GBP-USD")}
PING_S = 0.5
SECRETS = (KEY["secret"], TOKEN, "WRONG-SECRET")


class Desk(NamedTuple):
    server: FeedServer
    connection: Reconnecting


def connection(name: str, url: str, directory: Path, **changes: Any) -> Reconnecting:
    key_file = directory / "key"
    if not key_file.exists():
        key_file.write_text(TOKEN if name == "oanda" else json.dumps(KEY))
    given: dict[str, Any] = {
        "name": "feed1", "adapter": name, "venue": name.upper(), "url": url, "account": ACCOUNT,
        "symbols": SYMBOLS.get(name, ("BTC-USD", "ETH-USD")), "key_file": str(key_file),
    }  # fmt: skip
    feed = FeedSettings(**(given | changes))
    if name == "oanda":
        return oanda.connect(feed, time.time_ns, 7, silence_s=3 * PING_S)
    return (alpaca if name == "alpaca" else ccxt_pro).connect(feed, time.time_ns, 7, ping_s=PING_S)


@asynccontextmanager
async def desk(name: str, directory: Path, **changes: Any) -> AsyncIterator[Desk]:
    async with serving(name, SYMBOLS.get(name, ("BTC-USD", "ETH-USD"))) as server:
        yield Desk(server, connection(name, server.url, directory, **changes))


async def hear(
    one: Reconnecting,
    enough: Callable[[list[FeedEvent]], bool],
    then: Callable[[], Any] | None = None,
    within_s: float = 15.0,
) -> list[FeedEvent]:
    """What is said until it is enough; `then` happens at the first price."""
    found: list[FeedEvent] = []
    async with asyncio.timeout(within_s), aclosing(one.events()) as said:  # type: ignore[type-var]
        async for event in said:
            found.append(event)
            if then and isinstance(event, QuoteSeen):
                then()
                then = None
            if enough(found):
                return found
    return found


def of(found: list[FeedEvent], kind: type[Any]) -> list[Any]:
    return [event for event in found if type(event) is kind]


def quoted(count: int) -> Callable[[list[FeedEvent]], bool]:
    """Every symbol so often."""

    def enough(found: list[FeedEvent]) -> bool:
        seen = [event.symbol for event in found if type(event) is QuoteSeen]
        return len(set(seen)) > 1 and all(seen.count(symbol) >= count for symbol in set(seen))

    return enough


# --- what a venue says -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ALL)
async def test_prices_of_every_symbol_arrive_as_ours(name: str, tmp_path: Path) -> None:
    """With fields that nobody knew when this was written, and without the history that venues send along."""
    before = time.time_ns()
    async with desk(name, tmp_path) as (server, one):
        found = await hear(one, lambda heard: quoted(3)(heard) and (name == "oanda" or len(of(heard, TradeSeen)) > 3))
    assert type(found[0]) is Connected
    quotes, trades = of(found, QuoteSeen), of(found, TradeSeen)
    assert {quote.symbol for quote in quotes} == set(server.symbols)
    assert all(
        0 < quote.bid < quote.ask < quote.bid * 1.001 and quote.bid_size > 0 < quote.ask_size for quote in quotes
    )
    assert all(before <= event.ts_received <= time.time_ns() for event in found)
    named = name not in {"binance", "kraken"}  # their quotes carry no time
    assert all((abs(quote.ts_venue - quote.ts_received) < 10**9) == named for quote in quotes)
    assert all(0 <= trade.ts_received - trade.ts_venue < 10**9 and trade.qty > 0 for trade in trades if trade.ts_venue)
    assert len({trade.trade_id for trade in trades}) == len(trades)
    assert not of(found, Malformed)


@pytest.mark.parametrize("name", ["coinbase", "alpaca", "oanda"])
@pytest.mark.parametrize(
    ("fault", "size", "seen"),
    [
        (Fault.CROSSED, 1.0, lambda quote: quote.bid > quote.ask),
        (Fault.SKEW, 60.0, lambda quote: 59e9 < quote.ts_received - quote.ts_venue < 61e9),
        (
            Fault.DRIFT,
            500.0,
            lambda quote: quote.bid / {"B": 60_000, "E": 1.1, "G": 1.27, "A": 100}[quote.symbol[0]] > 1.04,
        ),
    ],
)
async def test_what_is_wrong_is_handed_over_as_it_was_said(
    name: str, fault: Fault, size: float, seen: Any, tmp_path: Path
) -> None:
    async with desk(name, tmp_path, symbols=SYMBOLS.get(name, ("BTC-USD",))[:1]) as (server, one):
        found = await hear(
            one, lambda heard: any(seen(quote) for quote in of(heard, QuoteSeen)), lambda: server.misbehave(fault, size)
        )
    assert not of(found, Disconnected)


@pytest.mark.parametrize("name", ["alpaca", "oanda"])
async def test_duplicates_are_not_hidden(name: str, tmp_path: Path) -> None:
    async with desk(name, tmp_path) as (server, one):
        server.misbehave(Fault.DUPLICATES, 3)
        found = await hear(one, quoted(9))
    times = [quote.ts_venue for quote in of(found, QuoteSeen)]
    assert max(times.count(ts) for ts in times) == 3


async def test_a_price_at_which_nobody_can_trade_is_only_a_sign_of_life(tmp_path: Path) -> None:
    async with desk("oanda", tmp_path) as (server, one):
        server.market_closed = True
        found = await hear(one, lambda heard: len(of(heard, Heartbeat)) > 3)
    assert not of(found, QuoteSeen)


@pytest.mark.parametrize("name", CRYPTO)
async def test_what_an_exchange_does_not_list_is_said_and_the_rest_is_heard(name: str, tmp_path: Path) -> None:
    async with desk(name, tmp_path, symbols=("BTC-USD", "DOGE-USD")) as (_, one):
        found = await hear(one, lambda heard: len(of(heard, QuoteSeen)) > 2)
    assert [(bad.symbol, bad.detail) for bad in of(found, Malformed)] == [("DOGE-USD", "not listed at this exchange")]


async def test_trades_of_before_the_subscription_are_history_however_long_the_start_took(tmp_path: Path) -> None:
    async with desk("kraken", tmp_path, symbols=("BTC-USD",)) as (server, _):
        trade, clock = server.wording.trade, iter([60 * 10**9])

        def aged(tick: Tick) -> Any:
            """What it sends along is ten seconds old."""
            old = time.time_ns() - tick.ts_ns > 10**12
            return trade(tick._replace(ts_ns=time.time_ns() - 10 * 10**9) if old else tick)

        server.wording.trade = aged
        feed = FeedSettings(name="k", adapter="kraken", venue="KRAKEN", symbols=("BTC-USD",), url=server.url)
        one = ccxt_pro.connect(feed, lambda: time.time_ns() - next(clock, 0), 7, ping_s=PING_S)  # begun a minute ago
        found = await hear(one, lambda heard: len(of(heard, TradeSeen)) > 3)
    assert all(trade.ts_received - trade.ts_venue < 5e9 for trade in of(found, TradeSeen))


# --- bad days ----------------------------------------------------------------------------------------------------------
@pytest.mark.req("MKT-02")
@pytest.mark.parametrize("name", ALL)
async def test_a_message_that_cannot_be_read_costs_only_itself(name: str, tmp_path: Path) -> None:
    async with desk(name, tmp_path) as (server, one):

        def enough(heard: list[FeedEvent]) -> bool:
            bad = [place for place, event in enumerate(heard) if type(event) is Malformed]
            return len(bad) > 20 and any(type(event) is QuoteSeen for event in heard[bad[20] :])

        def then() -> None:
            server.misbehave(Fault.MALFORMED)
            asyncio.get_running_loop().call_later(0.5, server.misbehave, None)

        found = await hear(one, enough, then)
    assert not of(found, Disconnected)
    assert all(len(bad.detail) <= 120 for bad in of(found, Malformed))


@pytest.mark.req("MKT-02")
@pytest.mark.parametrize("name", ALL)
async def test_a_connection_that_is_cut_is_said_once_and_opened_again(name: str, tmp_path: Path) -> None:
    async with desk(name, tmp_path) as (server, one):
        found = await hear(
            one,
            lambda heard: bool(of(heard, Disconnected)) and type(heard[-1]) is QuoteSeen,
            lambda: server.misbehave(Fault.DISCONNECT) or server.misbehave(None),
        )
    order = [type(event).__name__ for event in found if isinstance(event, Connected | Disconnected)]
    assert order == ["Connected", "Disconnected", "Connected"]


@pytest.mark.req("MKT-02")
@pytest.mark.parametrize("name", ALL)
async def test_a_connection_that_says_nothing_is_given_up(name: str, tmp_path: Path) -> None:
    """Not even a ping is answered: a dead machine, or a router that forgot us."""
    async with desk(name, tmp_path) as (server, one):
        found = await hear(one, lambda heard: bool(of(heard, Disconnected)), lambda: server.misbehave(Fault.SILENCE))
        quiet_s = (found[-1].ts_received - of(found, QuoteSeen)[-1].ts_received) / 1e9
        assert quiet_s < 10 * PING_S
        server.misbehave(None)
        assert of(await hear(one, quoted(1)), QuoteSeen)


@pytest.mark.parametrize("name", ALL)
async def test_a_feed_that_stands_still_shows_that_it_lives(name: str, tmp_path: Path) -> None:
    async with desk(name, tmp_path) as (server, one):
        found = await hear(one, lambda heard: len(of(heard, Heartbeat)) >= 4, lambda: server.misbehave(Fault.FREEZE))
    assert not of(found, Disconnected)


async def test_an_exchange_that_answers_pings_and_prices_nothing_is_connected_to_anew(tmp_path: Path) -> None:
    """It has forgotten what was subscribed."""
    async with desk("kraken", tmp_path) as (server, _):
        feed = FeedSettings(name="k", adapter="kraken", venue="KRAKEN", symbols=("BTC-USD",), url=server.url)
        one = ccxt_pro.connect(feed, time.time_ns, 7, ping_s=PING_S, price_s=0.8)

        def enough(heard: list[FeedEvent]) -> bool:
            if type(heard[-1]) is Disconnected:
                server.misbehave(None)
            return bool(of(heard, Disconnected)) and type(heard[-1]) is QuoteSeen

        found = await hear(one, enough, lambda: server.misbehave(Fault.FREEZE))
    assert [lost.reason for lost in of(found, Disconnected)] == ["no price for 0.8 s"]


@pytest.mark.parametrize("name", ALL)
async def test_too_many_requests_are_followed_by_the_pause_that_was_asked_for(name: str, tmp_path: Path) -> None:
    async with desk(name, tmp_path) as (server, one):
        server.misbehave(Fault.RATE_LIMIT, 1.2)

        def enough(heard: list[FeedEvent]) -> bool:
            if type(heard[-1]) is Disconnected:
                server.misbehave(None)
            return type(heard[-1]) is Connected

        found = await hear(one, enough)
    (lost,) = of(found, Disconnected)
    assert "429" in lost.reason
    assert found[-1].ts_received - lost.ts_received >= 1.2e9


@pytest.mark.parametrize("name", ALL)
async def test_a_venue_that_is_overrun_after_a_cut_is_given_its_pause(name: str, tmp_path: Path) -> None:
    """As after a restart of the venue, when everybody comes back at once."""
    async with desk(name, tmp_path) as (server, one):

        def overrun() -> None:
            server.misbehave(Fault.RATE_LIMIT, 1.0)
            server.cut()

        def enough(heard: list[FeedEvent]) -> bool:
            if "429" in getattr(heard[-1], "reason", ""):
                server.misbehave(None)
            return len(of(heard, Connected)) == 2

        found = await hear(one, enough, overrun)
    last = of(found, Disconnected)[-1]
    assert "429" in last.reason
    assert found[-1].ts_received - last.ts_received >= 1e9


@pytest.mark.parametrize("name", ALL)
async def test_a_slow_venue_is_waited_for(name: str, tmp_path: Path) -> None:
    async with desk(name, tmp_path) as (server, one):
        server.misbehave(Fault.SLOW, 0.25)
        found = await hear(one, quoted(1))
    assert not of(found, Disconnected)


async def test_an_answer_that_cannot_be_unpacked_is_a_lost_connection(tmp_path: Path) -> None:
    """As of a proxy that says gzip and sends a page."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(body=b"<html>", headers={"Content-Encoding": "gzip"})

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        one = connection("oanda", f"http://{host}:{port}", tmp_path)
        found = await hear(one, lambda heard: len(of(heard, Disconnected)) == 2)
    finally:
        await runner.cleanup()
    assert of(found, Disconnected)[0].reason == "no connection: DecodingError"


@pytest.mark.parametrize(("steady_s", "counted"), [(10.0, [1, 2, 3, 4, 5, 6]), (0.0, [1, 2, 3, 4, 1, 2])])
async def test_pauses_grow_until_a_session_has_priced_for_a_while(steady_s: float, counted: list[int]) -> None:
    """A venue that takes a connection and drops it is not asked faster and faster, nor one that first says its last price."""
    slept: list[float] = []

    async def session() -> AsyncIterator[FeedEvent]:
        yield Connected(ts_received=0)
        if len(slept) == 4:
            yield QuoteSeen(symbol="A", ts_received=0, bid=1, ask=2)
        raise LostError("gone")

    class Recording:
        def pause_s(self, failures: int, at_least_s: float) -> float:
            slept.append(failures)
            return 0.0

    backoff: Any = Recording()
    one = Reconnecting("x", session, time.time_ns, backoff=backoff, silence_s=1.0, steady_s=steady_s)  # type: ignore[arg-type]
    await hear(one, lambda heard: len(of(heard, Disconnected)) == 7)
    assert slept[:6] == counted


# --- keys --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["alpaca", "oanda"])
async def test_a_refused_key_is_in_no_event_and_no_log(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at the most talkative level either, and though the venue repeats it in its answer."""
    caplog.set_level(logging.DEBUG)
    wrong = {"key": "WRONG", "secret": "WRONG-SECRET"}
    (tmp_path / "key").write_text(json.dumps(wrong) if name == "alpaca" else "WRONG-SECRET")
    async with desk(name, tmp_path) as (_, one):
        found = await hear(one, lambda heard: len(of(heard, Disconnected)) == 2)
    assert "is refused" in of(found, Disconnected)[0].reason
    assert not any(secret in f"{found!r} {one!r} {caplog.text}" for secret in SECRETS)


@pytest.mark.parametrize("name", ["alpaca", "oanda"])
async def test_a_good_key_is_in_no_log_either(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with desk(name, tmp_path) as (_, one):
        found = await hear(one, quoted(2))
    assert not any(secret in f"{found!r} {caplog.text}" for secret in SECRETS)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("alpaca", None, "cannot be read"),
        ("alpaca", "", "empty"),
        ("alpaca", "SK-never-shown", '{"key": "…", "secret": "…"}'),
        ("alpaca", '{"key": "SK-never-shown"}', '{"key": "…", "secret": "…"}'),
        ("oanda", " \n", "empty"),
    ],
)
def test_a_key_file_that_is_none_is_one_sentence_without_its_content(
    name: str, content: str | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "elsewhere"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as refused:
        connection(name, "", tmp_path, key_file=str(path))
    assert said in str(refused.value)
    assert "never-shown" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("alpaca", {"key_file": ""}, "key_file is not set"),
        ("oanda", {"key_file": ""}, "key_file is not set"),
        ("oanda", {"account": ""}, "account is not set"),
        ("kraken", {"symbols": ("BTC-USDT-PERP",)}, "only spot is streamed"),
    ],
)
def test_a_feed_that_cannot_work_is_refused_at_the_start(
    name: str, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        connection(name, "", tmp_path, **changes)


def test_without_ccxt_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(ConfigError, match="crypto"):
        connection("kraken", "", tmp_path)
