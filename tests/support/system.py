"""The whole system as a user starts it: `ballast up` in a process of its own, on real servers, watched and hurt from outside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from common.contracts import ALL, pattern
from common.errors import BallastError
from common.messages import Envelope, Message
from common.runtime.codec import decode, decode_envelope
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.embedded.home import Home
from common.runtime.login import Login
from common.runtime.nats_tape import NatsTape
from common.runtime.supervisor import Status
from common.runtime.tape import Record, read_all

BALLAST: Final = (sys.executable, "-c", "from ballast_cli.main import main; main()")
SPAN: Final = ("--from", "2015-01-01", "--to", "2015-10-01")
_POLL_S: Final = 0.02


def ballast(home: Path, *arguments: str, check: bool = True, timeout_s: float = 120) -> dict[str, Any]:
    """Runs a command to its end and returns its JSON."""
    done = subprocess.run(
        [*BALLAST, *arguments, "--json"],
        env={**os.environ, "BALLAST_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"ballast {' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**result, "exit_code": done.returncode}


class System:
    """`ballast up` in the background. As a context manager it is started, its services running, and finally stopped."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [*BALLAST, "up", *self._arguments, "--json"],
            env={**os.environ, "BALLAST_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: self.pid("market_data") is not None, "the services are started")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        out, err = self._process.communicate(timeout=60)
        if kind is not None:
            print(f"ballast up: {out}{err}", *last_words(self.home), sep="\n")

    @property
    def running(self) -> bool:
        assert self._process is not None
        return self._process.poll() is None

    def result(self, timeout_s: float) -> dict[str, Any]:
        """What the run printed, once it has ended by itself."""
        assert self._process is not None
        out, err = self._process.communicate(timeout=timeout_s)
        assert self._process.returncode == 0, f"{out}{err}"
        result: dict[str, Any] = json.loads(out)
        return result

    def pid(self, service: str) -> int | None:
        status = Status.load(self.home)
        if status is None or self._process is None or status.pid != self._process.pid:
            return None  # a former run's file
        return status.processes[service].pid if service in status.processes else None

    def kill(self, service: str, number: signal.Signals = signal.SIGKILL) -> None:
        pid = self.pid(service)
        assert pid is not None
        os.kill(pid, number)

    def tape(self) -> list[tuple[int, Envelope, Message]]:
        """Everything on the tape now, with its sequences."""
        return asyncio.run(_read(self.home, "operator"))

    def said(self, *kinds: type[Message]) -> list[tuple[int, Message]]:
        """What is on the tape of some kinds."""
        return [(seq, message) for seq, _, message in self.tape() if isinstance(message, kinds)]


def until(true: Callable[[], bool], what: str, within_s: float = 120) -> None:
    """Waits for a condition; fails with its name."""
    end = time.monotonic() + within_s
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(_POLL_S)


def last_words(home: Path, lines: int = 12) -> list[str]:
    """What each process logged last: pytest shows it beside a failure."""
    logs = sorted(Home(home).logs.glob("*.log"))
    return [f"--- {log.name}\n" + "\n".join(log.read_text().splitlines()[-lines:]) for log in logs]


def login(home: Path, user: str) -> Login:
    endpoints = Endpoints.load(home)
    return endpoints.login(user)


async def _read(home: Path, user: str, kinds: Iterable[type[Message]] = ALL) -> list[tuple[int, Envelope, Message]]:
    tape = await NatsTape.connect(login(home, user))
    found: list[tuple[int, Envelope, Message]] = []

    async def keep(record: Record) -> None:
        envelope = decode_envelope(record.payload)
        found.append((record.seq, envelope, decode(envelope)))

    try:
        await asyncio.wait_for(read_all(tape, [pattern(kind) for kind in kinds], 1, keep), 60)
    except BallastError as error:
        raise AssertionError(str(error)) from error
    finally:
        await tape.close()
    return found
