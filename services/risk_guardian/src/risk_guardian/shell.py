"""The emergency stop that needs nothing but this host and the tape (RSK-09): a file in the home, or a signal.

A signal only writes the file. The file stays until the halt is on the tape, so a stop asked for while the tape is away, or
while the guardian itself is, is carried out as soon as they are back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

from common.contracts import pattern
from common.core import Core
from common.messages.control import RunStarted
from common.messages.risk import HaltTrading
from common.runtime import environment
from common.runtime.codec import decode, decode_envelope
from common.runtime.emergency import STOP_FILE, ask_to_stop, parse
from common.runtime.service import Shell, beside
from common.runtime.session import Outside, Session
from common.runtime.tape import Tape
from risk_guardian.gauges import Gauges

LOOK_EVERY_S: Final = 0.02
_BEING_WRITTEN_NS: Final = 50_000_000
AUTHOR: Final = "guardian's host"
_SIGNALS: Final = {signal.SIGUSR1: False, signal.SIGUSR2: True}


def obey_signals() -> None:
    """SIGUSR1 halts, SIGUSR2 also flattens. For the whole life of the process: untold, they would end it."""
    for number in _SIGNALS:
        signal.signal(number, _on_signal)


def _on_signal(number: int, frame: Any) -> None:
    home = Path(os.environ[environment.HOME])
    ask_to_stop(home, f"signal {signal.Signals(number).name}", flatten=_SIGNALS[signal.Signals(number)])


class _Request(NamedTuple):
    words: str
    asked_ns: int

    @property
    def key(self) -> str:
        return f"{self.asked_ns}:{blake2b(self.words.encode(), digest_size=8).hexdigest()}"


class GuardianShell(Shell):
    """Watches for the file. A standby watches too: the same request told twice is one halt."""

    def __init__(self, home: Path, gauges: Gauges) -> None:
        self._file = home / STOP_FILE
        self._gauges = gauges
        self._told = ""
        self._watcher: asyncio.Task[None] | None = None

    async def stand_by(self, session: Session, tape: Tape) -> None:
        self._watcher = beside(tape, self._watch(session, tape))

    def observe(self, core: Core) -> None:
        self._gauges.observe(core.state, time.time())

    async def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()

    async def _watch(self, session: Session, tape: Tape) -> None:
        while True:
            request = _request(self._file)
            if request and await self._tell(request, session, tape):
                with suppress(OSError):  # another instance was faster, or the home is read-only by now
                    self._file.rename(self._file.with_name(f"{STOP_FILE}.done-{request.asked_ns}"))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _tell(self, request: _Request, session: Session, tape: Tape) -> bool:
        """Whether the halt is on the tape. False before the first run: there is nothing to stop yet. Raises TapeError."""
        if request.key == self._told:
            return True
        book = await _book(tape)
        if book is None:
            return False
        reason, flatten = parse(request.words)
        halt = HaltTrading(ts_event=time.time_ns(), book=book, author=AUTHOR, reason=reason, flatten=flatten)
        await session.tell(Outside(request.key, halt))
        await tape.flush()
        self._told = request.key
        return True


def _request(path: Path) -> _Request | None:
    """A file that cannot be read, or that nobody has written into, is a request all the same."""
    try:
        asked_ns = path.stat().st_mtime_ns
        words = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError:
        return _Request("", 0)
    if not words and time.time_ns() - asked_ns < _BEING_WRITTEN_NS:
        return None
    return _Request(words, asked_ns)


async def _book(tape: Tape) -> str | None:
    begun = await tape.last([pattern(RunStarted)])
    run = decode(decode_envelope(begun.payload)) if begun else None
    return run.book if isinstance(run, RunStarted) else None
