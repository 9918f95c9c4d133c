"""The floor for latency: five processes that do nothing but hand a message on over the same kind of stream.

`python -m ballast_cli.relay JOB HOME SIZE CROWD` is one of them: bare nats-py, an ordered consumer, a publish, no decoding.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
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
_OBSERVERS: Final = ("recorder", "gateway")
_STAMP_BYTES: Final = 20
_READY: Final = b"ready\n"


class Load(NamedTuple):
    """`messages` of them, one every `interval_s`, `sizes` bytes on each hop. In a `crowd` every message is heard by as many
    processes as in the system: the slice by every hop, all of them by a recorder, a gateway and an operator.
    """

    sizes: list[int]
    messages: int
    interval_s: float
    crowd: bool


async def drive(endpoints: Endpoints, home: Path, load: Load) -> list[float]:
    """Sends the messages through the hops; milliseconds from publish to the last hop's publish."""
    jobs = [(str(number), size) for number, size in enumerate([*load.sizes[1:], load.sizes[-1]])]
    if load.crowd:
        jobs += [(user, 0) for user in _OBSERVERS]
    processes = [_start(job, home, size, crowd=load.crowd) for job, size in jobs]
    try:
        for process in processes:
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
        return await _measure(endpoints, load)
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def _start(job: str, home: Path, size: int, *, crowd: bool) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "ballast_cli.relay", job, str(home), str(size), str(int(crowd))]
    return subprocess.Popen(argv, stdout=subprocess.PIPE)  # noqa: S603 (our own module)


async def _measure(endpoints: Endpoints, load: Load) -> list[float]:
    sender, ear = await _login(endpoints, "market_data"), await _login(endpoints, "operator")
    arrived: asyncio.Queue[int] = asyncio.Queue()

    async def receive(message: Msg) -> None:
        arrived.put_nowait(int(message.data[:_STAMP_BYTES]))

    await _hear(ear, HOPS[-1].says, receive)
    if load.crowd:
        for hop in HOPS:
            await _hear(ear, hop.hears, _ignore)
    times = []
    for _ in range(load.messages + load.messages // 10):
        started = time.time_ns()
        await sender.publish(HOPS[0].hears, b"0" * load.sizes[0])
        times.append((await asyncio.wait_for(arrived.get(), 30) - started) / 1e6)
        await asyncio.sleep(max(0.0, load.interval_s - (time.time_ns() - started) / 1e9))
    await sender.close()
    await ear.close()
    return times[load.messages // 10 :]


async def _hop(hop: Hop, endpoints: Endpoints, size: int, *, crowd: bool) -> None:
    client = await _login(endpoints, hop.user)
    padding = b"0" * max(0, size - _STAMP_BYTES)

    async def relay(message: Msg) -> None:
        await client.publish(hop.says, b"%0*d" % (_STAMP_BYTES, time.time_ns()) + padding)

    await _hear(client, hop.hears, relay)
    if crowd and hop is not HOPS[0]:
        await _hear(client, HOPS[0].hears, _ignore)
    await _until_stopped(client)


async def _observe(user: str, endpoints: Endpoints) -> None:
    client = await _login(endpoints, user)
    for subject in (HOPS[0].hears, *(hop.says for hop in HOPS)):
        await _hear(client, subject, _ignore)
    await _until_stopped(client)


async def _hear(client: Client, subject: str, listener: Callable[[Msg], Awaitable[None]]) -> None:
    await client.jetstream().subscribe(subject, stream=STREAM, cb=listener, ordered_consumer=True)


async def _ignore(message: Msg) -> None:
    return


async def _until_stopped(client: Client) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    sys.stdout.buffer.write(_READY)
    sys.stdout.flush()
    await over.wait()
    with contextlib.suppress(Exception):
        await client.close()


async def _login(endpoints: Endpoints, user: str) -> Client:
    return await nats.connect(
        endpoints.nats_url,
        **endpoints.login(user).options(),
    )


if __name__ == "__main__":
    job, home, size, crowd = sys.argv[1:]
    found = Endpoints.load(Path(home))
    if job in _OBSERVERS:
        uvloop.run(_observe(job, found))
    else:
        uvloop.run(_hop(HOPS[int(job)], found, int(size), crowd=crowd == "1"))
