"""Processes that a drill kills, freezes and starts again at once. Whatever ends without being asked is counted and started again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import httpx

from common.runtime.embedded.home import Home
from common.runtime.embedded.process import Process, ProcessSpec, evict, lock_file, log_tail, spawn, stop

READY_WITHIN_S: Final = 60.0
_POLL_S: Final = 0.01


class Runner:
    """One process. `port` is where it tells its health, None where it has none; `ready` asks it in another way."""

    def __init__(
        self, home: Home, spec: ProcessSpec, port: int | None = None, ready: Callable[[], bool] | None = None
    ) -> None:
        self.name = spec.name
        self.port = port
        self.spec = spec
        self.crashes = 0  # ends that nobody asked for
        self.wanted = False
        self._home = home
        self._ready = ready
        self._process: Process | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Call from the main thread: processes end with the thread that started them."""
        self._process = spawn(self._home, self.spec)
        self.wanted = True

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """-9."""
        self.wanted = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def kill_and_start(self) -> None:
        self.kill()
        await asyncio.to_thread(evict, lock_file(self._home, self.name))  # children it has left
        self.start()

    async def stop(self) -> float:
        """Asked politely, and killed when it does not obey. Returns how long it took in seconds."""
        self.wanted = False
        began = time.monotonic()
        if self._process is not None and self.alive:
            self._process.send_signal(signal.SIGCONT)
            await asyncio.to_thread(stop, self._process, self.spec)
        return time.monotonic() - began

    def revive(self) -> None:
        """Starts it again if it has ended unasked."""
        if self.wanted and not self.alive:
            self.crashes += 1
            self.start()

    async def health(self) -> dict[str, Any]:
        """What `/health/ready` says; not ready while nobody answers."""
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
                found: dict[str, Any] = (await client.get(f"http://127.0.0.1:{self.port}/health/ready")).json()
        except (httpx.HTTPError, ValueError):
            return {"ready": False}
        return found

    async def until_ready(self, within_s: float = READY_WITHIN_S) -> float:
        """Returns how long that took. Raises AssertionError with the end of its log."""
        began = time.monotonic()
        while not await self._is_ready():
            late = time.monotonic() - began > within_s
            assert not late, f"{self.name} is not ready within {within_s:g} s:\n{log_tail(self._home, self.name, 20)}"
            await asyncio.sleep(_POLL_S)
        return time.monotonic() - began

    async def _is_ready(self) -> bool:
        if self._ready is not None:
            return await asyncio.to_thread(self._ready)
        return self.port is None or bool((await self.health())["ready"])


async def keep_alive(runners: Sequence[Runner]) -> None:
    """For ever."""
    while True:
        for runner in runners:
            runner.revive()
        await asyncio.sleep(0.05)
