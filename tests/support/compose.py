"""docker-compose.yml in a folder of its own, its containers watched and hurt from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

from common.contracts import ALL, pattern
from common.errors import BallastError
from common.messages import Message
from common.runtime.codec import decode, decode_envelope
from common.runtime.login import Login, read_seed
from common.runtime.nats_tape import NatsTape
from common.runtime.tape import Record, read_all
from support.docker_engine import Engine, run
from support.docker_images import OURS, inspect

T = TypeVar("T", bound=Message)
R = TypeVar("R")
SERVERS: Final = ("nats", "redis", "postgres", "prometheus", "alertmanager")
STANDBYS: Final = ("risk_guardian_standby", "execution_standby")
PORTS: Final = ("GATEWAY", "PROMETHEUS", "ALERTMANAGER", "GRAFANA", "JAEGER")
_POLL_S: Final = 0.2


class Compose:
    """The system of docker-compose.yml but for what has no image here (grafana, and the profile `traces`). As a context manager it
    is created, started and healthy, and in the end gone with its volumes.
    """

    def __init__(self, engine: Engine, folder: Path, config: Mapping[str, Any]) -> None:
        """`folder` holds the project; `config` is the effective configuration."""
        self.engine, self.folder = engine, folder
        self.ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        ports = {f"BALLAST_{name}_PORT": str(port) for name, port in self.ports.items()}
        self.env = {**engine.env, **ports, "COMPOSE_PROJECT_NAME": "ballasttest"}
        self.secrets = folder / "deploy/secrets"
        run([sys.executable, folder / "deploy/make_secrets.py", "fx", self.secrets], cwd=folder)
        _write(self.secrets / "config.json", json.dumps(config))
        self.healthy_after_s = 0.0

    def __enter__(self) -> Self:
        began = time.monotonic()
        try:
            self.compose("up", "--detach", "--no-build", *SERVERS, *OURS, *STANDBYS)
            self.until(lambda: all(map(self.healthy, (*SERVERS, *OURS, *STANDBYS))), "everything is healthy", 300)
        except BaseException:
            print(self.compose("ps", check=False).stdout, self.compose("logs", "--tail=8", check=False).stdout[-9000:])
            self.__exit__(None, None, None)
            raise
        self.healthy_after_s = time.monotonic() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.compose("down", "--volumes", "--timeout", "5", check=False)

    def compose(self, *arguments: str, check: bool = True) -> Any:
        return run(["docker-compose", *arguments], env=self.env, cwd=self.folder, check=check)

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows of it."""
        return inspect(self.engine, self.name(service))

    def name(self, service: str) -> str:
        return f"ballasttest_{service}_1"

    def healthy(self, service: str) -> bool:
        return bool(self.container(service)["State"]["Health"]["Status"] == "healthy")

    def crash(self, service: str) -> int:
        """kill -9 of its first process, from outside: the engine takes it for a crash. Returns its process id."""
        pid = int(self.container(service)["State"]["Pid"])
        os.kill(pid, signal.SIGKILL)
        return pid

    def address(self, service: str, network: str) -> str:
        """Where this machine reaches it."""
        return str(self.container(service)["NetworkSettings"]["Networks"][f"ballasttest_{network}"]["IPAddress"])

    def get(self, port: str, path: str) -> Any:
        """JSON from a published port."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=5) as answer:
            return json.load(answer)

    def role(self, service: str) -> str:
        """As it says itself: "leader" or "standby", empty for neither and for one that is not ready."""
        return str(self._health(service).get("role", ""))

    def ready(self, service: str) -> bool:
        """Without waiting for the engine to ask it."""
        return bool(self._health(service)["ready"])

    def _health(self, service: str) -> dict[str, Any]:
        url = f"http://{self.address(service, 'watch')}:8080/health/ready"
        with urllib.request.urlopen(url, timeout=5) as answer:
            health: dict[str, Any] = json.load(answer)
        return health

    def until(self, true: Callable[[], bool], what: str, within_s: float = 120) -> float:
        """Waits for a condition, fails with its name, and returns how long it took (s)."""
        began = time.monotonic()
        while not _calmly(true):
            if time.monotonic() > began + within_s:
                raise AssertionError(f"not within {within_s:g} s: {what}")
            time.sleep(_POLL_S)
        return time.monotonic() - began

    def tape(self) -> list[Message]:
        """Everything said so far."""
        return asyncio.run(self._ask(_everything))

    def last(self, kind: type[T]) -> T | None:
        """The last message of a kind."""
        return cast("T | None", asyncio.run(self._ask(partial(_last, kind))))

    async def _ask(self, question: Callable[[NatsTape], Awaitable[R]]) -> R:
        url = f"nats://{self.address('nats', 'inside')}:4222"
        tape = await NatsTape.connect(Login(url, "operator", read_seed(self.secrets / "nats_operator")))
        try:
            return await question(tape)
        finally:
            await tape.close()


async def _everything(tape: NatsTape) -> list[Message]:
    found: list[Message] = []

    async def keep(record: Record) -> None:
        found.append(decode(decode_envelope(record.payload)))

    await asyncio.wait_for(read_all(tape, [pattern(kind) for kind in ALL], 1, keep), 60)
    return found


async def _last(kind: type[Message], tape: NatsTape) -> Message | None:
    record = await tape.last([pattern(kind)])
    return decode(decode_envelope(record.payload)) if record else None


def _calmly(true: Callable[[], bool]) -> bool:
    """What cannot be asked is not so yet."""
    try:
        return true()
    except (OSError, ValueError, AssertionError, BallastError):
        return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o444)
