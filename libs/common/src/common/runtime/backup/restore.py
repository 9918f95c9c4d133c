"""From an archive into servers in which nothing else is at work.

The tape goes first and comes back last: as long as it is not there no service starts, so that nobody ever trades on half of a
restored system. Fencing tokens go on above all that were ever given, also after the backup: a venue refuses lower ones.
"""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import Any, Final

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from common.contracts import pattern
from common.errors import DataError
from common.messages.control import RunStarted
from common.messages.risk import HaltTrading
from common.runtime import nats_config, subjects
from common.runtime.backup import streams, tables
from common.runtime.backup.archive import Archive
from common.runtime.backup.save import BEFORE_TAPE, INTENTS, LEASES, Servers
from common.runtime.codec import decode, decode_envelope
from common.runtime.nats_config import once
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject

PAPER: Final = "paper"
QUIET_WITHIN_S: Final = 8.0  # a reader that was killed is forgotten by the server after five seconds
_POLL_S: Final = 0.25
_NS_PER_MS: Final = 1_000_000
_TRACES: Final = (INTENTS, "runs", "audit_log")


async def refill(servers: Servers, archive: Archive, make_schema: tables.MakeSchema, author: str) -> dict[str, Any]:
    """Puts everything there and takes away what was there before. Where orders went to a venue outside, trading is halted in the
    operator's name: what happened there since the backup only a person can judge. Returns `run_id`, and whether it is `halted`.

    Raises DataError, TapeError and PostgresError; where it has begun, no tape is left then, and no service starts.
    """
    manifest = archive.manifest
    wanted = {*BEFORE_TAPE, subjects.STREAM}
    if set(manifest.streams) != wanted:
        raise DataError(f"{archive.path}: has streams {sorted(manifest.streams)}, expected {sorted(wanted)}")
    replicas = await once(servers.admin, _delete_all)
    async with tables.connected(servers.dsn) as connection:
        pieces = lambda table: archive.pieces(f"tables/{table}")  # noqa: E731
        await tables.load(connection, manifest.tables, pieces, manifest.schema, make_schema)
    await once(servers.admin, partial(_load_all, archive, replicas))
    return await _halt_outside(servers, archive, author)


async def is_empty(servers: Servers) -> bool:
    """Whether nothing has ever been traded or recorded there."""
    if await once(servers.admin, _has_messages):
        return False
    async with tables.connected(servers.dsn) as connection:
        there = [table for table in _TRACES if table in await tables.ours(connection)]
        counts = [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in there]  # noqa: S608 names of ours
    return not any(counts)


async def quiet(servers: Servers) -> bool:
    """Whether nobody reads the tape; waits until those who have just stopped are forgotten."""
    return await once(servers.admin, _is_quiet)


async def _is_quiet(client: Client) -> bool:
    stream, until = client.jetstream(), time.monotonic() + QUIET_WITHIN_S
    while True:
        try:
            if not (await stream.stream_info(subjects.STREAM)).state.consumer_count:
                return True
        except NotFoundError:
            return True
        if time.monotonic() > until:
            return False
        await asyncio.sleep(_POLL_S)


async def _has_messages(client: Client) -> bool:
    try:
        return (await client.jetstream().stream_info(subjects.STREAM)).state.last_seq > 0
    except NotFoundError:
        return False


async def _delete_all(client: Client) -> int:
    """How many replicas the tape had."""
    replicas = await streams.delete(client, subjects.STREAM)
    for name in BEFORE_TAPE:
        await streams.delete(client, name)
    return replicas


async def _load_all(archive: Archive, replicas: int, client: Client) -> None:
    await _raise_leases(client, archive.manifest.lease_seq, replicas)
    for name in (*BEFORE_TAPE, subjects.STREAM):
        part = archive.manifest.streams[name]
        await streams.load(client, name, part, archive.pieces(f"streams/{name}"), replicas)
    await nats_config.provision(client, replicas)


async def _raise_leases(client: Client, backed_up: int, replicas: int) -> None:
    """Tokens are sequences of their stream, written a few times a second. The time in milliseconds is above all that can have been
    given since the backup, and above all that an earlier restore began with.
    """
    stream = client.jetstream()
    config = next(config for config in nats_config.STREAMS if config.name == LEASES)
    try:
        there = (await stream.stream_info(LEASES)).state.last_seq
    except NotFoundError:
        await stream.add_stream(config.evolve(num_replicas=replicas))
        there = 0
    await stream.purge_stream(LEASES, seq=max(backed_up, there, time.time_ns() // _NS_PER_MS) + 1)


async def _halt_outside(servers: Servers, archive: Archive, author: str) -> dict[str, Any]:
    tape = await NatsTape.connect(servers.operator)
    try:
        record = await tape.last([pattern(RunStarted)])
        run = decode(decode_envelope(record.payload)) if record else None
        if not isinstance(run, RunStarted):
            return {"run_id": None, "halted": False}
        config = json.loads(run.config)
        found = {"run_id": config.get("run", {}).get("id"), "halted": False}
        if config.get("execution", {}).get("venue", PAPER) == PAPER:
            return found
        made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(archive.manifest.made_ns // 10**9))
        now = time.time_ns()
        halt = HaltTrading(
            ts_event=now,
            book=run.book,
            author=author,
            reason=f"restored from the backup of {made}; compare with the venue before you resume",
            flatten=False,
        )
        await tape.append(subject(halt), envelope("operator", halt, f"{halt.TYPE}:{now}", cause=None))
        await tape.flush()
    finally:
        await tape.close()
    return {**found, "halted": True}
