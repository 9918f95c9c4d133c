"""Where a home keeps its parameter updates: one ledger per profile and one file of evidence per plan, each whole or not at all.

Whoever starts a system lays what is in force over the configuration (`in_force`); the cores are built with it first.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from common.errors import ConfigError
from research.updates.impact import Impact
from research.updates.plan import Ledger

FOLDER: Final = "parameters"


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One command at a time changes a home's parameters; a second one waits."""
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load(home: Path, profile: str) -> Ledger:
    """Empty where nothing has been proposed. Raises ConfigError for a file that nobody wrote like that."""
    path = ledger_file(home, profile)
    if not path.exists():
        return Ledger(profile=profile)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ledger)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: {error}; expected a ledger of parameters: `ballast params reset` begins a new one"
        ) from None


def save(home: Path, ledger: Ledger) -> None:
    """On disk when this returns: the old file or the new one, never a part."""
    _write(ledger_file(home, ledger.profile), msgspec.json.format(msgspec.json.encode(ledger)))


def set_aside(home: Path, profile: str, ts_ns: int) -> None:
    """What is no ledger is kept under another name, for people."""
    path = ledger_file(home, profile)
    path.replace(path.with_name(f"{path.name}.unreadable-{ts_ns}"))


def keep_evidence(home: Path, plan: str, evidence: Impact) -> str:
    """Its digest."""
    content = msgspec.json.format(msgspec.json.encode(evidence))
    _write(evidence_file(home, plan), content)
    return sha256(content).hexdigest()


def evidence(home: Path, plan: str) -> Impact:
    """Raises ConfigError where it is gone or is no evidence."""
    path = evidence_file(home, plan)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Impact)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; without it a step cannot be judged") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}; expected the evidence of a test") from None


def in_force(home: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with what is in force for its profile, which its cores accept. Raises ConfigError otherwise."""
    ledger = load(home, config["run"]["profile"])
    return overlaid(config, ledger) if ledger.values else dict(config)


def overlaid(config: Mapping[str, Any], ledger: Ledger) -> dict[str, Any]:
    """`config` with the ledger's values. Raises ConfigError where a key is gone, or a core refuses a value."""
    from research.backtest import cores
    from research.overrides import with_values

    changed = with_values(config, ledger.values)
    cores(changed)
    return changed


def ledger_file(home: Path, profile: str) -> Path:
    return home / FOLDER / f"{profile}.json"


def evidence_file(home: Path, plan: str) -> Path:
    return home / FOLDER / "evidence" / f"{plan}.json"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
