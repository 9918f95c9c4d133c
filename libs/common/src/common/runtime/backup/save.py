"""A consistent cut through a system that goes on trading: nothing is stopped, so the order of what is read is what makes it one.

1. History, in PostgreSQL as of one instant. What the recorder has written is a projection of the tape up to its own position, so it
   must be older than the tape of the archive: the recorder goes on from there.
2. Snapshots of services and dead letters: they tell of a tape up to a sequence, which must lie on the tape of the archive.
3. The tape, a prefix of it.
4. Order intents, again as of one instant. They are no projection: each is committed before `order.submitted` is on the tape, and
   before the venue hears of it. Read after the tape, none is missing for an order that is on it.

Redis is left out, because the recorder fills it anew, and so are leases, but for how far their tokens had risen.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from nats.aio.client import Client

from common.runtime import subjects
from common.runtime.backup import archive, streams, tables
from common.runtime.backup.archive import Writer
from common.runtime.backup.manifest import FORMAT, Manifest, StreamPart
from common.runtime.login import Login
from common.runtime.nats_config import once
from common.version import BUILD, CONTRACTS

INTENTS: Final = "order_intents"
SNAPSHOTS: Final = f"KV_{subjects.SNAPSHOTS}"
LEASES: Final = f"KV_{subjects.LEASES}"
BEFORE_TAPE: Final = (SNAPSHOTS, subjects.DEAD_LETTERS)


class Servers(NamedTuple):
    """Where everything is kept. `operator` speaks for whoever restores; `dsn` is with its password."""

    admin: Login
    operator: Login
    dsn: str


async def save(servers: Servers, path: Path, files: Mapping[str, Path], *, secrets: bool) -> Manifest:
    """Writes the archive `path`. `files` are kept under their names; `secrets` says that some are secret. Raises TapeError,
    PostgresError, and ConfigError where the archive cannot be written.
    """
    made_ns = time.time_ns()
    with archive.writing(path) as writer:
        async with tables.connected(servers.dsn) as connection:
            columns = await tables.ours(connection)
            schema = await tables.version(connection)
            history = {table: names for table, names in columns.items() if table != INTENTS}
            saved = await tables.save(connection, writer, history)
            kept, lease_seq, nats = await once(servers.admin, partial(_save_streams, writer))
            intents = {table: names for table, names in columns.items() if table == INTENTS}
            saved |= await tables.save(connection, writer, intents)
            postgres = ".".join(map(str, connection.get_server_version()[:2]))
        _save_files(writer, files)
        manifest = Manifest(
            format=FORMAT,
            made_ns=made_ns,
            build=BUILD,
            contracts=CONTRACTS,
            nats=nats,
            postgres=postgres,
            schema=schema,
            lease_seq=lease_seq,
            secrets=secrets,
            streams=kept,
            tables=saved,
            parts=writer.parts,
        )
        writer.seal(manifest)
    return manifest


async def _save_streams(writer: Writer, client: Client) -> tuple[dict[str, StreamPart], int, str]:
    """(streams by name, the highest sequence of leases, version of the server)."""
    kept = {}
    for name in (*BEFORE_TAPE, subjects.STREAM):
        with writer.part(f"streams/{name}", packed=True) as part:
            kept[name] = await streams.save(client, name, part.write)
    leases = await client.jetstream().stream_info(LEASES)
    return kept, leases.state.last_seq, str(client.connected_server_version)


def _save_files(writer: Writer, files: Mapping[str, Path]) -> None:
    for name, path in files.items():
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # gone since it was found
            continue
        with writer.part(f"files/{name}") as part:
            part.write(content)
