"""A service as the process it really is, on real servers: started, watched, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from common.runtime.embedded.endpoints import Endpoints
from common.runtime.embedded.home import Home
from common.runtime.environment import Environment

READY_WITHIN_S: Final = 30.0


class ServiceProcess:
    """`python -m <service>` under a home of its own. As a context manager it is started, ready, and finally killed."""

    def __init__(self, service: str, endpoints: Endpoints, root: Path, *, dsn_file: str = "", **extra: str) -> None:
        home = Home(root)
        config = home.run / "config.json"
        if not config.exists():
            config.write_text("{}")
        self.port = home.ports([service])[service]
        self.log = home.logs / f"{service}.log"
        self._service = service
        environment = Environment(
            home=home.root,
            service=service,
            nats_url=endpoints.nats_url,
            nats_user=service,
            nats_seed_file=Path(endpoints.nats_seed_files[service]),
            http_port=self.port,
            config=config,
            redis_url_file=Path(endpoints.redis_url_file),
            postgres_dsn_file=Path(dsn_file or endpoints.postgres_dsn_file),
        )
        self._environment = {**os.environ, **environment.variables(), **extra}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        with self.log.open("ab") as log:
            argv = (sys.executable, "-m", self._service)
            self._process = subprocess.Popen(argv, env=self._environment, stderr=log, stdout=log)  # noqa: S603

    def kill(self) -> None:
        """-9: nothing is said to anybody."""
        self._end(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> int:
        """Asked politely. Returns the exit code."""
        return self._end(signal.SIGTERM)

    def wait_end(self, within_s: float = READY_WITHIN_S) -> int:
        """Of its own accord. Returns the exit code."""
        assert self._process is not None
        code = self._process.wait(within_s)
        self._process = None
        return code

    def wait_ready(self, within_s: float = READY_WITHIN_S) -> None:
        """Raises AssertionError with the log when it dies or takes too long."""
        deadline = time.monotonic() + within_s
        while not self.health()["ready"]:
            dead = self._process is None or self._process.poll() is not None
            assert not dead, f"{self._service} ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, (
                f"{self._service} is not ready:\n{self.health()}\n{self.log.read_text()}"
            )
            time.sleep(0.02)

    def health(self) -> dict[str, Any]:
        """What `/health/ready` says; not ready, waiting for itself, while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=2) as answer:
                body = answer.read()
        except urllib.error.HTTPError as refused:
            body = refused.read()
        except OSError as error:
            return {"ready": False, "waits_for": {self._service: str(error)}}
        return msgspec.json.decode(body, type=dict[str, Any])

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        code = self._process.wait(15)
        self._process = None
        return code
