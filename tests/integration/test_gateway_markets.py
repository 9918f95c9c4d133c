"""Regimes, sessions, feeds and events: said on the tape, recorded, served and streamed."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
import websockets
from support.gateway import Stage, assert_problem
from websockets.exceptions import ConnectionClosed

from common import messages as m
from common.messages.market_data import Bar, EconomicEvent, Impact
from common.messages.regime import MarketReading, ModelReading, RegimeReading
from common.model.enums import Side
from common.model.time import NS_PER_DAY, NS_PER_HOUR
from common.quant.adaptive import atr_percentile
from common.quant.profile_levels import levels
from common.quant.thresholds import multiplier
from common.runtime.embedded import EmbeddedServers
from common.runtime.nats_config import provision_at
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.testing.builders import EUR_USD, T0, a

pytestmark = [pytest.mark.integration, pytest.mark.req("GTW-01")]

MIDNIGHT = T0 - T0 % NS_PER_DAY
OF = f"instrument_id={EUR_USD}&timeframe=1h"


@pytest.fixture(scope="module")
def stage(prepared_home: Path) -> Iterator[Stage]:
    """On servers of its own: on a tape that other tests have written to, nothing would be empty."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="ballast-markets-"))
        stack.callback(shutil.rmtree, home)
        shutil.copytree(prepared_home, home, dirs_exist_ok=True, symlinks=True)
        servers = EmbeddedServers(home / "servers")
        stack.callback(servers.stop)
        endpoints = servers.start()
        asyncio.run(provision_at(endpoints.login("admin")))
        stage = Stage(endpoints, home)
        stack.enter_context(stage.recorder)
        stack.enter_context(stage.gateway)
        asyncio.run(stage.say("market_data", a(m.RunStarted)))
        asyncio.run(stage.say("market_data", a(m.InstrumentsDefined)))
        asyncio.run(stage.until("/api/v1/status", lambda body: body.get("run")))
        yield stage


async def served(stage: Stage, path: str) -> Any:
    async with stage.client() as client:
        answer = await client.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()


async def recorded(stage: Stage, seq: int) -> None:
    await stage.until("/api/v1/status", lambda body: int(body.get("tape", {}).get("seq", 0)) >= seq)


async def test_before_anything_is_said_every_answer_is_empty_and_says_so(stage: Stage) -> None:
    assert await served(stage, "regime/models") == []
    market = await served(stage, "regime/market")
    assert (market["market"], market["overrides"]) == (None, [])
    assert (await served(stage, "sessions"))["items"] == []
    assert (await served(stage, f"prices/profile?instrument_id={EUR_USD}"))["poc"] is None
    chart = await served(stage, f"regime/chart?{OF}")
    assert (chart["bars"]["close"], chart["spans"], chart["models"]["bull"]) == ([], [], [])
    for path in ("feeds", "events", "sessions/heatmap"):
        assert (await served(stage, path))["items"] == []


def bar(hour: int, open_: float, close: float, **more: Any) -> Bar:
    return a(Bar, open=open_, close=close, high=max(open_, close), low=min(open_, close), **more)


@pytest.mark.req("REG-11", "SIG-08")
async def test_bars_become_a_chart_a_heat_map_and_levels(stage: Stage) -> None:
    closes = [(1.0 + 0.001 * (hour % 7), 1.0 + 0.001 * (hour % 5)) for hour in range(48)]
    for hour, (open_, close) in enumerate(closes):
        ts = MIDNIGHT + (hour + 1) * NS_PER_HOUR
        bars = (bar(hour, open_, close, volume=float(hour + 1)), bar(hour, 9.0, 9.0, timeframe="4h", base=False))
        seq, _ = await stage.say("market_data", a(m.MarketSlice, ts_event=ts, step=hour + 1, bars=bars, quotes=()))
    await recorded(stage, seq)

    chart = (await served(stage, f"regime/chart?{OF}&points=3"))["bars"]
    assert chart["ts_event"] == [MIDNIGHT + hour * NS_PER_HOUR for hour in (46, 47, 48)]
    assert chart["close"] == [close for _, close in closes[-3:]]

    cells = {one["hour"]: one for one in (await served(stage, "sessions/heatmap"))["items"]}
    assert len(cells) == 24
    for hour, cell in cells.items():
        moves = [abs(close / open_ - 1) * 1e4 for open_, close in (closes[hour], closes[hour + 24])]
        assert (cell["hours"], cell["mean_move_bps"]) == (2, pytest.approx(sum(moves) / 2, abs=1e-9))
    one_day = {one["hour"]: one["hours"] for one in (await served(stage, "sessions/heatmap?days=1"))["items"]}
    assert one_day == dict.fromkeys(range(24), 1)

    weights: dict[int, float] = {}
    for hour, (open_, close) in enumerate(closes):
        number = math.floor(math.log((max(open_, close) + min(open_, close) + close) / 3) / math.log(1.001))
        weights[number] = weights.get(number, 0.0) + hour + 1
    first = min(weights)
    expected = levels(first, [weights.get(first + place, 0.0) for place in range(max(weights) - first + 1)])
    found = await served(stage, f"prices/profile?instrument_id={EUR_USD}")
    assert expected is not None
    assert (found["poc"], found["value_low"], found["value_high"]) == (expected.poc, expected.val, expected.vah)
    assert (found["bars"], found["timeframe"], found["by"]) == (48, "1h", "volume")


@pytest.mark.req("SIG-08")
async def test_the_hour_that_is_not_over_yet_is_in_no_level(stage: Stage) -> None:
    half = a(Bar, timeframe="30m", instrument_id="HALF", close=1.0)
    ends = [MIDNIGHT + 72 * NS_PER_HOUR + part * NS_PER_HOUR // 2 for part in (1, 2, 3)]
    for ts in ends:
        seq, _ = await stage.say("market_data", a(m.MarketSlice, ts_event=ts, bars=(half,), quotes=()))
    await recorded(stage, seq)
    found = await served(stage, "prices/profile?instrument_id=HALF")
    assert (found["bars"], found["timeframe"], found["ts_event"]) == (2, "30m", ends[1])


@pytest.mark.req("SIG-06")
async def test_adaptive_thresholds_are_told_with_their_reasons_and_without_enough_hours_why_there_are_none(
    stage: Stage,
) -> None:
    few = await served(stage, "signals/thresholds?instrument_id=NOBODY")
    assert (few["items"], few["hours"], few["reason"]) == (
        [],
        0,
        "no hour of bars of an hour or less is recorded and over",
    )
    closes = [1.0 + 0.001 * (number * number % 37) for number in range(800)]
    bars = [a(Bar, instrument_id="WILD", close=close, high=close + 0.002, low=close - 0.001) for close in closes]
    ends = [MIDNIGHT + (100 + place) * NS_PER_HOUR for place in range(len(bars))]
    tape = await NatsTape.connect(stage.endpoints.login("market_data"))
    for ts, one in zip(ends, bars, strict=True):
        said = a(m.MarketSlice, ts_event=ts, bars=(one,), quotes=())
        stored = await tape.append(subject(said), envelope("market_data", said, f"wild-{ts}", cause=None))
    await recorded(stage, await stored)
    await tape.close()
    found = await served(stage, "signals/thresholds?instrument_id=WILD&limit=5")
    high, low, close = (np.array([getattr(one, name) for one in bars]) for name in ("high", "low", "close"))
    ranks = atr_percentile(high, low, close, np.array(ends) / 1e9, 24, 30)
    assert (found["timeframe"], found["hours"], len(found["items"])) == ("1h", 799, 5)  # the first bar follows on none
    for one in found["items"]:
        assert one["percentile"] == pytest.approx(ranks[ends.index(one["ts"])], abs=1e-12)  # as the strategies have it
        assert one["multiplier"] == pytest.approx(multiplier(one["percentile"], 0.5, 2.0), abs=1e-12)
        assert one["multiplier"] != one["before"]
        assert f"percentile {100 * one['percentile']:.0f} of 30 days" in one["reason"]


@pytest.mark.parametrize("wrong", ["least=0", "least=1.1", "most=0.9", "limit=0", "most=nan"])
async def test_thresholds_without_sense_are_refused(stage: Stage, wrong: str) -> None:
    async with stage.client() as client:
        answer = await client.get(f"/api/v1/signals/thresholds?instrument_id=X&{wrong}")
    assert_problem(answer, 422)


@pytest.mark.req("REG-11")
async def test_trades_won_are_counted_from_fills_in_the_hour_in_which_they_began(stage: Stage) -> None:
    for hour, side, px in ((9, Side.BUY, "1.0"), (12, Side.SELL, "1.1"), (33, Side.BUY, "1.0"), (40, Side.SELL, "0.9")):
        ts = MIDNIGHT + hour * NS_PER_HOUR + NS_PER_HOUR // 2
        fill = a(m.OrderFilled, ts_event=ts, side=side, last_qty=Decimal(100), last_px=Decimal(px), fill_id=str(hour))
        seq, _ = await stage.say("execution", fill)
    await recorded(stage, seq)
    found = await served(stage, "sessions/heatmap")
    (cell,) = [one for one in found["items"] if one["trades"]]
    assert (cell["hour"], cell["trades"], cell["wins"], cell["win_rate"]) == (9, 2, 1, 0.5)


@pytest.mark.req("REG-10")
async def test_sessions_are_told_at_data_time(stage: Stage) -> None:
    seq, _ = await stage.say("market_data", a(m.MarketSlice, ts_event=MIDNIGHT + 14 * NS_PER_HOUR, quotes=(), bars=()))
    await recorded(stage, seq)
    found = await served(stage, "sessions")
    assert (found["overlap"], found["fx_open"]) == ("London+New York", True)
    assert [one["session"] for one in found["items"] if one["open"]] == ["London", "New York"]


@pytest.mark.req("REG-01", "REG-05", "REG-07", "REG-08")
async def test_readings_become_spans_and_models_and_stress_have_their_history(stage: Stage) -> None:
    said = [("RANGING", ""), ("RANGING", ""), ("CRISIS", "anna"), ("CRISIS", "")]
    for place, (regime, by) in enumerate(said):
        ts = T0 + place * NS_PER_HOUR
        step = a(
            m.RegimeStep,
            ts_event=ts,
            step=place,
            readings=(a(RegimeReading, regime=regime, override=by),),
            models=(a(ModelReading, bull=0.1 * place),),
            market=a(MarketReading, stress_score=0.2 * place, spread=None),
        )
        seq, _ = await stage.say("regime", step)
    await recorded(stage, seq)
    spans = (await served(stage, f"regime/chart?{OF}"))["spans"]
    assert [(one["regime"], one["override"], one["bars"]) for one in spans] == [
        ("RANGING", "", 2),
        ("CRISIS", "anna", 1),
        ("CRISIS", "", 1),
    ]
    assert (spans[0]["from_ns"], spans[0]["until_ns"]) == (T0, T0 + NS_PER_HOUR)
    assert (await served(stage, f"regime/chart?{OF}&points=2"))["models"]["bull"] == pytest.approx([0.2, 0.3])
    (now,) = await served(stage, f"regime/models?instrument_id={EUR_USD}")
    assert (now["bull"], now["change_24h"]) == (pytest.approx(0.3), 0.25)
    market = (await served(stage, "regime/market"))["market"]
    assert (market["stress_score"], market["spread"], market["crisis"]) == (pytest.approx(0.6), None, False)
    history = await served(stage, "regime/market/history?limit=3")
    assert [one["step"] for one in history["items"]] == [3, 2, 1]
    assert (await served(stage, f"regime/market/history?before={history['next']}"))["items"][0]["step"] == 0


@pytest.mark.req("REG-08")
async def test_running_overrides_are_those_neither_lifted_nor_expired(stage: Stage) -> None:
    now = T0 + NS_PER_DAY
    await stage.say("market_data", a(m.MarketSlice, ts_event=now, quotes=(), bars=()))
    for name, regime, hours in (
        ("", "CRISIS", 1),
        ("OLD", "CHOPPY", -1),
        ("LIFTED", "RANGING", 9),
        ("LIFTED", None, 0),
    ):
        said = a(m.RegimeOverridden, instrument_id=name, regime=regime, expires_ns=now + hours * NS_PER_HOUR)
        seq, _ = await stage.say("regime", said)
    await recorded(stage, seq)
    (running,) = (await served(stage, "regime/market"))["overrides"]
    assert (running["instrument_id"], running["regime"], running["author"]) == ("", "CRISIS", "anna")
    kept = (await served(stage, "regime/overrides?limit=2"))["items"]
    assert [(one["instrument_id"], one["regime"]) for one in kept] == [("LIFTED", None), ("LIFTED", "RANGING")]


@pytest.mark.req("MKT-02")
async def test_of_feeds_the_one_that_was_made_active_last_is_active(stage: Stage) -> None:
    for feed, active, score in (("fxcm", True, 1.0), ("oanda", True, 0.9), ("fxcm", False, 0.4), ("third", False, 0.8)):
        seq, _ = await stage.say("market_data", a(m.FeedChanged, feed=feed, active=active, score=score))
    await recorded(stage, seq)
    found = (await served(stage, "feeds"))["items"]
    assert {one["feed"]: (one["active"], one["score"]) for one in found} == {
        "fxcm": (False, 0.4),
        "oanda": (True, 0.9),
        "third": (False, 0.8),
    }
    assert (await served(stage, f"feeds/history?instrument_id={EUR_USD}&limit=1"))["items"][0]["feed"] == "third"


@pytest.mark.req("MKT-07")
async def test_what_a_later_calendar_says_of_a_span_replaces_what_was_said_before(stage: Stage) -> None:
    now = T0 + 2 * NS_PER_DAY
    await stage.say("market_data", a(m.MarketSlice, ts_event=now, quotes=(), bars=()))

    def at(hours: int, name: str, impact: Impact = Impact.HIGH, currency: str = "USD") -> EconomicEvent:
        return EconomicEvent(ts_event=now + hours * NS_PER_HOUR, currency=currency, impact=impact, name=name)

    first = (at(-1, "over"), at(2, "moved away"), at(30, "beyond"))
    second = (
        at(1, "soon", Impact.LOW),
        at(3, "moved here"),
        at(5, "for all", currency="ALL"),
        at(6, "yen", currency="JPY"),
    )
    for events in (first, second):
        seq, _ = await stage.say("market_data", a(m.EventsScheduled, ts_event=now, events=events))
    await recorded(stage, seq)
    names = [one["name"] for one in (await served(stage, "events"))["items"]]
    assert names == ["soon", "moved here", "for all", "yen", "beyond"]
    important = await served(stage, "events?impact=HIGH&currency=USD&limit=2")
    assert [one["name"] for one in important["items"]] == ["moved here", "for all"]


@pytest.mark.req("GTW-02", "REG-07", "REG-08", "MKT-02", "MKT-07")
async def test_the_stream_tells_models_market_feeds_overrides_and_the_calendar(stage: Stage) -> None:
    mine = {"Authorization": "Basic " + base64.b64encode(f"admin:{stage.password}".encode()).decode()}
    wanted = ("models", "market", "feeds", "overrides", "calendar")
    url = f"{stage.url.replace('http', 'ws')}/api/v1/stream?topics={','.join(wanted)}"
    said = (("regime", m.RegimeStep), ("market_data", m.FeedChanged), ("regime", m.RegimeOverridden))
    async with websockets.connect(url, additional_headers=mine) as socket:
        for user, kind in (*said, ("market_data", m.EventsScheduled)):
            await stage.say(user, a(kind))
        frames: dict[str, Any] = {}
        while set(frames) < set(wanted):
            frame = json.loads(await socket.recv())
            frames[frame["topic"]] = frame["data"]
    assert frames["models"][f"{EUR_USD}|1h"]["bull"] == 0.7
    assert frames["market"]["market"]["stress_score"] == 0.3
    assert frames["feeds"][f"{EUR_USD}|oanda"]["score"] == 0.97
    assert frames["overrides"][EUR_USD]["regime"] == "VOLATILE"
    assert frames["calendar"]["events"]["events"][0]["currency"] == "USD"


@pytest.mark.req("GTW-02")
@pytest.mark.parametrize("topic", ["x" * 200, "\u00e9" * 200, "models,nonsense"])
async def test_an_unknown_topic_is_refused_with_a_reason_however_long_it_is(stage: Stage, topic: str) -> None:
    mine = {"Authorization": "Basic " + base64.b64encode(f"admin:{stage.password}".encode()).decode()}
    url = f"{stage.url.replace('http', 'ws')}/api/v1/stream?topics={quote(topic)}"
    async with websockets.connect(url, additional_headers=mine) as socket:
        with pytest.raises(ConnectionClosed, match="unknown topic '") as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("regime/chart?timeframe=1h", "instrument_id"),
        (f"regime/chart?{OF}&points=1001", "points"),
        (f"regime/chart?instrument_id={EUR_USD}&timeframe=3d", "timeframe"),
        ("sessions/heatmap?days=0", "days"),
        ("sessions/heatmap?days=367", "days"),
        ("events?impact=HUGE", "impact"),
        ("feeds/history?limit=501", "limit"),
    ],
)
async def test_what_would_be_too_much_or_is_unknown_is_a_problem(stage: Stage, path: str, named: str) -> None:
    async with stage.client() as client:
        assert_problem(await client.get(f"/api/v1/{path}"), 422, named)


async def test_nobody_reads_markets_without_a_login_and_the_page_has_all_its_parts(stage: Stage) -> None:
    async with httpx.AsyncClient(base_url=stage.url) as nobody:
        for path in ("regime/models", "regime/market", "sessions", "sessions/heatmap", "feeds", "events"):
            assert_problem(await nobody.get(f"/api/v1/{path}"), 401)
    async with stage.client() as client:
        page = (await client.get("/")).text
        scripts = ["app", "tools", "book", "dialogs", "markets", "marketchart", "override", "sessions"]
        for name in [*(f"{script}.js" for script in scripts), "style.css", "markets.css"]:
            assert (await client.get(f"/static/{name}")).status_code == 200
    assert "http" not in page.replace("http-equiv", "")
    assert "<script>" not in page
    assert " style=" not in page


async def test_a_browser_may_say_where_its_own_form_comes_from(stage: Stage) -> None:
    """Under `no-referrer` a browser sends `Origin: null` with the login form, which is refused."""
    async with httpx.AsyncClient(base_url=stage.url) as nobody:
        assert (await nobody.get("/login")).headers["referrer-policy"] == "same-origin"
        mine = {"Origin": stage.url}
        answer = await nobody.post("/login", data={"password": stage.password}, headers=mine)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
