"""One process that is started again whenever it ends."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from common.errors import BallastError, ConfigError
from common.runtime.embedded.home import Home
from common.runtime.embedded.process import Process, ProcessSpec, evict, lock_file, log_tail, spawn
from common.runtime.supervisor.status import ProcessStatus

SETTLED_AFTER_S: Final = 10.0
LONGEST_DELAY_S: Final = 5.0
_FIRST_DELAY_S: Final = 0.1


def restart_delay_s(quick_deaths: int) -> float:
    """None before the first restart, then doubling for each time it died again before it had settled."""
    return min(LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** (quick_deaths - 1)) if quick_deaths else 0.0


class _Logged(msgspec.Struct):
    error: str


class Child:
    """`start` it, then let `keep_running` watch it. `changed` is called after every start."""

    def __init__(
        self, home: Home, spec: ProcessSpec, changed: Callable[[], None], http_port: int | None = None
    ) -> None:
        self.spec = spec
        self._home = home
        self._changed = changed
        self._http_port = http_port
        self._process: Process | None = None
        self._restarts = 0
        self._started_ns = 0
        self._last_exit: int | None = None

    @property
    def process(self) -> Process:
        assert self._process, f"{self.spec.name} was not started"
        return self._process

    @property
    def status(self) -> ProcessStatus:
        return ProcessStatus(
            pid=self.process.pid,
            restarts=self._restarts,
            started_ns=self._started_ns,
            last_exit=self._last_exit,
            http_port=self._http_port,
        )

    def start(self) -> None:
        """Call from the main thread. Raises BallastError."""
        self._process = spawn(self._home, self.spec)
        self._started_ns = time.time_ns()

    def ask_to_stop(self) -> None:
        """Does nothing if it has ended."""
        if self._process:
            self._process.send_signal(self.spec.stop_signal)

    def kill(self) -> None:
        if self._process:
            self._process.kill()

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    async def keep_running(self) -> None:
        """Never returns. Raises ConfigError when it ends with EX_CONFIG right at first: no restart would help."""
        quick_deaths = 0
        while True:
            begin = time.monotonic()
            self._last_exit = await _end(self.process)
            settled = time.monotonic() - begin >= SETTLED_AFTER_S
            if self._last_exit == os.EX_CONFIG and self._restarts == 0 and not settled:
                raise ConfigError(f"{self.spec.name}: {self._last_words()}")
            quick_deaths = 0 if settled or self._restarts == 0 else quick_deaths + 1
            await asyncio.sleep(restart_delay_s(quick_deaths))
            await self._restart()

    async def _restart(self) -> None:
        with suppress(BallastError):  # tried again after the next delay
            await asyncio.to_thread(evict, lock_file(self._home, self.spec.name))  # children it has left
            self.start()
        self._restarts += 1
        self._changed()

    def _last_words(self) -> str:
        line = log_tail(self._home, self.spec.name, lines=1)
        try:
            return msgspec.json.decode(line, type=_Logged).error
        except msgspec.MsgspecError:
            return line


async def _end(process: Process) -> int:
    """Its exit code, within a millisecond of its end. A thread waits: that works under every event loop and system."""
    loop = asyncio.get_running_loop()
    code: asyncio.Future[int] = loop.create_future()

    def tell(number: int) -> None:
        if not code.done():
            code.set_result(number)

    def wait() -> None:
        number = process.wait()
        with suppress(RuntimeError):  # the loop is closed, nobody asks any more
            loop.call_soon_threadsafe(tell, number)

    threading.Thread(target=wait, name=f"wait-{process.pid}", daemon=True).start()
    return await code
