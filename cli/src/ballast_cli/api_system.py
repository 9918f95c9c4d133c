"""The system that `ballast bench api` loads: the one that runs here, or one of its own; and how long its steps take."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from common.contracts import ALL, pattern
from common.errors import TapeError
from common.messages.market_data import MarketSlice
from common.messages.orders import ExecutionStep
from common.runtime.codec import decode_envelope
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.environment import read_secret
from common.runtime.nats_tape import NatsTape
from common.runtime.supervisor import Status
from common.runtime.tape import Record
from gateway.auth import USER

# A step every two seconds: thirty times as often as minute bars close.
STEPS_PER_S: Final = "0.5"
READY_WITHIN_S: Final = 120.0
_REMEMBERED: Final = 4096
_UP: Final = (sys.executable, "-c", "from ballast_cli.main import main; main()", "up", "--json", "--speed", STEPS_PER_S)


class Running(NamedTuple):
    """A system whose gateway answers."""

    home: Path
    port: int
    password: str
    own: bool


class Steps:
    """From a slice to the end of its step, by the stamps of their envelopes; and when each message was heard here."""

    def __init__(self) -> None:
        self.heard: dict[int, float] = {}
        self._begun: dict[int, int] = {}
        self._took: list[float] = []

    def take(self) -> list[float]:
        """Milliseconds of the steps that ended since it was last asked."""
        took, self._took = self._took, []
        return took

    async def note(self, record: Record) -> None:
        self.heard[record.seq] = time.monotonic()
        self.heard.pop(record.seq - _REMEMBERED, None)
        said = decode_envelope(record.payload)
        if said.type == MarketSlice.TYPE:
            self._begun = {said.ts_event: said.ts_init}
        elif said.type == ExecutionStep.TYPE and said.ts_event in self._begun:
            self._took.append((said.ts_init - self._begun.pop(said.ts_event)) / 1e6)


@asynccontextmanager
async def system(home: Path) -> AsyncIterator[tuple[Running, Steps]]:
    """Ready, and its tape followed. What was started here is stopped."""
    if Status.load(home) is not None:
        async with _followed(home) as steps:
            yield await _ready(home, own=False), steps
        return
    with tempfile.TemporaryDirectory(prefix="ballast-bench-") as folder:
        own = Path(folder) / "home"
        process = await asyncio.create_subprocess_exec(
            *_UP, env=_environment(own), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            running = await _ready(own, own=True)
            async with _followed(own) as steps:
                yield running, steps
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "BALLAST_HOME": str(home)}


async def _ready(home: Path, *, own: bool) -> Running:
    """Once the gateway says so. Raises TapeError when it does not."""
    end = time.monotonic() + READY_WITHIN_S
    async with httpx.AsyncClient(timeout=5) as client:
        while time.monotonic() < end:
            if (port := _port(home)) and (password := await _trading(client, home, port)):
                return Running(home, port, password, own)
            await asyncio.sleep(0.2)
    raise TapeError(
        f"{home}: the gateway is not ready within {READY_WITHIN_S:g} s; `ballast status` says what it waits for"
    )


async def _trading(client: httpx.AsyncClient, home: Path, port: int) -> str | None:
    """The password of a gateway that is ready and knows of a run."""
    url = f"http://127.0.0.1:{port}"
    try:
        if (await client.get(f"{url}/health/ready")).status_code != 200:
            return None
        password = read_secret(home / "secrets" / "gateway_password")
        answer = await client.get(f"{url}/api/v1/status", auth=(USER, password))
    except httpx.HTTPError:
        return None
    return password if answer.status_code == 200 and answer.json()["run"] else None


def _port(home: Path) -> int | None:
    status = Status.load(home)
    gateway = status.processes.get("gateway") if status else None
    return gateway.http_port if gateway else None


@asynccontextmanager
async def _followed(home: Path) -> AsyncIterator[Steps]:
    steps = Steps()
    tape = await NatsTape.connect(Endpoints.load(home).login("operator"))
    try:
        kinds = [pattern(kind) for kind in ALL]
        newest = await tape.last(kinds)
        await tape.read(kinds, newest.seq + 1 if newest else 1, steps.note)
        yield steps
    finally:
        await tape.close()
