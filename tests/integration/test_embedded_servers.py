"""The embedded servers: keys and passwords, ports, survival."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import nats
import nats.errors
import pytest
import redis
from nats.aio.client import Client

from common.errors import BallastError, ConfigError
from common.runtime import nats_config, subjects
from common.runtime.embedded import EmbeddedServers, Endpoints, ProcessSpec, binaries
from common.runtime.embedded.home import Home, write_atomic
from common.runtime.embedded.process import evict, lock_file, log_tail, spawn
from common.runtime.login import Login, new_seed

pytestmark = [pytest.mark.integration, pytest.mark.req("PLT-04")]


async def _login(endpoints: Endpoints, user: str, login: Login | None = None) -> Client:
    async def ignore(error: Exception) -> None:
        pass

    return await nats.connect(
        endpoints.nats_url,
        **(login or endpoints.login(user)).options(),
        allow_reconnect=False,
        error_cb=ignore,
    )


async def _write(endpoints: Endpoints) -> None:
    await nats_config.provision_at(endpoints.login(nats_config.ADMIN))
    client = await _login(endpoints, "market_data")
    await client.jetstream().publish("md.slice.v1.test", b"kept")
    await client.close()
    connection = await asyncpg.connect(endpoints.postgres_dsn_with_password())
    await connection.execute("CREATE TABLE kept (value text); INSERT INTO kept VALUES ('kept')")
    await connection.close()


async def _read(endpoints: Endpoints) -> tuple[bytes | None, str]:
    client = await _login(endpoints, "operator")
    message = await client.jetstream().get_last_msg(subjects.STREAM, "md.slice.v1.test")
    await client.close()
    connection = await asyncpg.connect(endpoints.postgres_dsn_with_password())
    value = await connection.fetchval("SELECT value FROM kept")
    await connection.close()
    return message.data, value


async def test_whoever_has_the_key_or_password_gets_in_and_nobody_else(servers: Endpoints) -> None:
    assert redis.Redis.from_url(servers.redis_url_with_password()).ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(servers.redis_url).ping()
    connection = await asyncpg.connect(servers.postgres_dsn_with_password())
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(servers.postgres_dsn, password="wrong")
    client = await _login(servers, "regime")
    await client.close()
    with pytest.raises(nats.errors.Error):
        await _login(servers, "regime", Login(servers.nats_url, "regime", new_seed()))


async def test_what_was_written_survives_a_kill_of_every_server_at_once(home: Path) -> None:
    servers = EmbeddedServers(home)
    await _write(servers.start())
    for process in servers.processes.values():
        process.kill()
        process.wait()
    servers.stop()
    with EmbeddedServers(home) as endpoints:
        assert redis.Redis.from_url(endpoints.redis_url_with_password()).ping()
        assert await _read(endpoints) == (b"kept", "kept")


async def test_ports_and_passwords_are_the_same_at_the_next_start_and_start_is_idempotent(home: Path) -> None:
    servers = EmbeddedServers(home)
    try:
        first = servers.start()
        assert servers.start() == first == Endpoints.load(home)
        dsn = first.postgres_dsn_with_password()
    finally:
        servers.stop()
        servers.stop()
    with EmbeddedServers(home) as again:
        assert again == first
        assert again.postgres_dsn_with_password() == dsn


async def test_a_home_of_the_days_of_passwords_goes_on_with_keys_and_keeps_its_tape(home: Path) -> None:
    old = Home(home)
    passwords = {user: old.password(f"nats-{user}") for user in nats_config.USERS}
    port = old.ports(["nats"])["nats"]
    store = old.directory("nats")
    config = nats_config.server_config("127.0.0.1", port, "127.0.0.1:-1", str(store), dict.fromkeys(passwords, ""))
    config["authorization"] = {"users": [{"user": user, "password": word} for user, word in passwords.items()]}
    write_atomic(store / "nats.conf", json.dumps(config).encode(), mode=0o600)
    argv = (str(binaries.nats_server()), "--config", str(store / "nats.conf"))
    process = spawn(old, ProcessSpec(name="nats", argv=argv))
    client = await nats.connect(f"nats://127.0.0.1:{port}", user="admin", password=passwords["admin"])
    await nats_config.provision(client)
    await client.jetstream().publish("md.slice.v1.test", b"kept")
    await client.close()
    process.terminate()
    process.wait()

    with EmbeddedServers(home) as endpoints:
        client = await _login(endpoints, "operator")
        assert (await client.jetstream().get_last_msg(subjects.STREAM, "md.slice.v1.test")).data == b"kept"
        await client.close()
    assert not list((home / "secrets").glob("nats-*"))
    assert "password" not in (store / "nats.conf").read_text()


def test_a_port_that_is_taken_meanwhile_is_chosen_anew(home: Path) -> None:
    with EmbeddedServers(home) as first:
        port = int(first.nats_url.rpartition(":")[2])
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        with EmbeddedServers(home) as second:
            assert second.nats_url != first.nats_url
            assert second.redis_url == first.redis_url


def test_a_pid_file_of_a_killed_postgres_that_names_a_living_stranger_is_not_believed(home: Path) -> None:
    with EmbeddedServers(home):
        pass
    pid_file = home / "postgres/data/postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{pid_file.parent}\n0\n5432\n\n127.0.0.1\n0 0\nready\n")
    with EmbeddedServers(home) as endpoints:
        assert endpoints.postgres_dsn


def test_a_home_is_run_by_one_process_at_a_time(home: Path) -> None:
    with EmbeddedServers(home), pytest.raises(BallastError, match=f"already running as process {os.getpid()};"):
        EmbeddedServers(home).start()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_secret_can_be_seen_in_a_command_line_an_environment_or_a_log(home: Path) -> None:
    servers = EmbeddedServers(home)
    servers.start()
    try:
        kept = [*(home / "secrets").glob("*.password"), *(home / "secrets").glob("nats_*")]
        secrets = [path.read_text() for path in kept]
        assert len(set(secrets)) == len(nats_config.USERS) + len({"redis", "postgres", "postgres-superuser"})
        proc = [Path(f"/proc/{process.pid}") for process in servers.processes.values()]
        seen = [(path / name).read_text() for path in proc for name in ("cmdline", "environ")]
        seen += [path.read_text() for path in (home / "logs").iterdir()] + [(home / "nats/nats.conf").read_text()]
        assert not [secret for secret in secrets for text in seen if secret in text]
    finally:
        servers.stop()
    assert (home / "secrets").stat().st_mode & 0o777 == 0o700
    private = [*(home / "secrets").iterdir(), home / "nats/nats.conf", home / "redis/redis.conf"]
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_servers_end_when_whoever_started_them_is_killed_and_the_next_start_waits_for_that(home: Path) -> None:
    code = (
        "import sys, time, pathlib; from common.runtime.embedded import EmbeddedServers\n"
        "servers = EmbeddedServers(pathlib.Path(sys.argv[1])); servers.start()\n"
        "print(*(process.pid for process in servers.processes.values()), flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, home], stdout=subprocess.PIPE, text=True)
    assert starter.stdout
    pids = [int(word) for word in starter.stdout.readline().split()]
    assert len(pids) == 3
    starter.kill()
    starter.communicate()
    with EmbeddedServers(home) as endpoints:
        assert redis.Redis.from_url(endpoints.redis_url_with_password()).ping()
        assert not [pid for pid in pids if _runs(pid)]


def test_a_process_of_an_earlier_run_that_is_deaf_to_everything_is_killed(home: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    spec = ProcessSpec(name="deaf", argv=(sys.executable, "-c", deaf))
    process = spawn(Home(home), spec)
    while log_tail(Home(home), "deaf") != "deaf":
        time.sleep(0.01)
    with pytest.raises(BallastError, match="deaf: still running"):
        spawn(Home(home), spec)
    evict(lock_file(Home(home), "deaf"), patience_s=0.1)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has homes that PostgreSQL's account cannot reach")
def test_below_a_private_directory_the_database_lies_elsewhere_and_the_home_links_to_it(home: Path) -> None:
    private = home / "private"
    private.mkdir(mode=0o700)
    with EmbeddedServers(private / "home"):
        link = private / "home/postgres"
        assert link.is_symlink()
        outside = link.resolve()
        assert outside.stat().st_mode & 0o777 == 0o700
    with EmbeddedServers(private / "home"):
        assert link.resolve() == outside
    subprocess.run(["rm", "-r", outside], check=True)


def test_a_server_too_old_for_atomic_batches_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = home / "nats-server"
    old.write_text("#!/bin/sh\necho nats-server: v2.9.25\n")
    old.chmod(0o755)
    monkeypatch.setattr(binaries, "nats_server", lambda: old)
    with pytest.raises(ConfigError, match=r"v2\.9\.25; expected nats-server 2\.12 or newer"):
        EmbeddedServers(home).start()


def test_a_server_that_dies_while_starting_is_reported_with_its_own_words(home: Path) -> None:
    with EmbeddedServers(home):
        pass
    (home / "postgres/data/pg_hba.conf").unlink()
    with pytest.raises(BallastError, match=r"(?s)postgres ended with 1 while starting:.*pg_hba\.conf"):
        EmbeddedServers(home).start()


def _runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
