"""Streams of JetStream as the server packs them: sequences, times and headers stay what they were. Only `admin` may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from common.errors import DataError, TapeError
from common.runtime.backup.archive import CHUNK_BYTES
from common.runtime.backup.manifest import StreamPart

ANSWER_WITHIN_S: Final = 30.0
STORED_WITHIN_S: Final = 3600.0  # the server writes and syncs message by message: some thousand a second
_END_STATUS: Final = "204"
# The server takes the next piece when it has stored, and synced, what was in the one before; after five seconds it gives up.
_SMALL_BYTES: Final = 4096
_TOO_SLOW: Final = ("closed pipe", "stalled")


async def save(client: Client, name: str, write: Callable[[bytes], None]) -> StreamPart:
    """Gives the packed stream to `write`, piece by piece, while others go on appending to it: what is in it is a prefix of the
    stream. Raises TapeError.
    """
    pieces: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox, cb=pieces.put)
    request = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": CHUNK_BYTES}
    try:
        found = await _ask(client, f"$JS.API.STREAM.SNAPSHOT.{name}", request)
        while (piece := await asyncio.wait_for(pieces.get(), ANSWER_WITHIN_S)).data:
            write(piece.data)
            if piece.reply:  # the server goes on when it hears that this one has arrived
                await client.publish(piece.reply)
        status = (piece.headers or {}).get("Status", _END_STATUS)
        if status != _END_STATUS:
            raise TapeError(f"snapshot of {name}: {(piece.headers or {}).get('Description', status)}")
    finally:
        await subscription.unsubscribe()
    state = found["state"]
    return StreamPart(
        config=found["config"], messages=state["messages"], first_seq=state["first_seq"], last_seq=state["last_seq"]
    )


async def load(client: Client, name: str, part: StreamPart, pieces: Iterable[bytes], replicas: int) -> None:
    """Makes the stream, which must not be there, out of what `save` gave: all of it or nothing. Raises DataError where the server
    finds it damaged, TapeError otherwise.
    """
    state = {"messages": part.messages, "first_seq": part.first_seq, "last_seq": part.last_seq}
    request = {"config": {**part.config, "num_replicas": replicas}, "state": state}
    to = (await _ask(client, f"$JS.API.STREAM.RESTORE.{name}", request))["deliver_subject"]
    for piece in pieces:
        for at in range(0, len(piece), _SMALL_BYTES):
            answer = await client.request(to, piece[at : at + _SMALL_BYTES], timeout=STORED_WITHIN_S)
            if answer.data:
                _content(name, answer.data)
    _content(name, (await client.request(to, b"", timeout=STORED_WITHIN_S)).data)


async def delete(client: Client, name: str) -> int:
    """How many replicas it had; 1 if it was not there."""
    stream = client.jetstream()
    try:
        replicas = (await stream.stream_info(name)).config.num_replicas or 1
        await stream.delete_stream(name)
    except NotFoundError:
        return 1
    return replicas


async def _ask(client: Client, subject: str, request: dict[str, Any]) -> dict[str, Any]:
    answer = await client.request(subject, json.dumps(request).encode(), timeout=ANSWER_WITHIN_S)
    return _content(subject.rpartition(".")[2], answer.data)


def _content(name: str, data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data)
    error = found.get("error")
    if error is None:
        return found
    said = f"stream {name}: {error.get('description', error)}"
    if any(word in said for word in _TOO_SLOW):
        raise TapeError(
            f"stream {name}: the server gave up, because its disk syncs too slowly; see docs/deploy/backup.md, Slow disks"
        )
    raise DataError(said) if "restore failed" in said else TapeError(said)
