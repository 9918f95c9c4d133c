"""Servers first, then the streams, then the services; all of it again in reverse when asked to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from common.contracts import LEASED
from common.errors import ConfigError
from common.runtime import nats_config
from common.runtime.embedded import servers as embedded
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.embedded.home import Home
from common.runtime.embedded.process import ProcessSpec
from common.runtime.embedded.server import Server
from common.runtime.environment import Environment
from common.runtime.supervisor.child import Child
from common.runtime.supervisor.status import Status

STOP_PATIENCE_S: Final = 10.0
_POLL_S: Final = 0.005
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Supervisor:
    """`async with` starts everything and stops it; `wait` in between. One per home, in the main thread.

    `services` are named as in `contracts.INPUTS`, a second instance of one with a lease `<service>-2`; what their `env` says
    comes on top of `Environment` and of our own environment. `config` is the file with the effective configuration. `say` hears what is being done; `before_services` is
    called once the servers answer and the streams exist.
    """

    def __init__(
        self,
        root: Path,
        services: Sequence[ProcessSpec],
        config: Path,
        say: Callable[[str], None] = lambda line: None,
        before_services: Callable[[Endpoints], Awaitable[None]] | None = None,
    ) -> None:
        self._home = Home(root)
        self._specs = services
        self._config = config.absolute()
        self._say = say
        self._before_services = before_services
        self._held = ExitStack()
        self._servers: list[Child] = []
        self._services: list[Child] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._started_ns = 0
        self._endpoints: Endpoints | None = None

    @property
    def endpoints(self) -> Endpoints:
        assert self._endpoints, "not started"
        return self._endpoints

    @property
    def status(self) -> Status:
        children = (*self._servers, *self._services)
        return Status(
            pid=os.getpid(),
            started_ns=self._started_ns,
            processes={child.spec.name: child.status for child in children},
        )

    async def run(self) -> None:
        """Starts, waits, stops."""
        async with self:
            await self.wait()

    async def wait(self) -> None:
        """Returns once asked to stop: by SIGINT, SIGTERM or `request_stop`. Raises what a service's configuration lacks."""
        stopping = asyncio.create_task(self._stopping.wait())
        done, _ = await asyncio.wait((stopping, *self._watchers), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done:
            task.result()

    def request_stop(self) -> None:
        self._stopping.set()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _start(self) -> None:
        self._held.enter_context(self._home.lock())
        self._started_ns = time.time_ns()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.request_stop)
            self._held.callback(loop.remove_signal_handler, number)
        self._say("servers: preparing")
        servers, self._endpoints = await asyncio.to_thread(embedded.prepare, self._home)
        await self._start_servers(servers)
        self._say("streams: provisioning")
        await nats_config.provision_at(self.endpoints.login(nats_config.ADMIN))
        if self._before_services:
            await self._before_services(self.endpoints)
        self._start_services()
        self._watchers = [asyncio.create_task(child.keep_running()) for child in (*self._servers, *self._services)]

    async def _start_servers(self, servers: Sequence[Server]) -> None:
        self._servers = [self._child(server.spec) for server in servers]
        for child in self._servers:
            child.start()
        processes = {child.spec.name: child.process for child in self._servers}
        await asyncio.to_thread(embedded.wait_until_ready, self._home, servers, processes)
        self._say("servers: ready")

    def _start_services(self) -> None:
        ports = self._home.ports(f"http.{spec.name}" for spec in self._specs)
        for spec in self._specs:
            port = ports[f"http.{spec.name}"]
            variables = self._environment(spec.name, port).variables()
            env = {**os.environ, "PYTHONUNBUFFERED": "1", **variables, **spec.env}
            child = self._child(msgspec.structs.replace(spec, env=env), port)
            child.start()
            self._services.append(child)
            self._say(f"{spec.name}: started")
        self._save_status()

    def _child(self, spec: ProcessSpec, http_port: int | None = None) -> Child:
        return Child(self._home, spec, self._save_status, http_port)

    def _environment(self, name: str, http_port: int) -> Environment:
        service, _, instance = name.partition("-")
        if service not in nats_config.SERVICES:
            raise ConfigError(f"{service}: no such service; expected one of {', '.join(nats_config.SERVICES)}")
        if instance and service not in LEASED:
            raise ConfigError(f"{name}: only {' and '.join(LEASED)} can have a standby")
        return Environment(
            home=self._home.root,
            service=service,
            instance=instance or "1",
            nats_url=self.endpoints.nats_url,
            nats_user=service,
            nats_seed_file=Path(self.endpoints.nats_seed_files[service]),
            http_port=http_port,
            config=self._config,
            redis_url_file=Path(self.endpoints.redis_url_file),
            postgres_dsn_file=Path(self.endpoints.postgres_dsn_file),
        )

    def _save_status(self) -> None:
        self.status.save(self._home)

    async def _stop(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._watchers = []
        for children in (self._services, self._servers):
            await _end_all(list(reversed(children)), self._say)
        self._services, self._servers = [], []
        self._held.close()


async def _end_all(children: Sequence[Child], say: Callable[[str], None]) -> None:
    for child in children:
        child.ask_to_stop()
    late = await _still_alive_after(children, STOP_PATIENCE_S)
    for child in late:
        say(f"{child.spec.name}: did not stop within {STOP_PATIENCE_S:g} s, killed")
        child.kill()
    await _still_alive_after(late, STOP_PATIENCE_S)


async def _still_alive_after(children: Sequence[Child], seconds: float) -> list[Child]:
    until = time.monotonic() + seconds
    while (alive := [child for child in children if not child.ended]) and time.monotonic() < until:  # noqa: ASYNC110 no event tells
        await asyncio.sleep(_POLL_S)
    return alive
