"""The machine below: clocks, disk, files that only the owner may read."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import msgspec

from ballast_cli.readiness.evidence import Evidence
from ballast_cli.readiness.system import System
from common.model.time import NS_PER_SECOND
from common.runtime.heartbeat import Heartbeat
from common.runtime.nats_tape import NatsTape

CLOCK_LIMIT_S: Final = 1.0
LISTEN_S: Final = 1.0
MIN_FREE_BYTES: Final = 2**30
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def clock(system: System) -> Evidence:
    """Ours against that of NATS, of PostgreSQL and of every service that beats; and whether ours was set meanwhile."""
    wall, steady = time.time(), time.monotonic()
    offsets = {
        "NATS": _offset(lambda: _nats_now(system)),
        "PostgreSQL": _offset(lambda: asyncio.run(_postgres_now(system))),
        **system.ask(_services),
    }
    offsets["this machine (set meanwhile)"] = (time.time() - wall) - (time.monotonic() - steady)
    worst = max(offsets, key=lambda name: abs(offsets[name]))
    far = [f"{name} {offset:+.3f} s" for name, offset in offsets.items() if abs(offset) > CLOCK_LIMIT_S]
    return Evidence(
        passed=not far,
        did=f"compared this machine's clock with those of {', '.join(offsets)}",
        saw="; ".join(far) or f"at most {abs(offsets[worst]) * 1000:.1f} ms apart ({worst})",
        limit=f"{CLOCK_LIMIT_S:g} s",
    )


def disk(system: System) -> Evidence:
    """Where the tape grows."""
    usage = shutil.disk_usage(system.home)
    return Evidence(
        passed=usage.free >= MIN_FREE_BYTES,
        did=f"looked at the file system of {system.home}",
        saw=f"{usage.free / 2**30:.2f} GB free of {usage.total / 2**30:.1f} GB",
        limit=f"at least {MIN_FREE_BYTES / 2**30:g} GB free",
    )


def secret_files(system: System) -> Evidence:
    """Their modes and owner, and that no other file of the home says what is in them."""
    files = sorted(path for path in (system.home / "secrets").rglob("*") if path.is_file())
    wrong = [f"{path.name} {why}" for path in (system.home / "secrets", *files) if (why := _exposed(path))]
    wrong += list(_copies(system.home, files))
    return Evidence(
        passed=bool(files) and not wrong,
        did=f"looked at owner and mode of {len(files)} secrets, and for their content in what is written beside them",
        saw="; ".join(wrong) or ("only the owner can read them" if files else "there are none"),
        limit="mode 0600 in a directory 0700, and in no other file",
    )


def _offset(ask: Callable[[], float]) -> float:
    """The other clock less ours, in seconds, as of the middle of the question."""
    before = time.time()
    theirs = ask()
    return theirs - (before + time.time()) / 2


def _nats_now(system: System) -> float:
    found = httpx.get(f"{system.endpoints.nats_monitor_url}/varz", timeout=2.0, trust_env=False).json()["now"]
    return datetime.fromisoformat(found).timestamp()


async def _postgres_now(system: System) -> float:
    connection = await asyncpg.connect(system.endpoints.postgres_dsn_with_password())
    try:
        return float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
    finally:
        await connection.close()


async def _services(tape: NatsTape) -> dict[str, float]:
    """The heartbeats' own times against that of their arrival."""
    found: dict[str, float] = {}

    def heard(payload: bytes) -> None:
        with suppress(msgspec.MsgspecError):
            beat = msgspec.json.decode(payload, type=Heartbeat)
            found[beat.service] = (beat.ts - time.time_ns()) / NS_PER_SECOND

    await tape.listen("*", heard)
    await asyncio.sleep(LISTEN_S)
    return dict(sorted(found.items()))


def _exposed(path: Path) -> str:
    try:
        found = path.stat()
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    if found.st_uid != os.getuid():
        return f"belongs to user {found.st_uid}"
    return f"has mode {stat.S_IMODE(found.st_mode):04o}" if found.st_mode & _OTHERS else ""


def _copies(home: Path, secrets: list[Path]) -> Iterator[str]:
    """Says where, never what."""
    values = [(path.name, path.read_bytes().strip()) for path in secrets]
    for place in (home / "config.json", *sorted((home / "run").glob("*.json")), *sorted((home / "logs").glob("*.log"))):
        content = place.read_bytes() if place.is_file() else b""
        yield from (f"{name} stands in {place.name}" for name, value in values if len(value) > 7 and value in content)
