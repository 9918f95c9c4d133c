"""`ballast status` and `ballast doctor`: what runs here, how it is, and whether this machine can run it."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from common.errors import BallastError
from common.runtime.embedded import binaries
from common.runtime.supervisor import Status, memory_pss

CORE_SERVICES: Final = ("market_data", "regime", "signals", "portfolio", "risk_guardian", "execution")
_MB: Final = 2**20
_MIN_FREE: Final = 1 * 2**30
_TIMEOUT_S: Final = 2.0


def status(home: Path) -> dict[str, Any]:
    """Every process with its health and memory. `running` is False where no supervisor runs."""
    found = Status.load(home)
    if found is None:
        return {"running": False, "home": str(home)}
    sizes = memory_pss({name: process.pid for name, process in found.processes.items()})
    processes = {
        name: {
            "pid": process.pid,
            "restarts": process.restarts,
            "memory_mb": _in_mb(sizes.get(name)),
            **_health(process.http_port),
        }
        for name, process in found.processes.items()
    }
    own = memory_pss({"supervisor": found.pid}).get("supervisor", 0)
    total = sum(sizes.values()) or None
    return {
        "running": True,
        "home": str(home),
        "ready": all(process.get("ready", True) for process in processes.values()),
        "processes": processes,
        "memory_mb": {
            "core_services": _in_mb(sum(sizes.get(name, 0) for name in CORE_SERVICES) or None),
            "all": _in_mb(max(own, total or 0) or None),  # the supervisor's tree holds everything
        },
    }


def _in_mb(size: int | None) -> float | None:
    return None if size is None else round(size / _MB, 1)


def _health(port: int | None) -> dict[str, Any]:
    if port is None:
        return {}
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=_TIMEOUT_S).json()
        role = {"role": answer["role"]} if "role" in answer else {}
        return {"port": port, "ready": bool(answer["ready"]), "waits_for": answer.get("waits_for", {}), **role}
    except (httpx.HTTPError, ValueError, KeyError):
        return {"port": port, "ready": False, "waits_for": {"process": "does not answer"}}


Finding = tuple[str, bool, str]


def doctor(home: Path) -> dict[str, Any]:
    """Whether this machine can run the system: every check with what it found."""
    checks = [{"check": name, "ok": good, "found": found} for check in _CHECKS for name, good, found in check(home)]
    return {"ok": all(check["ok"] for check in checks), "checks": checks}


def _python(home: Path) -> Iterator[Finding]:
    yield "python at least 3.11", sys.version_info >= (3, 11), sys.version.split()[0]


def _servers(home: Path) -> Iterator[Finding]:
    for name, find in _BINARIES.items():
        try:
            yield name, True, str(find())
        except BallastError as error:
            yield name, False, str(error)


def _disk(home: Path) -> Iterator[Finding]:
    there = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(there).free
    yield "disk: at least 1 GB free", free >= _MIN_FREE, f"{free / 2**30:.1f} GB at {there}"


def _writable(home: Path) -> Iterator[Finding]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".doctor"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        yield "home is writable", False, f"{home}: {error.strerror}"
    else:
        yield "home is writable", True, str(home)


def _loopback(home: Path) -> Iterator[Finding]:
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            yield "free port on localhost", True, f"for example {listener.getsockname()[1]}"
    except OSError as error:
        yield "free port on localhost", False, str(error)


_BINARIES: Final[dict[str, Callable[[], Path]]] = {
    "nats-server": binaries.nats_server,
    "redis-server": binaries.redis_server,
    "postgres": lambda: next(iter(binaries.postgres_installs().values())) / "bin" / "postgres",
}
_CHECKS: Final = (_python, _servers, _disk, _writable, _loopback)
