"""Messages to bytes and back. JSON, so that a human can read the tape at 3 a.m."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import cache
from hashlib import blake2b
from typing import Any, Final

import msgspec

from common.errors import DecodeError
from common.messages import MESSAGES
from common.messages.base import Envelope, Message

_BY_TYPE: Final[dict[str, type[Message]]] = {message.TYPE: message for message in MESSAGES}
# What decoding bytes that somebody else wrote may raise.
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_encoder = msgspec.json.Encoder()
_envelope_decoder = msgspec.json.Decoder(Envelope)


# Decimal accepts these; no amount, price or quantity may be one (a name may).
_NOT_A_NUMBER: Final = re.compile(rb'"[+-]?(?:s?nan\d*|inf(?:inity)?)"', re.IGNORECASE)


@cache
def _with_decimals() -> frozenset[str]:
    """Message types that carry amounts."""
    return frozenset(name for name, kind in _BY_TYPE.items() if "decimal" in str(msgspec.json.schema(kind)))


@cache
def _decoder(message_type: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_BY_TYPE[message_type])


def encode(message: Message) -> bytes:
    """The data of an envelope."""
    return _encoder.encode(message)


def encode_envelope(envelope: Envelope) -> bytes:
    return _encoder.encode(envelope)


def decode_envelope(payload: bytes) -> Envelope:
    """The envelope alone; its data stays bytes. Raises DecodeError."""
    try:
        return _envelope_decoder.decode(payload)
    except _UNREADABLE as error:
        raise DecodeError(f"not an envelope: {error}") from error


def decode(envelope: Envelope) -> Message:
    """The message inside. Raises DecodeError for an unknown type or version, or data that does not fit it."""
    if envelope.type not in _BY_TYPE:
        raise DecodeError(f"unknown message type or version {envelope.type!r}")
    try:
        message: Message = _decoder(envelope.type).decode(envelope.data)
    except _UNREADABLE as error:
        raise DecodeError(f"{envelope.type}: {error}") from error
    if envelope.type in _with_decimals() and _NOT_A_NUMBER.search(envelope.data) and not _finite(message):
        raise DecodeError(f"{envelope.type}: NaN or infinity where an amount was expected")
    return message


def _finite(value: object) -> bool:
    """Whether every amount inside is a number. Only asked when the bytes look as if one were not."""
    match value:
        case Decimal():
            return value.is_finite()
        case msgspec.Struct():
            return all(_finite(getattr(value, name)) for name in value.__struct_fields__)
        case dict():
            return all(map(_finite, value.values()))
        case tuple() | list():
            return all(map(_finite, value))
    return True


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of the envelope and of every message, by type."""
    shown = {"envelope": Envelope, **_BY_TYPE}
    return {name: msgspec.json.schema(kind) for name, kind in sorted(shown.items())}


def fingerprint() -> str:
    """Of all schemas; equal for two builds whose messages are. Words about them do not count. Slow: see common.version."""
    text = json.dumps(_without_words(schemas()), sort_keys=True)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _without_words(schema: Any) -> Any:
    match schema:
        case dict():
            words = {"description"} if isinstance(schema.get("description"), str) else set()
            return {name: _without_words(part) for name, part in schema.items() if name not in words}
        case list():
            return [_without_words(part) for part in schema]
    return schema
