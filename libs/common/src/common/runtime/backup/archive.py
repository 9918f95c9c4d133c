"""One ZIP file with a manifest at its end, which holds the digest of every part. It is there whole or not at all, and what is read
from it has been checked.
"""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import msgspec

from common.errors import ConfigError, DataError
from common.runtime.backup import manifest as manifests
from common.runtime.backup.manifest import Manifest, Part

CHUNK_BYTES: Final = 128 * 1024
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EMLINK)


class Writer:
    """Add parts, then `seal` it with its manifest. Make it with `writing`."""

    def __init__(self, file: IO[bytes]) -> None:
        self.parts: dict[str, Part] = {}
        self._zip = zipfile.ZipFile(file, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=1)

    @contextmanager
    def part(self, name: str, *, packed: bool = False) -> Iterator[PartWriter]:
        """One member, written piece by piece; `packed` is not compressed again."""
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        with self._zip.open(info, "w", force_zip64=True) as member:
            writer = PartWriter(member)
            yield writer
        self.parts[name] = writer.part

    def seal(self, manifest: Manifest) -> None:
        self._zip.writestr(manifests.NAME, msgspec.json.format(msgspec.json.encode(manifest)))
        self._zip.close()

    def close(self) -> None:
        """Without it the half archive would be written to once more when it is collected."""
        with suppress(OSError):
            self._zip.close()


class PartWriter:
    def __init__(self, member: IO[bytes]) -> None:
        self._member = member
        self._digest = sha256()
        self._size = 0

    @property
    def part(self) -> Part:
        return Part(sha256=self._digest.hexdigest(), size=self._size)

    def write(self, piece: bytes) -> None:
        """Raises ConfigError when the disk does not take it."""
        self._digest.update(piece)
        self._size += len(piece)
        try:
            self._member.write(piece)
        except OSError as error:
            raise ConfigError(f"the archive cannot be written: {error.strerror}") from error


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """The archive appears at `path` when the block ends well. Raises ConfigError where something is there already, or it cannot be
    written. Readable by its owner only.
    """
    if path.exists():
        raise ConfigError(f"{path}: exists already; a backup overwrites nothing")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with closing(Writer(file)) as writer:
                yield writer
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    """A link, unlike a renaming, fails where somebody else was faster."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise ConfigError(f"{path}: exists already; a backup overwrites nothing") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        draft.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class Archive:
    """A context manager; entering it reads every part once and compares it with its digest. Raises DataError in one sentence for
    whatever is not as it was written, and for what this build cannot restore.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._manifest: Manifest | None = None

    @property
    def manifest(self) -> Manifest:
        assert self._manifest, "not opened"
        return self._manifest

    def __enter__(self) -> Self:
        try:
            self._zip = zipfile.ZipFile(self.path)
        except FileNotFoundError:
            raise DataError(f"{self.path}: no such file; expected an archive of `ballast backup`") from None
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror}") from None
        except zipfile.BadZipFile:
            raise DataError(f"{self.path}: no archive of `ballast backup`, or not all of it") from None
        try:
            self._verify()
        except BaseException:
            self._zip.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._zip:
            self._zip.close()

    def pieces(self, name: str) -> Iterator[bytes]:
        """The content of a part."""
        assert self._zip, "not opened"
        with self._zip.open(name) as member:
            while piece := member.read(CHUNK_BYTES):
                yield piece

    def _verify(self) -> None:
        assert self._zip
        names = self._zip.namelist()
        if manifests.NAME not in names:
            raise DataError(f"{self.path}: has no {manifests.NAME}; no archive of `ballast backup`")
        content = b"".join(self._checked(manifests.NAME))
        self._manifest = manifests.read(content, str(self.path))
        parts = self._manifest.parts
        if sorted(names) != sorted((*parts, manifests.NAME)):
            other = ", ".join(sorted({*names, *parts} - {manifests.NAME} - ({*names} & {*parts}))) or "a part twice"
            raise DataError(f"{self.path}: what is in it is not what its manifest says: {other}")
        for name, part in parts.items():
            self._compare(name, part)
        for name in self._wanted():
            if name not in parts:
                raise DataError(f"{self.path}: {name} is missing")

    def _compare(self, name: str, part: Part) -> None:
        digest, size = sha256(), 0
        for piece in self._checked(name):
            digest.update(piece)
            size += len(piece)
        if (digest.hexdigest(), size) != (part.sha256, part.size):
            raise DataError(f"{self.path}: {name} is not what was written; its digest differs")

    def _wanted(self) -> list[str]:
        streams, tables = self.manifest.streams, self.manifest.tables
        return [*(f"streams/{name}" for name in streams), *(f"tables/{name}" for name in tables)]

    def _checked(self, name: str) -> Iterator[bytes]:
        pieces = self.pieces(name)
        while True:
            try:
                piece = next(pieces)
            except StopIteration:
                return
            except Exception as error:  # noqa: BLE001 (zipfile and zlib raise what they like over bytes that are not theirs)
                raise DataError(f"{self.path}: {name} is damaged: {error}") from None
            yield piece
