"""What an archive says of itself: what is in it, of which tape it is, and which code made it."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from common.errors import DataError
from common.version import BUILD, CONTRACTS

FORMAT: Final = 1
NAME: Final = "manifest.json"
_TABLE: Final = re.compile(r"[a-z_][a-z0-9_]*")


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member of the archive. `size` in bytes, before any compression of the archive's own."""

    sha256: str
    size: int


class StreamPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stream of JetStream. `config` is the server's; `first_seq` to `last_seq` are at least in it."""

    config: dict[str, Any]
    messages: int
    first_seq: int
    last_seq: int


class TablePart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of PostgreSQL, in the text format of COPY."""

    columns: tuple[str, ...]
    rows: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`parts` by the name of the member; `streams` lie in `streams/NAME`, `tables` in `tables/NAME`, files of the home in
    `files/PATH`. `lease_seq` is the highest fencing token that can have been given until then. `schema` is the version of the
    database.
    """

    format: int
    made_ns: int
    build: str
    contracts: str
    nats: str
    postgres: str
    schema: str
    lease_seq: int
    secrets: bool
    streams: dict[str, StreamPart]
    tables: dict[str, TablePart]
    parts: dict[str, Part]

    @property
    def files(self) -> list[str]:
        """Paths relative to the home."""
        return [name.removeprefix("files/") for name in self.parts if name.startswith("files/")]


class _Version(msgspec.Struct):
    format: int


def read(content: bytes, where: str) -> Manifest:
    """Raises DataError for what this build cannot restore, or nobody wrote like that."""
    try:
        version = msgspec.json.decode(content, type=_Version).format
        if version != FORMAT:
            raise DataError(f"{where}: an archive of format {version}, this build reads format {FORMAT}")
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise DataError(f"{where}: its manifest cannot be read: {error}") from None
    _check_maker(manifest, where)
    for name in (name for table, part in manifest.tables.items() for name in (table, *part.columns)):
        if not _TABLE.fullmatch(name):
            raise DataError(f"{where}: {name!r} is no name of a table or column of ours")
    for path in manifest.files:
        if path.startswith("/") or ".." in path.split("/"):
            raise DataError(f"{where}: {path!r} lies outside of a home")
    return manifest


def _check_maker(manifest: Manifest, where: str) -> None:
    """What an older build said must stay readable for ever; what a newer one said this build may not understand."""
    theirs, ours = _numbers(manifest.build), _numbers(BUILD)
    if theirs > ours:
        raise DataError(f"{where}: made by build {manifest.build}, this is {BUILD}; restore it with the newer build")
    if theirs == ours and manifest.contracts != CONTRACTS:
        raise DataError(
            f"{where}: made by another state of build {BUILD}, with contracts {manifest.contracts} and not {CONTRACTS}; "
            "restore it with the code that made it"
        )


def _numbers(build: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", build))
