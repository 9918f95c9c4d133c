"""Starting a process so that none is ever forgotten.

Each holds a lock file for as long as it, or a child of its own, lives; the file says whom to stop and how. So a later
start knows for certain what an earlier one left behind, where a bare pid may by then be a stranger's or a zombie's.
Each has a session of its own (the terminal's Ctrl-C is the supervisor's affair) and, on Linux, is told to stop when the
thread that started it ends: start processes from the main thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from common.errors import BallastError
from common.runtime.embedded.home import Home, lock_within

_PR_SET_PDEATHSIG: Final = 1
_LOG_LIMIT_BYTES: Final = 16 * 2**20
_STOPS_UNASKED_S: Final = 1.0
_KILL_PATIENCE_S: Final = 5.0
_prctl: Final = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


Process = subprocess.Popen[bytes]


class Account(NamedTuple):
    """Whom to run as."""

    uid: int
    gid: int


class ProcessSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `env` is the whole environment; `stale` are pid files a killed process leaves and trips over."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = {}
    stop_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None
    stale: tuple[Path, ...] = ()


def lock_file(home: Home, name: str) -> Path:
    return home.run / f"{name}.lock"


def log_file(home: Home, name: str) -> Path:
    return home.logs / f"{name}.log"


def spawn(home: Home, spec: ProcessSpec) -> Process:
    """Starts it, output appended to its log. Raises BallastError when an earlier one of that name still lives."""
    lock = os.open(lock_file(home, spec.name), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not lock_within(lock, 0.0):
            raise BallastError(f"{spec.name}: still running; its lock {lock_file(home, spec.name)} is held")
        os.ftruncate(lock, 0)
        for path in spec.stale:
            path.unlink(missing_ok=True)
        return _popen(home, spec, lock)
    except OSError as error:
        raise BallastError(f"{spec.name}: cannot start {spec.argv[0]}: {error.strerror}") from None
    finally:
        os.close(lock)


def evict(lock_path: Path, patience_s: float = 10.0) -> None:
    """Waits for the holder of the lock to end, then stops it, then kills it. Raises BallastError if even that fails."""
    if not lock_path.is_file():
        return
    with lock_path.open("r+") as lock:
        if lock_within(lock.fileno(), _STOPS_UNASKED_S):
            return
        pid, stop_signal = (int(word) for word in lock_path.read_text().split())
        for number, seconds in ((stop_signal, patience_s), (signal.SIGKILL, _KILL_PATIENCE_S)):
            _signal(pid, number)
            if lock_within(lock.fileno(), seconds):
                return
    raise BallastError(f"{lock_path}: process {pid} of an earlier run does not end; stop it by hand")


def stop(process: Process, spec: ProcessSpec, patience_s: float = 10.0) -> None:
    """Asks it to stop, and kills it when it does not."""
    process.send_signal(spec.stop_signal)
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def log_tail(home: Home, name: str, lines: int = 5) -> str:
    """The last lines it wrote, for an error message."""
    return "\n".join(log_file(home, name).read_text(errors="replace").splitlines()[-lines:])


def _popen(home: Home, spec: ProcessSpec, lock: int) -> Process:
    path = log_file(home, spec.name)
    if path.is_file() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    with path.open("ab") as log:
        return subprocess.Popen(
            spec.argv,
            env=dict(spec.env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),
            preexec_fn=_in_child(spec, lock),  # noqa: PLW1509 only system calls, no lock of ours is taken
            user=spec.account.uid if spec.account else None,
            group=spec.account.gid if spec.account else None,
            extra_groups=() if spec.account else None,
        )


def _in_child(spec: ProcessSpec, lock: int) -> Callable[[], None]:
    stop_signal = int(spec.stop_signal)

    def run() -> None:
        if _prctl:
            _prctl(_PR_SET_PDEATHSIG, stop_signal)
        os.pwrite(lock, f"{os.getpid()} {stop_signal}\n".encode(), 0)

    return run


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
