"""A core's state as bytes, with the place on the tape it belongs to."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Protocol, get_origin

import msgspec
import numpy as np


class Stateful(Protocol):
    """A core or a source."""

    state: Any


class _Array(msgspec.Struct):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """`fingerprint` says which shape of state and which configuration this belongs to; another one starts afresh."""

    fingerprint: str
    last_seq: int
    state: msgspec.Raw


def fingerprint(core: Stateful, config: bytes) -> str:
    """Changes when the configuration or the fields of the state change, or its `layout` where it has one (what the fields
    mean may depend on a user's files).
    """
    fields = [(field.name, str(field.type)) for field in msgspec.structs.fields(type(core.state))]
    layout = getattr(core.state, "layout", "")
    return blake2b(config + repr((fields, layout)).encode(), digest_size=16).hexdigest()


def encode(core: Stateful, last_seq: int, mark: str) -> bytes:
    """The snapshot of `core` after the message `last_seq`."""
    state = msgspec.msgpack.encode(core.state, enc_hook=_from_array)
    return msgspec.msgpack.encode(Snapshot(fingerprint=mark, last_seq=last_seq, state=msgspec.Raw(state)))


def restore(core: Stateful, payload: bytes | None, mark: str) -> int:
    """Puts the snapshot into `core` and returns its sequence; 0, with `core` untouched, when there is none that fits."""
    if payload is None:
        return 0
    try:
        snapshot = msgspec.msgpack.decode(payload, type=Snapshot)
        if snapshot.fingerprint != mark:
            return 0
        core.state = msgspec.msgpack.decode(snapshot.state, type=type(core.state), dec_hook=_to_array)
    except msgspec.MsgspecError:
        return 0
    return snapshot.last_seq


def _from_array(value: Any) -> _Array:
    if isinstance(value, np.ndarray):
        return _Array(value.dtype.str, value.shape, value.tobytes())
    raise NotImplementedError(f"{type(value).__name__} in a core's state")


def _to_array(kind: type, value: Any) -> Any:
    if (get_origin(kind) or kind) is not np.ndarray:
        raise NotImplementedError(f"{kind.__name__} in a core's state")
    array = msgspec.convert(value, _Array)
    return np.frombuffer(array.data, dtype=array.dtype).reshape(array.shape).copy()
