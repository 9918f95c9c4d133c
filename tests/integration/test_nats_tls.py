"""NATS over TLS, with the certificates of `deploy/make_secrets.py --tls` and real servers."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from common.errors import ConfigError, TapeError
from common.runtime import nats_config, subjects
from common.runtime.embedded import binaries, nats
from common.runtime.embedded.home import Home
from common.runtime.embedded.process import ProcessSpec, log_file, spawn, stop
from common.runtime.login import Login
from common.runtime.nats_config import ADMIN, Cluster, Tls, once, provision_at
from common.runtime.nats_tape import NatsTape
from common.testing.conformance import entry
from common.testing.service_process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.req("PLT-04")]

ROOT = Path(__file__).parents[2]


def certified(folder: Path, *hosts: str) -> Path:
    command = (sys.executable, ROOT / "deploy/make_secrets.py", "fx", folder, "--tls", *hosts)
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certified(tmp_path_factory.mktemp("tls") / "secrets", "127.0.0.1", "localhost")


class Server:
    """One server, or one of a cluster."""

    def __init__(self, home: Home, tls: Tls | None, port: int, cluster: Cluster | None = None) -> None:
        name = cluster.server if cluster else "nats"
        store = home.directory(name)
        config = nats_config.server_config(
            "127.0.0.1", port, "127.0.0.1:-1", str(store), nats.public_keys(home), cluster, tls
        )
        path = store / "nats.conf"
        path.write_bytes(msgspec.json.encode(config))
        self.home = home
        self.url = f"nats://127.0.0.1:{port}"
        self.spec = ProcessSpec(name=name, argv=(str(binaries.nats_server()), "--config", str(path)))

    def login(self, user: str, ca_file: Path | None) -> Login:
        made = nats.login(self.home, self.url, user)
        return Login(self.url, user, made.seed, ca_file)

    def log(self) -> str:
        return log_file(self.home, self.spec.name).read_text()

    @contextmanager
    def running(self) -> Iterator[None]:
        process = spawn(self.home, self.spec)
        try:
            until(lambda: "Server is ready" in self.log())
            yield
        finally:
            stop(process, self.spec)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def tls_of(folder: Path) -> Tls:
    return Tls(*(str(folder / name) for name in ("nats_cert", "nats_key", "nats_ca")))


@pytest.fixture(scope="module")
def secure(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = Home(tmp_path_factory.mktemp("secure"))
    server = Server(home, tls_of(folder), home.ports(["nats"])["nats"])
    with server.running():
        asyncio.run(provision_at(server.login(ADMIN, folder / "nats_ca")))
        yield server


async def test_what_is_said_over_tls_is_stored(secure: Server, folder: Path) -> None:
    tape = await NatsTape.connect(secure.login("regime", folder / "nats_ca"))
    assert await (await tape.append("regime.step.v1.x", entry(1, "tls"))) == 1
    assert tape._client._transport._io_writer.get_extra_info("cipher") is not None  # type: ignore[union-attr]
    await tape.close()


async def test_a_server_of_another_authority_is_refused(secure: Server, tmp_path: Path) -> None:
    other = certified(tmp_path / "other", "127.0.0.1")
    with pytest.raises(TapeError, match=r"as regime: the server's certificate is not trusted \(.+\); expected one of"):
        await NatsTape.connect(secure.login("regime", other / "nats_ca"))


async def test_a_certificate_for_another_host_is_refused(folder: Path, tmp_path: Path) -> None:
    elsewhere = certified(tmp_path / "elsewhere", "nats.example")
    home = Home(tmp_path / "home")
    server = Server(home, tls_of(elsewhere), home.ports(["nats"])["nats"])
    with server.running(), pytest.raises(TapeError, match=r"certificate is not valid for '127\.0\.0\.1'"):
        await NatsTape.connect(server.login("regime", elsewhere / "nats_ca"))


async def test_who_speaks_plain_text_is_refused_with_the_reason(secure: Server) -> None:
    with pytest.raises(TapeError, match=r"certificate is not trusted .*expected one of BALLAST_NATS_CA_FILE"):
        await NatsTape.connect(secure.login("regime", None))


async def test_who_wants_tls_says_nothing_to_a_server_without(folder: Path, tmp_path: Path) -> None:
    home = Home(tmp_path)
    server = Server(home, None, home.ports(["nats"])["nats"])
    with server.running():
        with pytest.raises(TapeError, match="the server does not begin with TLS, which BALLAST_NATS_CA_FILE demands"):
            await NatsTape.connect(server.login("regime", folder / "nats_ca"))
        with pytest.raises(TapeError, match=f"as {ADMIN}: the server does not begin with TLS"):
            await provision_at(server.login(ADMIN, folder / "nats_ca"))


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file or directory"), ("", "no certificate in it")])
async def test_a_ca_file_that_is_none_is_named(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "ca"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=f"^BALLAST_NATS_CA_FILE = {path}: cannot be used: {reason}$"):
        await NatsTape.connect(Login("nats://127.0.0.1:1", "regime", "SU", path))


def test_a_service_is_ready_over_tls_and_says_why_when_it_is_not(
    secure: Server, folder: Path, tmp_path: Path, servers: object
) -> None:
    endpoints = msgspec.structs.replace(
        servers,  # type: ignore[type-var]
        nats_url=secure.url,
        nats_seed_files={user: str(nats.seed_file(secure.home, user)) for user in nats_config.USERS},
    )
    with ServiceProcess("regime", endpoints, tmp_path / "a", BALLAST_NATS_CA_FILE=str(folder / "nats_ca")):
        pass
    plain = ServiceProcess("regime", endpoints, tmp_path / "b")
    plain.start()
    until(lambda: "certificate is not trusted" in str(plain.health()))
    plain.kill()
    last = json.loads(plain.log.read_text().splitlines()[-1])
    assert last["event"] == "tape broken, starting over"
    assert "BALLAST_NATS_CA_FILE" in last["error"]


async def test_the_servers_of_a_cluster_speak_tls_to_one_another(folder: Path, tmp_path: Path) -> None:
    home = Home(tmp_path)
    names = ("nats-1", "nats-2", "nats-3")
    ports = home.ports([*names, *(f"{name}.route" for name in names)])
    routes = tuple(f"127.0.0.1:{ports[f'{name}.route']}" for name in names)
    cluster = [
        Server(home, tls_of(folder), ports[name], Cluster(name, ports[f"{name}.route"], routes)) for name in names
    ]
    with ExitStack() as stack:
        for server in cluster:
            process = spawn(home, server.spec)
            stack.callback(stop, process, server.spec)
        login = cluster[0].login(ADMIN, folder / "nats_ca")
        login = Login(",".join(server.url for server in cluster), ADMIN, login.seed, login.ca_file)
        for _ in range(100):
            try:
                await provision_at(login, replicas=3)
                break
            except TapeError:
                await asyncio.sleep(0.2)
        info = await once(login, lambda client: client.jetstream().stream_info(subjects.STREAM))
        assert info.config.num_replicas == 3
        for name in names:
            assert await asyncio.to_thread(_greeting, folder, ports[f"{name}.route"], certified=True)
            assert not await asyncio.to_thread(_greeting, folder, ports[f"{name}.route"], certified=False)


def _greeting(folder: Path, port: int, *, certified: bool) -> bytes:
    """What a server says over TLS to whoever wants to be of its cluster; nothing when it refuses."""
    context = ssl.create_default_context(cafile=str(folder / "nats_ca"))
    if certified:
        context.load_cert_chain(folder / "nats_cert", folder / "nats_key")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
                return secured.recv(5)
        except OSError:
            return b""
