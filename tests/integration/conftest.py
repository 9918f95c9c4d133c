"""Real servers for every test here: containers where a Docker engine answers, else the embedded ones. Never a mock.

`BALLAST_TEST_BACKEND=docker` demands containers, `=embedded` forbids them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import msgspec
import pytest

from common.runtime import nats_config
from common.runtime.embedded import EmbeddedServers, Endpoints, nats
from common.runtime.embedded.home import Home, write_atomic
from common.runtime.embedded.servers import prepare

IMAGES: Final = {"nats": "nats:2.12", "redis": "redis:7", "postgres": "postgres:18"}


@pytest.fixture(scope="session")
def prepared_home() -> Iterator[Path]:
    """A BALLAST_HOME in which nothing has run yet, its database made."""
    with ExitStack() as stack:
        root = _new_home(stack)
        prepare(Home(root))
        yield root


@pytest.fixture
def home(prepared_home: Path) -> Iterator[Path]:
    """A BALLAST_HOME of the test's own; a copy, because making a database takes its time."""
    with ExitStack() as stack:
        root = _new_home(stack)
        subprocess.run(["cp", "-a", f"{prepared_home}/.", root], check=True)
        yield root


@pytest.fixture(scope="session")
def servers() -> Iterator[Endpoints]:
    """NATS with all users and streams, Redis and PostgreSQL, shared by the whole test session."""
    with ExitStack() as stack:
        backend = _backend()
        endpoints = _in_containers(stack) if backend == "docker" else _embedded(stack)
        asyncio.run(_provision(endpoints))
        print(f"\nservers of the integration tests: {backend}")
        yield endpoints


def _backend() -> str:
    wanted = os.environ.get("BALLAST_TEST_BACKEND", "")
    if wanted not in {"", "docker", "embedded"}:
        raise pytest.UsageError(f"BALLAST_TEST_BACKEND = {wanted!r}: expected docker or embedded")
    if wanted == "embedded" or (not wanted and not _engine_answers()):
        return "embedded"
    if not _engine_answers():
        raise pytest.UsageError("BALLAST_TEST_BACKEND = 'docker': no Docker engine answers")
    return "docker"


def _engine_answers() -> bool:
    import docker
    from docker.errors import DockerException

    try:
        with closing(docker.from_env(timeout=2)) as client:
            return bool(client.ping())
    except DockerException:
        return False


def _new_home(stack: ExitStack) -> Path:
    """Where PostgreSQL's account can reach it when root runs the tests: pytest's tmp_path is not."""
    root = Path(tempfile.mkdtemp(prefix="ballast-test-"))
    root.chmod(0o711)
    stack.callback(shutil.rmtree, root)
    return root


def _embedded(stack: ExitStack) -> Endpoints:
    return stack.enter_context(EmbeddedServers(_new_home(stack)))


def _in_containers(stack: ExitStack) -> Endpoints:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    home = Home(_new_home(stack))
    config = home.directory("nats") / "nats.conf"
    bind = "0.0.0.0"
    keys = nats.public_keys(home)
    write_atomic(config, msgspec.json.encode(nats_config.server_config(bind, 4222, f"{bind}:8222", "/data", keys)))
    redis_password, postgres_password = home.password("redis"), home.password("postgres")

    def start(container: DockerContainer, port: int, ready: str, times: int = 1) -> tuple[DockerContainer, str]:
        container.with_exposed_ports(port).waiting_for(LogMessageWaitStrategy(ready, times=times))
        stack.enter_context(container)
        return container, f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"

    nats_container = DockerContainer(IMAGES["nats"]).with_command("--config /config/nats.conf").with_exposed_ports(8222)
    nats_container, at_nats = start(
        nats_container.with_volume_mapping(str(config.parent), "/config"), 4222, "Server is ready"
    )
    redis = DockerContainer(IMAGES["redis"]).with_command(f"redis-server --requirepass {redis_password}")
    _, at_redis = start(redis, 6379, "Ready to accept connections")
    postgres = DockerContainer(IMAGES["postgres"]).with_env("POSTGRES_USER", "ballast")
    postgres.with_env("POSTGRES_PASSWORD", postgres_password).with_env("POSTGRES_DB", "ballast")
    # Once while it makes its database, once for good.
    _, at_postgres = start(postgres, 5432, "database system is ready to accept connections", times=2)
    return Endpoints(
        nats_url=f"nats://{at_nats}",
        nats_monitor_url=f"http://{nats_container.get_container_host_ip()}:{nats_container.get_exposed_port(8222)}",
        nats_seed_files={user: str(nats.seed_file(home, user)) for user in nats_config.USERS},
        redis_url=f"redis://{at_redis}/0",
        redis_url_file=str(home.secret_file("redis.url", f"redis://:{redis_password}@{at_redis}/0")),
        postgres_dsn=f"postgresql://ballast@{at_postgres}/ballast",
        postgres_dsn_file=str(
            home.secret_file("postgres.dsn", f"postgresql://ballast:{postgres_password}@{at_postgres}/ballast")
        ),
    )


async def _provision(endpoints: Endpoints) -> None:
    await nats_config.provision_at(endpoints.login(nats_config.ADMIN))
