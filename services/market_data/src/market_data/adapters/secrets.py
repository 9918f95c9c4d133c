"""Keys of venues: a file that only we can read, never a value in a profile, a log or an error."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from common.errors import ConfigError
from common.runtime.environment import read_secret

T = TypeVar("T")


def read_key(feed: str, key_file: str, kind: type[T]) -> T:
    """The JSON object in `key_file`, or the bare text of it where `kind` is str. Raises ConfigError, never with the content."""
    if not key_file:
        raise ConfigError(f"market_data.feeds: {feed}: key_file is not set; this venue answers only with a key")
    text = read_secret(Path(key_file))
    if kind is str:
        return text  # type: ignore[return-value]
    try:
        return msgspec.json.decode(text.encode(), type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError):
        fields = ", ".join(f'"{field}": "…"' for field in getattr(kind, "__struct_fields__", ()))
        raise ConfigError(f"{key_file}: expected one JSON object {{{fields}}}") from None
