"""PLT-11 on paper: everything is destroyed (kill -9, the home deleted) and comes back from an archive that was made while it traded.
The run goes on to the same digest as one that was never disturbed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from tests.support import system
from tests.support.system import System, ballast

from common.contracts import pattern
from common.errors import BallastError
from common.messages import MarketDataEnded, MarketSlice, Message, RiskStep
from common.runtime.codec import decode, decode_envelope
from common.runtime.nats_tape import NatsTape
from common.runtime.supervisor import Status

_LONG_S: Final = 600.0


def drill(span: Sequence[str], speed: str = "max") -> dict[str, Any]:
    """`ballast up` to the middle of its data, an archive, on, destruction, `ballast restore`, on to the end."""
    with place() as folder:
        home, archive = folder / "home", folder / "backup.zip"
        undisturbed = ballast(folder / "backtest", "backtest", "--no-keep", *span, timeout_s=_LONG_S)
        with System(home, *span, "--speed", speed):
            system.until(lambda: _step(home) >= undisturbed["steps"] // 2, "the run is in the middle", _LONG_S)
            made = ballast(home, "backup", str(archive))
            at = _step(home)
            system.until(lambda: _step(home) > at + 5, "it goes on after the backup")
            lost = _step(home)
            _kill_all(home)
        _forget(home)
        began = time.monotonic()
        restored = ballast(home, "restore", str(archive))
        with System(home, *span, "--speed", speed) as second:
            system.until(lambda: _all_ready(home), "every service is ready")
            down_s = time.monotonic() - began
            system.until(lambda: _is_over(home), "the run is over", _LONG_S)
            _signal_supervisor(home, signal.SIGINT)
            result = second.result(timeout_s=60)
        again = ballast(home, "replay", "--check", check=False, timeout_s=_LONG_S)
    return {
        "same_digest": result["digest"] == undisturbed["digest"],
        "replays_identically": again["exit_code"] == 0,
        "replay_says": _differences(again),
        "steps": undisturbed["steps"],
        "steps_lost_and_repeated": lost - at,
        "messages": made["tape"]["messages"],
        "rows": made["rows"],
        "backup_bytes": made["size_bytes"],
        "backup_s": made["took_s"],
        "restore_s": restored["took_s"],
        "down_s": round(down_s, 2),  # from the command to restore until every service is ready
    }


def _differences(replayed: dict[str, Any]) -> dict[str, str]:
    """What a service says otherwise now, by its name; or why nothing could be replayed."""
    if "error" in replayed:
        return {"error": replayed["error"]}
    services = replayed["services"].items()
    return {name: found["first_difference"][:500] for name, found in services if not found["identical"]}


def _step(home: Path) -> int:
    """The last one that is complete; 0 while there is none."""
    (step,) = asyncio.run(_last(home, RiskStep))
    return step.step if isinstance(step, RiskStep) else 0


def _is_over(home: Path) -> bool:
    ended, slice_, step = asyncio.run(_last(home, MarketDataEnded, MarketSlice, RiskStep))
    done = isinstance(slice_, MarketSlice) and isinstance(step, RiskStep) and slice_.step == step.step
    return ended is not None and done


async def _last(home: Path, *kinds: type[Message]) -> list[Message | None]:
    try:
        tape = await NatsTape.connect(system.login(home, "operator"))
    except BallastError:
        return [None] * len(kinds)
    try:
        records = [await tape.last([pattern(kind)]) for kind in kinds]
    finally:
        await tape.close()
    return [decode(decode_envelope(record.payload)) if record else None for record in records]


def _all_ready(home: Path) -> bool:
    status = Status.load(home)
    ports = [process.http_port for process in status.processes.values() if process.http_port] if status else []
    return bool(ports) and all(map(_ready, ports))


def _ready(port: int) -> bool:
    try:
        return (
            httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=2, trust_env=False).status_code == httpx.codes.OK
        )
    except httpx.HTTPError:
        return False


def _kill_all(home: Path) -> None:
    status = Status.load(home)
    assert status is not None
    for pid in (status.pid, *(process.pid for process in status.processes.values())):
        with contextlib.suppress(ProcessLookupError):  # dies with its supervisor
            os.kill(pid, signal.SIGKILL)
    system.until(lambda: not any(_alive(process.pid) for process in status.processes.values()), "all are dead")


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def _signal_supervisor(home: Path, number: signal.Signals) -> None:
    status = Status.load(home)
    assert status is not None
    os.kill(status.pid, number)


def _forget(home: Path) -> None:
    """The home and the database, wherever it lies: nothing but the archive is left."""
    shutil.rmtree((home / "postgres").resolve())
    shutil.rmtree(home)


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A directory that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ballast-disaster-"))
    folder.chmod(0o711)  # PostgreSQL's account must pass
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
