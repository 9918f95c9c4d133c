"""`ballast restore`: from a file of `ballast backup` into a home, or into the servers that the environment names."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ballast_cli.backup import deployment, described, plainly, servers_of
from common.errors import BallastError, ConfigError
from common.runtime.backup import Archive, Servers, is_empty, quiet, refill, save
from common.runtime.embedded import Endpoints, nats, redis
from common.runtime.embedded.home import Home, write_atomic
from common.runtime.embedded.process import Process, ProcessSpec, evict, spawn, stop
from common.runtime.embedded.servers import prepare, wait_until_ready
from recorder import schema

STOPPED_WITHIN_S: Final = 300.0
_SECRET_MODE: Final = 0o600


def restore(home: Path, path: Path, *, replace: bool) -> dict[str, Any]:
    """The archive is checked wholly before anything is touched. Where something is kept already, `replace` moves it aside first:
    a home to a directory beside it, the content of servers to a backup beside the archive. Nothing is started.
    """
    began = time.perf_counter()
    with plainly(), Archive(path) as archive:
        servers = deployment(os.environ)
        done = (
            asyncio.run(into_servers(servers, archive, replace=replace))
            if servers
            else into_home(home.resolve(), archive, replace=replace)
        )
        what = described(archive.manifest)
    return {**what, **done, "took_s": round(time.perf_counter() - began, 2)}


def into_home(home: Path, archive: Archive, *, replace: bool) -> dict[str, Any]:
    """A new home is filled beside the old one and then takes its place, so that a failure changes nothing. Call from the main
    thread.
    """
    there = home.is_dir() and any(home.iterdir())
    if there and not replace:
        raise ConfigError(f"{home}: not empty; --replace moves it aside first")
    if os.path.ismount(home):
        raise ConfigError(f"{home}: a mount point cannot be replaced; set BALLAST_HOME to a directory in it")
    if there:
        _require_stopped(home)
    draft = home.with_name(f".{home.name}.restoring")
    _remove(draft)
    try:
        done = _fill(draft, archive)
        aside = _swap(home, draft, there=there)
    except BaseException:
        _remove(draft)
        raise
    prepare(Home(home))  # whatever names paths names the new ones
    return {**done, "into": str(home), "moved_aside": aside}


async def into_servers(servers: Servers, archive: Archive, *, replace: bool) -> dict[str, Any]:
    """Refuses while anybody reads the tape: services must be stopped."""
    if not await quiet(servers):
        raise BallastError("services are at work on this tape; stop all of them first")
    aside = None
    if not await is_empty(servers):
        if not replace:
            raise ConfigError("a run is kept on these servers; --replace backs it up first and then replaces it")
        aside = archive.path.with_name(f"before-restore-{_stamp()}.zip").resolve()
        await save(servers, aside, {}, secrets=False)
    done = await refill(servers, archive, schema.create, getpass.getuser())
    return {**done, "into": servers.admin.url, "moved_aside": str(aside) if aside else None}


def _fill(draft: Path, archive: Archive) -> dict[str, Any]:
    Home(draft).directory(".")
    for name in archive.manifest.files:
        path = draft / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines(archive.pieces(f"files/{name}"))
        if name.startswith("secrets/"):
            path.parent.chmod(0o700)
            path.chmod(_SECRET_MODE)
    with _unsynced(Home(draft)) as endpoints:
        done = asyncio.run(refill(servers_of(endpoints), archive, schema.create, getpass.getuser()))
    os.sync()
    return done


@contextmanager
def _unsynced(home: Home) -> Iterator[Endpoints]:
    """NATS and PostgreSQL, of which the first does not sync message by message: nobody relies on a draft, and it is thirty times as
    fast. The next start of this home writes the configuration anew.
    """
    servers, endpoints = prepare(home)
    needed = [server for server in servers if server.spec.name != redis.NAME]
    path = home.directory(nats.NAME) / "nats.conf"
    config = json.loads(path.read_bytes())
    config["jetstream"]["sync_interval"] = "1h"
    write_atomic(path, json.dumps(config).encode(), mode=_SECRET_MODE)
    with ExitStack() as started:
        processes = {}
        for server in needed:
            processes[server.spec.name] = spawn(home, server.spec)
            started.callback(_stop_whole, processes[server.spec.name], server.spec)
        wait_until_ready(home, needed, processes)
        yield endpoints


def _stop_whole(process: Process, spec: ProcessSpec) -> None:
    """What it has not written yet it writes when it stops; killed, it would not. Raises BallastError."""
    stop(process, spec, STOPPED_WITHIN_S)
    if process.returncode == -signal.SIGKILL:
        raise BallastError(f"{spec.name} has not stopped within {STOPPED_WITHIN_S:g} s; nothing was restored")


def _require_stopped(home: Path) -> None:
    """Raises BallastError while somebody runs this home; ends what a killed run has left."""
    with Home(home).lock():
        for lock_path in sorted(Home(home).run.glob("*.lock")):
            evict(lock_path)


def _swap(home: Path, draft: Path, *, there: bool) -> str | None:
    aside = home.with_name(f"{home.name}.before-restore-{_stamp()}")
    if there:
        home.rename(aside)
    elif home.is_dir():
        home.rmdir()
    draft.rename(home)
    return str(aside) if there else None


def _remove(draft: Path) -> None:
    """With the database, which may lie elsewhere."""
    if not draft.exists():
        return
    for lock_path in sorted((draft / "run").glob("*.lock")):
        evict(lock_path)
    with suppress(OSError):
        shutil.rmtree((draft / "postgres").resolve())
    shutil.rmtree(draft)


def _stamp() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
