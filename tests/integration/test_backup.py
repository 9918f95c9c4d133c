"""`ballast backup` and `ballast restore` as a user runs them, on real servers."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from support.system import System, ballast, until

from ballast_cli.backup import servers_of
from common.contracts import ALL, pattern
from common.errors import BallastError
from common.messages import Message, OrderFilled, OrderSubmitted
from common.messages.orders import Order
from common.runtime import nats_config
from common.runtime.backup import Archive, refill, save
from common.runtime.backup.tables import connected, version
from common.runtime.codec import decode, decode_envelope
from common.runtime.embedded import EmbeddedServers, Endpoints
from common.runtime.embedded.home import Home
from common.runtime.lease import Lease
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.runtime.tape import Record, read_all
from common.testing.builders import a
from recorder import schema

BACKUPS = 2
SPAN = ("--from", "2015-01-01", "--to", "2018-01-01")  # too long to be over before the last backup is made
TRADERS = 8


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Where PostgreSQL's account can reach what is restored here."""
    root = Path(tempfile.mkdtemp(prefix="ballast-backup-"))
    root.chmod(0o711)
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def archives(place: Path) -> list[Path]:
    """Some of one run on paper, one after the other, while it traded."""
    home, made = place / "source", [place / f"{number}.zip" for number in range(BACKUPS)]
    with System(home, *SPAN, "--speed", "25") as system:
        until(lambda: len(system.said(OrderFilled)) > 5, "orders are filled")
        for path in made:
            ballast(home, "backup", str(path))
    return made


@pytest.mark.req("PLT-11", "EXE-01")
@pytest.mark.timeout(600)
def test_a_backup_of_a_running_system_is_one_cut_in_which_no_submitted_order_lacks_its_intent(
    archives: list[Path], place: Path
) -> None:
    ends = []
    for number, path in enumerate(archives):
        home = place / f"restored-{number}"
        done = ballast(home, "restore", str(path))
        assert (done["halted"], done["moved_aside"]) == (False, None)
        with EmbeddedServers(home) as endpoints:
            tape, intents, position = asyncio.run(_state(endpoints))
        submitted = {m.order.client_order_id for _, m in tape if isinstance(m, OrderSubmitted)}
        assert len(submitted) > 5
        assert submitted <= intents
        sequences = [seq for seq, _ in tape]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        assert 0 < position <= sequences[-1]
        assert done["tape"]["last_seq"] == sequences[-1]
        ends.append(sequences[-1])
    assert ends == sorted(ends)
    assert ends[0] < ends[-1], "the run went on between the backups"


@pytest.mark.req("PLT-11", "EXE-01")
@pytest.mark.timeout(300)
async def test_an_order_that_comes_between_any_two_reads_is_on_the_archived_tape_only_with_its_intent(
    home: Path,
) -> None:
    with EmbeddedServers(home) as endpoints:
        await nats_config.provision_at(endpoints.login("admin"))
        async with connected(endpoints.postgres_dsn_with_password()) as connection:
            await schema.migrate(connection)
        path, servers = home / "busy.zip", servers_of(endpoints)
        trading = [asyncio.create_task(_trade(endpoints, str(trader))) for trader in range(TRADERS)]
        await asyncio.sleep(0.5)
        await save(servers, path, {}, secrets=False)
        for task in trading:
            task.cancel()
        await asyncio.gather(*trading, return_exceptions=True)
        after, _, _ = await _state(endpoints)
        with Archive(path) as archive:
            await refill(servers, archive, schema.create, "test")
        tape, intents, _ = await _state(endpoints)
    assert 10 < len(tape) < len(after), "orders came before, while and after it was made"
    assert {m.order.client_order_id for _, m in tape if isinstance(m, OrderSubmitted)} <= intents


@pytest.mark.req("PLT-11")
@pytest.mark.timeout(300)
async def test_history_of_an_older_schema_comes_back_as_it_was_and_can_be_migrated(home: Path) -> None:
    with EmbeddedServers(home) as endpoints:
        await nats_config.provision_at(endpoints.login("admin"))
        path, servers = home / "older.zip", servers_of(endpoints)
        async with connected(servers.dsn) as connection:
            await schema.create(connection, "v0001")
            await connection.execute("INSERT INTO order_intents VALUES ('o', 7, now(), '{}')")
            await save(servers, path, {}, secrets=False)
            assert await schema.migrate(connection) == "v0001"
            await connection.execute("DELETE FROM order_intents")
            with Archive(path) as archive:
                await refill(servers, archive, schema.create, "test")
            assert await version(connection) == "v0001"
            assert await schema.migrate(connection) == "v0001"
            assert await connection.fetchval("SELECT ts_event FROM order_intents") == 7
            with pytest.raises(BallastError, match="the backup has schema 'v9999'"):
                await schema.create(connection, "v9999")


@pytest.mark.req("PLT-11")
@pytest.mark.timeout(300)
def test_restore_touches_nothing_that_is_there_unless_told_and_then_moves_it_aside(
    archives: list[Path], place: Path
) -> None:
    home = place / "kept"
    home.mkdir()
    (home / "mine").write_text("mine")
    damaged = place / "damaged.zip"
    content = archives[0].read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    for arguments, code, said in (
        ((archives[0],), 78, "not empty; --replace moves it aside first"),
        ((damaged, "--replace"), 78, "no archive of `ballast backup`, or not all of it"),
        ((place / "nowhere.zip", "--replace"), 78, "no such file"),
    ):
        refused = ballast(home, "restore", *map(str, arguments), check=False)
        assert (refused["exit_code"], said in refused["error"]) == (code, True), refused
        assert [*home.iterdir()] == [home / "mine"]
    with Home(home).lock():
        running = ballast(home, "restore", str(archives[0]), "--replace", check=False)
        assert (running["exit_code"], "already running" in running["error"]) == (1, True)
    done = ballast(home, "restore", str(archives[0]), "--replace")
    assert (Path(done["moved_aside"]) / "mine").read_text() == "mine"
    assert (home / "config.json").is_file()
    assert json.loads((home / "nats" / "nats.conf").read_text())["jetstream"]["sync_interval"] == "always"
    assert ballast(home, "replay", "--check")["services"]["execution"]["identical"]
    assert [*place.glob(".*")] == [], "no draft is left behind"


@pytest.mark.req("PLT-11")
@pytest.mark.timeout(300)
def test_secrets_are_in_the_archive_only_when_asked_for(archives: list[Path], place: Path) -> None:
    with Archive(archives[0]) as archive:
        assert archive.manifest.files == ["config.json"]
    source, home = place / "source", place / "with-secrets"
    ballast(source, "backup", str(place / "secret.zip"), "--with-secrets")
    ballast(home, "restore", str(place / "secret.zip"))
    kept = {path.name: path.read_text() for path in (home / "secrets").iterdir()}
    before = {path.name: path.read_text() for path in (source / "secrets").iterdir()}
    ours = [name for name in before if name not in ("redis.url", "postgres.dsn")]  # they name ports
    assert {name: kept[name] for name in ours} == {name: before[name] for name in ours}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (home / "secrets").iterdir())


@pytest.mark.req("PLT-11", "PLT-12")
@pytest.mark.timeout(400)
def test_servers_named_by_the_environment_are_saved_and_filled_like_a_home(
    archives: list[Path], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = place / "deployed"
    with EmbeddedServers(home) as endpoints:
        asyncio.run(nats_config.provision_at(endpoints.login("admin")))
        monkeypatch.setenv("BALLAST_NATS_URL", endpoints.nats_url)
        monkeypatch.setenv("BALLAST_NATS_SEED_FILE", endpoints.nats_seed_files["admin"])
        lacking = ballast(home, "backup", str(place / "deployed.zip"), check=False)
        assert (lacking["exit_code"], "BALLAST_POSTGRES_DSN_FILE: not set" in lacking["error"]) == (78, True)
        monkeypatch.setenv("BALLAST_POSTGRES_DSN_FILE", endpoints.postgres_dsn_file)

        first_token = asyncio.run(_token(endpoints))
        ballast(home, "restore", str(archives[0]))
        before, _, _ = asyncio.run(_state(endpoints))
        again = ballast(home, "restore", str(archives[1]), check=False)
        assert (again["exit_code"], "a run is kept on these servers" in again["error"]) == (78, True)
        assert asyncio.run(_state(endpoints))[0] == before

        read = asyncio.run(_while_somebody_reads(endpoints, home, archives[1]))
        assert (read["exit_code"], "services are at work" in str(read["error"])) == (1, True)

        done = ballast(home, "restore", str(archives[1]), "--replace")
        after, intents, _ = asyncio.run(_state(endpoints))
        assert len(after) > len(before)
        assert {m.order.client_order_id for _, m in after if isinstance(m, OrderSubmitted)} <= intents
        assert asyncio.run(_token(endpoints)) > first_token + 10**9, "tokens go on above all that were given"

        ballast(home, "restore", done["moved_aside"], "--replace")
        assert asyncio.run(_state(endpoints))[0] == before, "what was replaced can be brought back"
    gone = ballast(home, "backup", str(place / "gone.zip"), check=False)
    assert gone["exit_code"] == 69
    assert not (place / "gone.zip").exists()


async def _state(endpoints: Endpoints) -> tuple[list[tuple[int, Message]], set[str], int]:
    """(tape, ids of intents, position of the recorder)."""
    tape = await NatsTape.connect(endpoints.login("operator"))
    found = list[tuple[int, Message]]()

    async def keep(record: Record) -> None:
        found.append((record.seq, decode(decode_envelope(record.payload))))

    await asyncio.wait_for(read_all(tape, [pattern(kind) for kind in ALL], 1, keep), 30)
    await tape.close()
    connection = await asyncpg.connect(endpoints.postgres_dsn_with_password())
    intents = await connection.fetch("SELECT client_order_id FROM order_intents")
    position = await connection.fetchval("SELECT seq FROM recorder_position")
    await connection.close()
    return found, {row["client_order_id"] for row in intents}, position


async def _trade(endpoints: Endpoints, trader: str) -> None:
    """As execution does, for ever: first the intent is committed, then the order is on the tape."""
    tape = await NatsTape.connect(endpoints.login("execution"))
    async with connected(endpoints.postgres_dsn_with_password()) as connection:
        for number in itertools.count():
            name = f"{trader}-{number}"
            message = a(OrderSubmitted, order=a(Order, client_order_id=name))
            await connection.execute("INSERT INTO order_intents VALUES ($1, 0, now(), '{}')", name)
            await tape.append(subject(message), envelope("execution", message, name, cause=None))
            await tape.flush()


async def _token(endpoints: Endpoints) -> int:
    """Of a lease of execution's, which is given back."""
    tape = await NatsTape.connect(endpoints.login("execution"))
    lease = Lease(tape, "execution", "test")
    assert await lease.take()
    token = lease.token()
    assert token is not None
    await lease.release()
    await tape.close()
    return token


async def _while_somebody_reads(endpoints: Endpoints, home: Path, archive: Path) -> dict[str, object]:
    async def ignore(record: Record) -> None:
        pass

    tape = await NatsTape.connect(endpoints.login("operator"))
    await tape.read([pattern(OrderFilled)], 1, ignore)
    try:
        return await asyncio.to_thread(ballast, home, "restore", str(archive), "--replace", check=False)
    finally:
        await tape.close()
