"""The file that stops trading: whoever can write to the home can stop, with nothing else running than the guardian.

Its content is the reason. Where the first line is HALT or FLATTEN, that is what to do, and the reason follows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from common.runtime.embedded.home import write_atomic

STOP_FILE: Final = "STOP"
_HALT: Final = "HALT"
_FLATTEN: Final = "FLATTEN"


class StopRequest(NamedTuple):
    reason: str
    flatten: bool


def ask_to_stop(home: Path, reason: str, *, flatten: bool) -> Path:
    """Writes the file; the guardian renames it to `STOP.done-<time>` once the halt is on the tape. Raises OSError."""
    path = home / STOP_FILE
    write_atomic(path, f"{_FLATTEN if flatten else _HALT}\n{reason}\n".encode())
    return path


def parse(text: str) -> StopRequest:
    """What the file asks for. An empty one is a halt too."""
    first, _, rest = text.strip().partition("\n")
    reason = rest if first.strip() in (_HALT, _FLATTEN) else text
    return StopRequest(" ".join(reason.split())[:500] or f"file {STOP_FILE}", first.strip() == _FLATTEN)
