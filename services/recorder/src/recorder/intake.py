"""From bytes on the tape to a batch for PostgreSQL. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from common.errors import DecodeError
from common.messages.base import Envelope
from common.runtime.codec import decode, decode_envelope
from common.runtime.redis import TAPE
from common.runtime.tape import Record
from recorder import hot, projections
from recorder.hot import Put
from recorder.rows import Row
from recorder.store import Batch, DeadLetter, Position

# PostgreSQL has no character 0 in text and jsonb; JSON has, as an escape after an even number of backslashes.
_ZERO: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def position(record: Record) -> Position:
    return Position(record.seq, blake2b(record.payload, digest_size=16).hexdigest())


def batch_of(records: Iterable[Record], after: int) -> Batch:
    """Consecutive records that follow on sequence `after`. What cannot be understood, or is not there, is a dead letter."""
    batch, last = Batch(position=Position(after, "")), after
    for record in records:
        if record.seq != last + 1 and last:
            reason = f"the tape has no messages from {last + 1} to {record.seq - 1}"
            batch.dead.append(DeadLetter(last + 1, reason, b""))
        _add(batch, record)
        last = record.seq
        batch.position = position(record)
    batch.put([Put(TAPE, "seq", str(last))])
    return batch


def set_aside(record: Record, reason: str) -> Batch:
    """The batch of a record of which nothing but its bytes can be kept."""
    return Batch(position=position(record), dead=[DeadLetter(record.seq, reason, record.payload)])


def _add(batch: Batch, record: Record) -> None:
    payload = _ZERO.sub(rb"\1\\ufffd", record.payload) if b"\\u0000" in record.payload else record.payload
    try:
        envelope = decode_envelope(payload)
        batch.tape.append(_tape_row(record.seq, envelope))
        message = decode(envelope)
    except (DecodeError, UnicodeDecodeError) as error:
        batch.dead.append(DeadLetter(record.seq, str(error), record.payload))
        return
    for table, row in projections.project(record.seq, envelope, message):
        batch.rows.setdefault(table, []).append(row)
    batch.put(hot.changes(record.seq, envelope, message))


def _tape_row(seq: int, envelope: Envelope) -> Row:
    return (
        seq,
        envelope.ts_init,
        envelope.ts_event,
        envelope.type,
        envelope.source,
        envelope.id,
        envelope.correlation_id,
        envelope.causation_id,
        envelope.cause_seq,
        envelope.cause_index,
        bytes(envelope.data).decode(),
    )
