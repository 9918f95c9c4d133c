"""All three servers as one thing to start and stop."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final

from common.errors import BallastError
from common.runtime import nats_config
from common.runtime.embedded import nats, postgres, redis
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.embedded.home import LOCALHOST, Home
from common.runtime.embedded.process import Process, evict, log_tail, spawn, stop
from common.runtime.embedded.server import Server

READY_WITHIN_S: Final = 30.0
_MONITOR: Final = "nats.monitor"
_POLL_S: Final = 0.005


def prepare(home: Home) -> tuple[tuple[Server, ...], Endpoints]:
    """Everything up to starting them: leftovers ended, ports, secrets, configuration, the database cluster."""
    for lock_path in sorted(home.run.glob("*.lock")):
        evict(lock_path)
    ports = home.ports((nats.NAME, _MONITOR, redis.NAME, postgres.NAME))
    servers = (
        nats.prepare(home, ports[nats.NAME], ports[_MONITOR]),
        redis.prepare(home, ports[redis.NAME]),
        postgres.prepare(home, ports[postgres.NAME]),
    )
    endpoints = _endpoints(home, ports)
    endpoints.save(home)
    return servers, endpoints


def wait_until_ready(home: Home, servers: Sequence[Server], processes: Mapping[str, Process]) -> None:
    """Returns when all answer. Raises BallastError with the end of its log when one died or takes too long."""
    until = time.monotonic() + READY_WITHIN_S
    for server in servers:
        name = server.spec.name
        while not server.ready():
            code = processes[name].poll()
            if code is not None:
                raise BallastError(f"{name} ended with {code} while starting:\n{log_tail(home, name)}")
            if time.monotonic() > until:
                raise BallastError(f"{name} is not ready after {READY_WITHIN_S:g} s:\n{log_tail(home, name)}")
            time.sleep(_POLL_S)


class EmbeddedServers:
    """Starts and stops, nothing else; the supervisor also restarts. Data, ports and secrets stay in the home."""

    def __init__(self, root: Path) -> None:
        self._home = Home(root)
        self._held = ExitStack()
        self._endpoints: Endpoints | None = None
        self.processes: dict[str, Process] = {}

    def start(self) -> Endpoints:
        """Returns when all answer; at once if they already do. Call from the main thread. Raises BallastError."""
        if self._endpoints:
            return self._endpoints
        with ExitStack() as started:
            started.enter_context(self._home.lock())
            servers, endpoints = prepare(self._home)
            processes = {server.spec.name: spawn(self._home, server.spec) for server in servers}
            for server in servers:
                started.callback(stop, processes[server.spec.name], server.spec)
            wait_until_ready(self._home, servers, processes)
            self._held = started.pop_all()
        self._endpoints, self.processes = endpoints, processes
        return endpoints

    def stop(self) -> None:
        """Stops them in reverse order; does nothing if they are not running."""
        self._endpoints = None
        self._held.close()
        self.processes.clear()

    def __enter__(self) -> Endpoints:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _endpoints(home: Home, ports: dict[str, int]) -> Endpoints:
    at_redis, at_postgres = f"{LOCALHOST}:{ports[redis.NAME]}", f"{LOCALHOST}:{ports[postgres.NAME]}"
    redis_url = f"redis://:{home.password(redis.NAME)}@{at_redis}/0"
    dsn = f"postgresql://{postgres.ROLE}:{home.password(postgres.NAME)}@{at_postgres}/{postgres.DATABASE}"
    return Endpoints(
        nats_url=f"nats://{LOCALHOST}:{ports[nats.NAME]}",
        nats_monitor_url=f"http://{LOCALHOST}:{ports[_MONITOR]}",
        nats_seed_files={user: str(nats.seed_file(home, user)) for user in nats_config.USERS},
        redis_url=f"redis://{at_redis}/0",
        redis_url_file=str(home.secret_file("redis.url", redis_url)),
        postgres_dsn=f"postgresql://{postgres.ROLE}@{at_postgres}/{postgres.DATABASE}",
        postgres_dsn_file=str(home.secret_file("postgres.dsn", dsn)),
    )
