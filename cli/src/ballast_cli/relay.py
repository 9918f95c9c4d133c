"""The floor for latency: five processes that do nothing but hand a message on over the same kind of stream.

`python -m ballast_cli.relay HOP HOME` is one of them: bare nats-py, an ordered consumer, a publish, no decoding.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

from common.runtime.embedded.endpoints import Endpoints
from common.runtime.subjects import STREAM


class Hop(NamedTuple):
    """Who listens to what and says what: the permissions of the real services allow just this."""

    user: str
    hears: str
    says: str


HOPS: Final = (
    Hop("regime", "md.slice.v1.fx", "regime.step.v1.fx"),
    Hop("signals", "regime.step.v1.fx", "signals.step.v1.fx"),
    Hop("portfolio", "signals.step.v1.fx", "portfolio.step.v1.fx"),
    Hop("risk_guardian", "portfolio.step.v1.fx", "order.approved.v1.paper.book"),
    Hop("execution", "order.approved.v1.paper.book", "order.submitted.v1.paper.book"),
)
_STAMP_BYTES: Final = 20
_READY: Final = b"ready\n"


async def drive(endpoints: Endpoints, home: Path, sizes: list[int], count: int, interval_s: float) -> list[float]:
    """Sends `count` messages through the hops, one every `interval_s`; milliseconds from publish to the last hop's publish.
    `sizes` are the bytes that travel on each hop.
    """
    argv = [sys.executable, "-m", "ballast_cli.relay"]
    processes = [
        subprocess.Popen([*argv, str(number), str(home), str(size)], stdout=subprocess.PIPE)  # noqa: ASYNC220, S603 (set-up; our own module)
        for number, size in enumerate([*sizes[1:], sizes[-1]])
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
        return await _measure(endpoints, sizes[0], count, interval_s)
    finally:
        for process in processes:
            process.terminate()
            process.wait()


async def _measure(endpoints: Endpoints, size: int, count: int, interval_s: float) -> list[float]:
    sender, ear = await _login(endpoints, "market_data"), await _login(endpoints, "operator")
    arrived: asyncio.Queue[int] = asyncio.Queue()

    async def receive(message: Msg) -> None:
        arrived.put_nowait(int(message.data[:_STAMP_BYTES]))

    await ear.jetstream().subscribe(HOPS[-1].says, stream=STREAM, cb=receive, ordered_consumer=True)
    times = []
    for _ in range(count + count // 10):
        started = time.time_ns()
        await sender.publish(HOPS[0].hears, b"0" * size)
        times.append((await asyncio.wait_for(arrived.get(), 30) - started) / 1e6)
        await asyncio.sleep(max(0.0, interval_s - (time.time_ns() - started) / 1e9))
    await sender.close()
    await ear.close()
    return times[count // 10 :]


async def _hop(hop: Hop, endpoints: Endpoints, size: int) -> None:
    client = await _login(endpoints, hop.user)
    padding = b"0" * max(0, size - _STAMP_BYTES)

    async def relay(message: Msg) -> None:
        await client.publish(hop.says, b"%0*d" % (_STAMP_BYTES, time.time_ns()) + padding)

    await client.jetstream().subscribe(hop.hears, stream=STREAM, cb=relay, ordered_consumer=True)
    sys.stdout.buffer.write(_READY)
    sys.stdout.flush()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()
    with contextlib.suppress(Exception):
        await client.close()


async def _login(endpoints: Endpoints, user: str) -> Client:
    return await nats.connect(
        endpoints.nats_url,
        user=user,
        password=endpoints.nats_password(user),
        inbox_prefix=f"_INBOX_{user}".encode(),
    )


if __name__ == "__main__":
    number, home, size = sys.argv[1:]
    uvloop.run(_hop(HOPS[int(number)], Endpoints.load(Path(home)), int(size)))
