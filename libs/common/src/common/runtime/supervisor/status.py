"""What is running, for other processes to read: `run/supervisor.json`."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

import msgspec

from common.errors import BallastError
from common.runtime.embedded.home import Home, write_atomic

_FILE: Final = "supervisor.json"
_POLL_S: Final = 0.02


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`last_exit` is the exit code of its former life, negative for a signal; None if this is its first."""

    pid: int
    restarts: int
    started_ns: int
    last_exit: int | None = None
    http_port: int | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`pid` is the supervisor's; `processes` are in the order of their start."""

    pid: int
    started_ns: int
    processes: dict[str, ProcessStatus]

    def save(self, home: Home) -> None:
        write_atomic(home.run / _FILE, msgspec.json.format(msgspec.json.encode(self)))

    @staticmethod
    def load(root: Path) -> Status | None:
        """None where no supervisor runs, whatever file a killed one has left."""
        home = Home(root)
        if home.runner() is None:
            return None
        try:
            return msgspec.json.decode((home.run / _FILE).read_bytes(), type=Status)
        except FileNotFoundError:
            return None  # it is only just starting


def stop_running(root: Path, patience_s: float = 30.0) -> bool:
    """Asks the supervisor of this home to stop and waits until it has. False if there was none. Raises BallastError."""
    home = Home(root)
    pid = home.runner()
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + patience_s
    while home.runner() == pid:
        if time.monotonic() > until:
            raise BallastError(f"{home.root}: process {pid} has not stopped within {patience_s:g} s")
        time.sleep(_POLL_S)
    return True
