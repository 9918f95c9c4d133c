"""Guardian, execution and recorder as the processes they really are, on real servers, at a venue that misbehaves on demand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import msgspec
from tests.chaos.market import CASH, LIMITS, PRICES, Feed
from tests.chaos.orders import Orders
from tests.chaos.processes import Runner, keep_alive
from tests.chaos.venue import VenueDesk
from tests.chaos.voices import Voice, Witness
from tests.support.nats_cluster import NatsCluster, Partition

from common.runtime.embedded.endpoints import Endpoints
from common.runtime.embedded.home import LOCALHOST, Home
from common.runtime.embedded.process import ProcessSpec
from common.runtime.embedded.server import BARE_ENV
from common.runtime.embedded.servers import prepare
from common.runtime.environment import Environment
from common.runtime.login import Login
from common.runtime.nats_config import ADMIN, provision_at
from recorder.schema import migrate

SERVERS: Final = ("nats", "redis", "postgres")
RUN_ID: Final = "drill"
VENUE_WITHIN_S: Final = 20.0


class Plant:
    """Everything that runs in a drill. Make it with `plant`."""

    def __init__(self, home: Home, endpoints: Endpoints) -> None:
        self.home = home
        self.endpoints = endpoints
        self.runners: dict[str, Runner] = {}
        self.cluster: NatsCluster | None = None
        self.ways: list[Partition] = []  # from the services to each server of the cluster
        self.operator = Voice(self.login("operator"))
        self.feed = Feed(Voice(self.login("market_data")))
        self.witness = Witness(self.login("operator"))
        self.orders = Orders()
        self.witness.hear.append(self.orders.hear)
        self.desk = VenueDesk("")

    def login(self, user: str) -> Login:
        return self.endpoints.login(user)

    @property
    def crashes(self) -> dict[str, int]:
        """Ends that nobody asked for, by process; those without one are left out."""
        return {name: runner.crashes for name, runner in self.runners.items() if runner.crashes}

    def place(self, name: str) -> Path:
        """The home of a service's instance: where its guardian looks for the stop file."""
        return self.home.root / name

    def add(self, name: str, config: dict[str, Any], nats_url: str = "") -> Runner:
        """`risk_guardian`, or `risk_guardian-2` for a second instance. Not started."""
        service, _, instance = name.partition("-")
        place = Home(self.place(name))
        path = place.run / "config.json"
        path.write_text(json.dumps(config))
        port = place.ports([service])[service]
        environment = Environment(
            home=place.root,
            service=service,
            instance=instance or "1",
            nats_url=nats_url or self.endpoints.nats_url,
            nats_user=service,
            nats_seed_file=Path(self.endpoints.nats_seed_files[service]),
            http_port=port,
            config=path,
            redis_url_file=Path(self.endpoints.redis_url_file),
            postgres_dsn_file=Path(self.endpoints.postgres_dsn_file),
        )
        spec = ProcessSpec(
            name=name, argv=(sys.executable, "-m", service), env={**os.environ, **environment.variables()}
        )
        self.runners[name] = Runner(self.home, spec, port)
        return self.runners[name]

    def add_venue(self) -> Runner:
        port = self.home.ports(["venue"])["venue"]
        prices = [word for name, px in PRICES.items() for word in ("--price", f"{name}={px}")]
        argv = (
            sys.executable,
            "-m",
            "execution.reference_venue",
            "--port",
            str(port),
            "--cash",
            f"USD={CASH}",
            *prices,
        )
        self.runners["venue"] = Runner(self.home, ProcessSpec(name="venue", argv=argv, env={**os.environ, **BARE_ENV}))
        self.desk = VenueDesk(f"http://{LOCALHOST}:{port}")
        return self.runners["venue"]

    def config(self, **changes: dict[str, Any]) -> dict[str, Any]:
        """The effective configuration; `changes` by section."""
        plain: dict[str, dict[str, Any]] = {
            "run": {"id": RUN_ID, "data": "drill", "profile": "drill"},
            "account": {"starting_cash": CASH},
            "execution": {
                "venue": "reference",
                "connection": {"url": self.desk.url, "rate_per_s": 5_000, "burst": 5_000},
                "retry": {"max_attempts": 20},
                "algorithms": {"enabled": False},
                "taker_bps": 0,
                "maker_bps": 0,
            },
            "risk_guardian": {"limits": LIMITS},
        }
        return {name: {**plain.get(name, {}), **changes.get(name, {})} for name in {**plain, **changes}}

    async def until_ready(self, names: Sequence[str] = ()) -> None:
        for name in names or tuple(self.runners):
            await self.runners[name].until_ready()


@contextlib.asynccontextmanager
async def plant(
    services: Sequence[str] = ("recorder", "execution", "risk_guardian"),
    *,
    nodes: int = 1,
    disk_mb: int = 0,
    **changes: dict[str, Any],
) -> AsyncIterator[Plant]:
    """Running and ready, the market open. `nodes`: servers of NATS; `disk_mb`: the size of a disk of its own for the tape, which
    takes root; `changes` to the configuration, by section.
    """
    root = _new_root()
    home = Home(root)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        if disk_mb:
            _mount(home.directory("nats"), disk_mb)
            stack.callback(_umount, home.directory("nats"))
        servers, endpoints = prepare(home)
        cluster = NatsCluster(root, nodes) if nodes > 1 else None
        if cluster is not None:
            endpoints = msgspec.structs.replace(endpoints, nats_url=cluster.url)
        made = Plant(home, endpoints)
        stack.push_async_callback(_stop_all, made)
        for server in servers:
            if server.spec.name != "nats" or cluster is None:
                made.runners[server.spec.name] = Runner(home, server.spec, ready=server.ready)
                made.runners[server.spec.name].start()
        nats_url = ""
        if cluster is not None:
            nats_url = await _form(made, cluster, stack)
        else:
            await made.runners["nats"].until_ready()
            await provision_at(endpoints.login(ADMIN))
        await made.until_ready()
        await _migrate(endpoints)
        made.add_venue().start()
        await _until_venue_answers(made.desk)
        for name in services:
            made.add(name, made.config(**changes), nats_url).start()
        tasks = [asyncio.create_task(made.witness.follow()), asyncio.create_task(keep_alive([*made.runners.values()]))]
        stack.push_async_callback(_cancel, tasks)
        await made.feed.open(json.dumps(made.config(**changes)))
        await made.until_ready(services)
        tasks.append(asyncio.create_task(made.feed.run()))
        yield made


def _new_root() -> Path:
    root = Path(tempfile.mkdtemp(prefix="ballast-chaos-"))
    root.chmod(0o711)  # PostgreSQL's account must pass
    return root


def _mount(directory: Path, size_mb: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(directory)], check=True)


def _umount(directory: Path) -> None:
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


async def _form(made: Plant, cluster: NatsCluster, stack: contextlib.AsyncExitStack) -> str:
    """Returns where services find it: behind proxies that can cut the way to a server."""
    made.cluster = cluster
    for number in range(len(cluster.servers)):
        cluster.start(number)
        stack.callback(cluster.end, number)
    await asyncio.to_thread(cluster.wait_formed)
    for url in cluster.url.split(","):
        host, _, port = url.removeprefix("nats://").partition(":")
        made.ways.append(await stack.enter_async_context(Partition(host, int(port))))
    return ",".join(way.url for way in made.ways)


async def _migrate(endpoints: Endpoints) -> None:
    connection = await asyncpg.connect(endpoints.postgres_dsn_with_password())
    try:
        await migrate(connection)
    finally:
        await connection.close()


async def _until_venue_answers(desk: VenueDesk) -> None:
    end = time.monotonic() + VENUE_WITHIN_S
    while True:
        try:
            return await desk.behave()
        except httpx.TransportError:
            assert time.monotonic() < end, f"{desk.url} does not answer"
        await asyncio.sleep(0.05)


async def _stop_all(made: Plant) -> None:
    await made.operator.close()
    await made.feed.close()
    for runner in made.runners.values():
        runner.kill()
    await made.desk.close()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
