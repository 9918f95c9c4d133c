"""The directory below which everything lives: `nats/ redis/ postgres/ run/ logs/ secrets/`."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from common.errors import BallastError

LOCALHOST: Final = "127.0.0.1"
_LOCK_PATIENCE_S: Final = 0.2  # somebody may just be looking whether it is held
_POLL_S: Final = 0.005
_OURS: Final = range(20_000, 32_000)
_TRIES: Final = 50


class Home:
    """Paths below `root`, made on demand; only the owner can look into them."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def run(self) -> Path:
        return self.directory("run")

    @property
    def logs(self) -> Path:
        return self.directory("logs")

    def directory(self, name: str, mode: int = 0o700) -> Path:
        """The directory `name`, existing. `root` itself may be passed through, so that PostgreSQL's account can."""
        if not self.root.exists():
            self.root.mkdir(parents=True)
            self.root.chmod(0o711)
        path = self.root / name
        if not path.exists():
            path.mkdir()
            path.chmod(mode)
        return path

    def secret_file(self, name: str, value: str) -> Path:
        """`secrets/<name>` with this content, readable by the owner only."""
        path = self.directory("secrets") / name
        write_atomic(path, value.encode(), mode=0o600)
        return path

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """The content of `secrets/<name>`: made at the first call, the same ever after."""
        path = self.directory("secrets") / name
        if not path.is_file():
            self.secret_file(name, make())
        return path.read_text()

    def password(self, name: str) -> str:
        """The password of that name, kept in `secrets/<name>.password`."""
        return self.secret(f"{name}.password", lambda: secrets.token_urlsafe(24))

    def ports(self, names: Iterable[str]) -> dict[str, int]:
        """A free port on 127.0.0.1 for each name: the one of last time, or another where that is taken by now."""
        path = self.run / "ports.json"
        remembered = msgspec.json.decode(path.read_bytes(), type=dict[str, int]) if path.is_file() else {}
        with ExitStack() as held:  # held until all are chosen, so that no two names get the same
            chosen = {name: held.enter_context(_reserved(remembered.get(name, 0))) for name in names}
        write_atomic(path, msgspec.json.encode(remembered | chosen))
        return chosen

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held by the one process that runs this home. Raises BallastError naming the holder."""
        path = self.run / "supervisor.pid"
        with path.open("a+") as file:
            if not lock_within(file.fileno(), _LOCK_PATIENCE_S):
                raise BallastError(
                    f"{self.root}: already running as process {path.read_text().strip()}; stop it first, "
                    "or set BALLAST_HOME to another directory"
                )
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield
            file.truncate(0)

    def runner(self) -> int | None:
        """The process that holds `lock`, None where nobody does."""
        path = self.root / "run" / "supervisor.pid"
        if not path.is_file():
            return None
        with path.open("a+") as file:
            if lock_within(file.fileno(), 0.0):
                return None
            text = path.read_text().strip()
            return int(text) if text else None


def lock_within(descriptor: int, seconds: float) -> bool:
    """Takes the lock of an open file, exclusively; False if it was not to be had in that time."""
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_S)
        else:
            return True


def write_atomic(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Readers see the old content or the new, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    draft.replace(path)


@contextmanager
def _reserved(wanted: int) -> Iterator[int]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: a port in TIME_WAIT is free
        for port in (*((wanted,) if wanted else ()), *_draw(_TRIES), 0):
            with suppress(OSError):
                probe.bind((LOCALHOST, port))
                break
        chosen: int = probe.getsockname()[1]
        yield chosen


def _draw(count: int) -> Iterator[int]:
    """Ports below those that systems give to outgoing connections: one of these could take a port before its service does."""
    for _ in range(count):
        yield secrets.choice(_OURS)
