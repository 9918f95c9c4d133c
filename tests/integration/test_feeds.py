"""Live prices through the whole chain: redundant feeds that fail, a process that dies, venues that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from support.feed_servers import Fault, FeedServer, serving
from support.system import System, ballast, until

from common.messages import FeedChanged, InstrumentsDefined, MarketSlice, RiskStep, RowsQuarantined, RunStarted
from common.messages.base import Message
from common.model.account import Account
from common.model.run import Run
from common.model.time import NS_PER_MINUTE
from market_data.live.settings import FeedSettings, LiveSettings
from market_data.live.source import LiveSource
from market_data.settings import Settings

# Thirty times as fast as real: a slice every two seconds.
PAIR = """
[market_data]
symbols = []
[market_data.live]
clock_speed = 30
grace_s = 1
[[market_data.feeds]]
name = "a"
adapter = "recorded"
venue = "PAIR"
symbols = ["EUR-USD", "GBP-USD"]
heartbeat_s = 1
faults = [
  {kind = "SILENCE", at_s = 100, for_s = 50},
  {kind = "DISCONNECT", at_s = 200, for_s = 50},
  {kind = "DRIFT", at_s = 300, for_s = 50, size = 50},
  {kind = "CROSSED", at_s = 400, for_s = 50},
]
[[market_data.feeds]]
name = "b"
adapter = "recorded"
venue = "PAIR"
symbols = ["EUR-USD", "GBP-USD"]
heartbeat_s = 1
"""
FAULTS = 4
KILLS = 2


@pytest.mark.req("MKT-01", "MKT-02", "MKT-03", "PLT-02")
@pytest.mark.timeout(200)
def test_a_live_run_lives_through_faults_and_kills_and_its_tape_replays(home: Path) -> None:
    config = home / "live.toml"
    config.write_text(PAIR)
    with System(home, "--data", "live", "--config", str(config)) as system:
        for _ in range(KILLS):
            steps = len(system.said(RiskStep))
            until(lambda: len(system.said(RiskStep)) >= steps + 3, "the run goes on")  # noqa: B023
            system.kill("market_data")
        steps = len(system.said(RiskStep))
        until(lambda: len(system.said(RiskStep)) >= steps + 6, "the run goes on after the last kill")
        tape = [message for _, _, message in system.tape()]
    slices = [message for message in tape if isinstance(message, MarketSlice)]
    assert [one.step for one in slices] == list(range(1, len(slices) + 1))
    holes = [after.ts_event - before.ts_event for before, after in pairwise(slices)]
    assert all(hole % NS_PER_MINUTE == 0 and hole > 0 for hole in holes)
    assert sum(hole > NS_PER_MINUTE for hole in holes) <= KILLS
    assert sum(isinstance(message, RunStarted) for message in tape) == 1
    closed = {message.step for message in tape if isinstance(message, RiskStep)}
    assert closed >= set(range(1, len(slices)))
    quotes = [quote for one in slices for quote in one.quotes]
    assert {quote.instrument_id for quote in quotes} == {"EUR-USD.PAIR", "GBP-USD.PAIR"}
    assert all(0 < quote.bid <= quote.ask for quote in quotes)
    # A minute of the made-up market moves by less than ten basis points; a drift of fifty would show.
    closes = {name: [b.close for s in slices for b in s.bars if b.base and b.instrument_id == name] for name in names()}
    assert all(abs(after / before - 1) < 3e-3 for series in closes.values() for before, after in pairwise(series))
    taken = [m for m in tape if isinstance(m, FeedChanged) and m.active and m.feed == "b"]
    assert len(taken) >= FAULTS  # of both instruments, in what was not killed
    again = ballast(home, "replay", "--check")
    assert all(service["identical"] for service in again["services"].values()), again
    assert "market_data" not in again["services"]


def names() -> tuple[str, str]:
    return "EUR-USD.PAIR", "GBP-USD.PAIR"


# --- against the venues' own protocols ------------------------------------------------------------------
class Listener:
    """What a live source says, by the clock of this process."""

    def __init__(self, feeds: tuple[FeedSettings, ...]) -> None:
        settings = Settings(feeds=feeds, live=LiveSettings(opening_s=20))
        self.source = LiveSource(settings, Run(data="live"), Account())
        self.said: list[tuple[float, Message]] = []

    async def listen(self) -> None:
        async for number, messages in self.source.listen():
            assert number == self.source.state.number
            assert len(self.source.state.unsaid) == len(messages)
            self.said.extend((time.monotonic(), message) for message in messages)

    def changes(self, feed: str, *, active: bool) -> list[float]:
        return [
            at for at, one in self.said if isinstance(one, FeedChanged) and one.feed == feed and one.active is active
        ]


async def true(condition: object, what: str, within_s: float = 20) -> None:
    end = time.monotonic() + within_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def listening(*feeds: FeedSettings) -> AsyncIterator[Listener]:
    listener = Listener(feeds)
    task = asyncio.create_task(listener.listen())
    try:
        await true(lambda: task.done() or listener.said, "the run begins")
        yield listener
    finally:
        if task.done():
            task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def feed(name: str, protocol: str, server: FeedServer, venue: str = "PAIR", **keys: str) -> FeedSettings:
    return FeedSettings(
        name=name, adapter=protocol, venue=venue, symbols=tuple(server.symbols), url=server.url, heartbeat_s=1, **keys
    )


@pytest.mark.req("MKT-01", "MKT-02")
@pytest.mark.parametrize("fault", [Fault.DISCONNECT, Fault.SILENCE, Fault.CROSSED, Fault.DRIFT])
async def test_the_second_of_two_servers_takes_over_within_two_seconds(fault: Fault) -> None:
    async with (
        serving("kraken", ["BTC-USD"]) as first,
        serving("kraken", ["BTC-USD"]) as second,
        listening(feed("one", "kraken", first), feed("two", "kraken", second)) as heard,
    ):
        await true(lambda: heard.changes("one", active=True) or heard.changes("two", active=True), "one is active")
        active, other = ("one", "two") if heard.changes("one", active=True) else ("two", "one")
        await true(lambda: heard.changes(other, active=False), "the other one is well")
        await asyncio.sleep(1)
        hurt, began = (first if active == "one" else second), time.monotonic()
        hurt.misbehave(fault, 50)
        await true(lambda: heard.changes(other, active=True), f"{other} takes over")
        took_s = heard.changes(other, active=True)[0] - began
        print(f"{fault}: {took_s:.2f} s")
        assert took_s < 2.5  # 2 s, and a busy machine


@pytest.mark.req("MKT-01", "MKT-08")
async def test_one_coin_at_three_venues_is_three_instruments_side_by_side() -> None:
    async with contextlib.AsyncExitStack() as stack:
        feeds = []
        for protocol in ("coinbase", "kraken", "binance"):
            server = await stack.enter_async_context(serving(protocol, ["BTC-USD"]))
            feeds.append(feed(protocol, protocol, server, venue=protocol.upper()))
        heard = await stack.enter_async_context(listening(*feeds))
        defined = next(one for _, one in heard.said if isinstance(one, InstrumentsDefined))
        assert [one.instrument_id for one in defined.instruments] == [
            "BTC-USD.COINBASE",
            "BTC-USD.KRAKEN",
            "BTC-USD.BINANCE",
        ]
        await true(lambda: all(heard.changes(one.name, active=True) for one in feeds), "every venue has its feed")
        assert not [one for _, one in heard.said if isinstance(one, RowsQuarantined)]
        packed = msgspec.msgpack.encode(heard.source.state)
        assert msgspec.msgpack.decode(packed, type=type(heard.source.state)).instruments == defined.instruments
