"""The load of pages on the gateway: what it counts, and that it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from ballast_cli.api_load import Ask, Frame, Gateway, Seen, spread
from ballast_cli.api_system import Steps
from common import messages as m
from common.messages.base import Message
from common.runtime.codec import encode_envelope
from common.runtime.session import envelope
from common.runtime.tape import Record
from common.testing.builders import a

pytestmark = pytest.mark.req("MON-03")


def test_a_spread_of_nothing_is_nothing_and_of_a_hundred_its_quantiles() -> None:
    assert spread([]) == {"n": 0, "p50": None, "p99": None, "max": None}
    assert spread([float(ms) for ms in range(101)]) == {"n": 101, "p50": 50.0, "p99": 99.0, "max": 100.0}


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[Gateway, list[bytes]]]:
    """Something that gives one answer after the other, then closes."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers[len(asked) :]:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Gateway(server.sockets[0].getsockname()[1], "pass"), asked


def said(status: int, body: bytes = b"{}") -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


async def test_answers_are_timed_and_refusals_and_broken_connections_are_errors() -> None:
    seen = Seen(Steps())
    async with answering(said(200), said(503)) as (gateway, asked):
        ask = Ask(gateway, "status?x=1", seen)
        running = asyncio.create_task(ask.run())
        async with asyncio.timeout(10):
            for count in (1, 2):
                ask.now()
                ask.now()  # already wanted
                while len(seen.answers.get("status", [])) < count:  # noqa: ASYNC110 it happens in a task
                    await asyncio.sleep(0.01)
            ask.now()
            while len(seen.errors) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running.cancel()
    assert len(asked) == 2
    assert asked[0].startswith(b"GET /api/v1/status?x=1 HTTP/1.1\r\n")
    assert b"Authorization: Basic YWRtaW46cGFzcw==" in asked[0]
    assert seen.errors["status: 503"] == 1
    assert all(0 < ms < 5000 for ms in seen.answers["status"])


def record(seq: int, message: Message, ts_init: int) -> Record:
    sealed = envelope("market_data", message, f"{seq}", cause=None)
    return Record(seq=seq, payload=encode_envelope(msgspec.structs.replace(sealed, ts_init=ts_init)), pending=0)


async def test_a_step_is_timed_from_its_slice_to_its_end_and_frames_from_their_message() -> None:
    steps = Steps()
    await steps.note(record(1, a(m.MarketSlice, ts_event=5), 1_000_000))
    await steps.note(record(2, a(m.ExecutionStep, ts_event=5), 8_500_000))
    await steps.note(record(3, a(m.ExecutionStep, ts_event=4), 9_000_000))  # its slice was not seen
    assert steps.take() == [7.5]
    assert steps.take() == []

    seen = Seen(steps)
    seen.frame(Frame(topic="prices", seq=3))
    seen.frame(Frame(topic="prices", seq=99))  # not heard here
    assert (seen.frames, len(seen.lags)) == (2, 1)
