"""An archive is there whole or not at all, and whatever is wrong with one is one sentence."""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.errors import ConfigError, DataError
from common.runtime.backup.archive import Archive, PartWriter, writing
from common.runtime.backup.manifest import FORMAT, NAME, Manifest, StreamPart, TablePart
from common.version import BUILD, CONTRACTS

CONTENT = b"0123456789" * 50_000
PLAIN: dict[str, Any] = {
    "format": FORMAT,
    "made_ns": 1,
    "build": BUILD,
    "contracts": CONTRACTS,
    "nats": "2.15.1",
    "postgres": "18.4",
    "schema": "v0001",
    "lease_seq": 7,
    "secrets": False,
    "streams": {"TAPE": StreamPart(config={}, messages=1, first_seq=1, last_seq=1)},
    "tables": {"fills": TablePart(columns=("seq",), rows=1)},
}


def make(path: Path, meanwhile: Callable[[], object] = lambda: None, **changes: Any) -> Path:
    with writing(path) as writer:
        for name in ("streams/TAPE", "tables/fills", "files/config.json"):
            with writer.part(name, packed=name.startswith("streams")) as part:
                part.write(CONTENT)
                meanwhile()
        writer.seal(Manifest(**{**PLAIN, "parts": writer.parts, **changes}))
    return path


def rewrite(path: Path, changed: dict[str, bytes | None]) -> None:
    """Other members, None to leave one out; the manifest stays what it was."""
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in {**content, **changed}.items():
            if data is not None:
                new.writestr(name, data)


@pytest.mark.req("PLT-11")
def test_what_is_written_is_read_and_only_its_owner_may(tmp_path: Path) -> None:
    path = make(tmp_path / "b.zip")
    with Archive(path) as archive:
        assert b"".join(archive.pieces("streams/TAPE")) == CONTENT
        assert archive.manifest.files == ["config.json"]
        assert archive.manifest.lease_seq == 7
    assert path.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.req("PLT-11")
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_archive_is_refused(tmp_path: Path, share: float) -> None:
    path = make(tmp_path / "b.zip")
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(DataError, match=r"no archive of `ballast backup`, or not all of it"), Archive(path):
        pass


@pytest.mark.req("PLT-11")
def test_every_changed_byte_of_a_part_is_seen(tmp_path: Path) -> None:
    whole = make(tmp_path / "b.zip").read_bytes()
    start = whole.index(CONTENT[:100])
    for place in (start, start + len(CONTENT) // 2, start + len(CONTENT) - 1):
        damaged = tmp_path / "damaged.zip"
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataError, match="streams/TAPE"), Archive(damaged):
            pass


@pytest.mark.req("PLT-11")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tables/fills": b"another"}, "tables/fills is not what was written"),
        ({"tables/fills": None}, "not what its manifest says: tables/fills"),
        ({"tables/more": b"x"}, "not what its manifest says: tables/more"),
        ({NAME: None}, "has no manifest.json"),
        ({NAME: b"{"}, "its manifest cannot be read"),
    ],
)
def test_an_archive_that_somebody_has_changed_is_refused(
    tmp_path: Path, changed: dict[str, bytes | None], said: str
) -> None:
    path = make(tmp_path / "b.zip")
    rewrite(path, changed)
    with pytest.raises(DataError, match=said), Archive(path):
        pass


@pytest.mark.req("PLT-11")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": FORMAT + 1}, f"an archive of format {FORMAT + 1}, this build reads format {FORMAT}"),
        ({"build": "99.0.0"}, "made by build 99.0.0, .* restore it with the newer build"),
        ({"contracts": "0" * 16}, "with contracts 0000000000000000"),
        ({"tables": {'fills"; DROP': TablePart(columns=(), rows=0)}}, "is no name of a table"),
        (
            {"streams": {**PLAIN["streams"], "KV_snapshots": PLAIN["streams"]["TAPE"]}},
            "streams/KV_snapshots is missing",
        ),
    ],
)
def test_what_this_build_cannot_restore_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = make(tmp_path / "b.zip", **changes)
    with pytest.raises(DataError, match=said), Archive(path):
        pass


@pytest.mark.req("PLT-11")
def test_an_archive_of_an_older_build_is_taken_whatever_its_contracts_were(tmp_path: Path) -> None:
    with Archive(make(tmp_path / "b.zip", build="0.0.9", contracts="0" * 16)) as archive:
        assert archive.manifest.build == "0.0.9"


@pytest.mark.req("PLT-11")
@pytest.mark.parametrize("name", ["files/../out", "files//etc/passwd"])
def test_nothing_is_written_outside_of_the_home(tmp_path: Path, name: str) -> None:
    path = tmp_path / "b.zip"
    with writing(path) as writer:
        with writer.part(name) as part:
            part.write(b"x")
        writer.seal(Manifest(**{**PLAIN, "streams": {}, "tables": {}, "parts": writer.parts}))
    with pytest.raises(DataError, match="lies outside of a home"), Archive(path):
        pass


@pytest.mark.req("PLT-11")
def test_a_backup_overwrites_nothing_even_what_came_while_it_was_made(tmp_path: Path) -> None:
    path = make(tmp_path / "b.zip")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        make(path)
    later = tmp_path / "later.zip"
    with pytest.raises(ConfigError, match="exists already"):
        make(later, lambda: later.write_text("mine"))
    assert path.read_bytes() == before
    assert later.read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == [path, later]


@pytest.mark.req("PLT-11")
def test_a_backup_that_fails_leaves_nothing_behind(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        make(tmp_path / "b.zip", lambda: 1 // 0)
    assert [*tmp_path.iterdir()] == []
    assert capfd.readouterr().err == ""


@pytest.mark.req("PLT-11")
def test_a_full_disk_is_said_in_one_sentence() -> None:
    class Full:
        def write(self, piece: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        PartWriter(Full()).write(b"x")  # type: ignore[arg-type]


def test_a_manifest_is_plain_json(tmp_path: Path) -> None:
    with zipfile.ZipFile(make(tmp_path / "b.zip")) as archive:
        assert msgspec.json.decode(archive.read(NAME))["contracts"] == CONTRACTS
