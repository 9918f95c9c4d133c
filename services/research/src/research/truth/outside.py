"""What strategies ask the world outside for: files, databases, other machines. A strategy that has read a file may know the
future however its prices are altered, so any of it is worth knowing.

Python's audit hooks tell. A library that opens files in C without telling (pyarrow's own reader) is not seen.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from zoneinfo import TZPATH

_EVENTS: Final = frozenset({"open", "sqlite3.connect", "socket.connect", "subprocess.Popen", "os.system"})
_CODE: Final = (".py", ".pyc", ".so", ".nbi", ".nbc")  # modules, and kernels that are compiled already

_watching: list[Watch] = []
_hooked: list[bool] = []


class Watch:
    """`asked` are (file of the strategy, what it did), each once, in order of time."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = frozenset(files)
        self.asked: dict[tuple[str, str], None] = {}

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Called for every event; only those with a strategy among its callers count."""
        target = str(arguments[0]) if arguments else ""
        if event == "open" and _is_harmless(target):
            return
        frame = inspect.currentframe()
        while frame is not None:
            if frame.f_code.co_filename in self._files:
                self.asked[frame.f_code.co_filename, f"{event} {target[:200]}"] = None
                return
            frame = frame.f_back


@contextmanager
def watched(files: Sequence[str]) -> Iterator[Watch]:
    """Watches what code in `files`, or called from there, asks for."""
    if not _hooked:  # a hook cannot be taken out again
        sys.addaudithook(_hook)
        _hooked.append(True)
    watch = Watch(files)
    _watching.append(watch)
    try:
        yield watch
    finally:
        _watching.remove(watch)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in _EVENTS:
        for watch in tuple(_watching):
            watch.see(event, arguments)


def _is_harmless(path: str) -> bool:
    zones = path.startswith(tuple(TZPATH)) if TZPATH else False
    is_open_already = path.isdigit()  # a descriptor
    return path.endswith(_CODE) or zones or "tzdata" in path or is_open_already
