"""What is kept can be brought back: a backup of the running system, restored beside it and compared."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg

from ballast_cli.backup import backup as make_backup
from ballast_cli.readiness.evidence import Evidence, seconds
from ballast_cli.readiness.system import READ_WITHIN_S, System
from ballast_cli.restore import into_home
from common.contracts import ALL, pattern
from common.errors import BallastError, TapeError
from common.runtime.backup import Archive
from common.runtime.embedded import EmbeddedServers
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.nats_tape import NatsTape
from common.runtime.tape import Record, read_all

ARCHIVE: Final = "readiness.zip"


class _Content(NamedTuple):
    messages: int
    digest: str


def backup_and_restore(system: System) -> Evidence:
    """A backup of now, proved."""
    with place() as folder:
        return prove(system, take(system, folder), folder)


@contextmanager
def place() -> Iterator[Path]:
    """A directory for both, gone afterwards; PostgreSQL's account can pass through it when root asks."""
    with tempfile.TemporaryDirectory(prefix="ballast-readiness-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def take(system: System, folder: Path) -> Path:
    path = folder / ARCHIVE
    make_backup(system.home, path, with_secrets=False)
    return path


def prove(system: System, path: Path, folder: Path) -> Evidence:
    """Restores the archive into a home in `folder`, starts its servers and compares them with the running system's."""
    did = "backed up, restored into an empty home, compared tape and tables"
    limit = "the same tape, message by message, and as many rows as were saved"
    began = time.perf_counter()
    try:
        with Archive(path) as archive:
            into_home(folder / "home", archive, replace=False)
            last, wanted = archive.manifest.streams["TAPE"].last_seq, archive.manifest.tables
        with EmbeddedServers(folder / "home") as endpoints:
            theirs = asyncio.run(_content(endpoints, last))
            rows = asyncio.run(_rows(endpoints, list(wanted)))
    except (BallastError, OSError) as error:
        return Evidence(passed=False, did=did, saw=f"the backup cannot be restored: {error}", limit=limit)
    took = time.perf_counter() - began
    ours = asyncio.run(_content(system.endpoints, last))
    short = [name for name, part in wanted.items() if rows[name] != part.rows]
    same = ours == theirs and not short
    tape = f"{theirs.messages:,} messages up to {last}, digest {theirs.digest[:12]}"
    differs = f"the tape has {ours.messages:,}, digest {ours.digest[:12]}" if ours != theirs else ", ".join(short)
    size = f"{path.stat().st_size / 2**20:.1f} MB, restored in {seconds(took)}"
    total = f"{sum(rows.values()):,} rows in {len(rows)} tables"
    return Evidence(
        passed=same and ours.messages > 0,
        did=did,
        saw=f"{size}; {tape}; {total}" + ("" if same else f"; differs: {differs}"),
        limit=limit,
    )


async def _content(endpoints: Endpoints, last_seq: int) -> _Content:
    """Of the tape up to a sequence: how many messages, and one digest of all sequences and bytes. Raises TapeError."""
    tape, digest, count = await NatsTape.connect(endpoints.login("operator")), sha256(), 0

    async def add(record: Record) -> None:
        nonlocal count
        if record.seq <= last_seq:
            count += 1
            digest.update(record.seq.to_bytes(8) + record.payload)

    try:
        await asyncio.wait_for(read_all(tape, [pattern(kind) for kind in ALL], 1, add), READ_WITHIN_S)
    except TimeoutError:
        raise TapeError(f"the tape was not read to {last_seq} within {READ_WITHIN_S:g} s") from None
    finally:
        await tape.close()
    return _Content(count, digest.hexdigest())


async def _rows(endpoints: Endpoints, tables: list[str]) -> dict[str, int]:
    connection = await asyncpg.connect(endpoints.postgres_dsn_with_password())
    try:
        return {name: await connection.fetchval(f'SELECT count(*) FROM "{name}"') for name in tables}  # noqa: S608 the manifest's names are checked
    finally:
        await connection.close()
