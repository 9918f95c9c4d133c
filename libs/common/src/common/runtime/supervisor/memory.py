"""Memory by process, with shared pages counted once."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def memory_pss(pids: Mapping[str, int]) -> dict[str, int]:
    """Proportional set size in bytes of each process with all its descendants; without those that are gone.

    Linux only (`smaps_rollup`): empty elsewhere.
    """
    children = _children()
    sizes = {name: _tree(pid, children) for name, pid in pids.items()}
    return {name: size for name, size in sizes.items() if size > 0}


def resident() -> int:
    """Bytes of this process that are in memory now; 0 where the system does not say (not Linux)."""
    try:
        pages = int((_PROC / "self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def _tree(pid: int, children: Mapping[int, list[int]]) -> int:
    return _pss(pid) + sum(_tree(child, children) for child in children.get(pid, ()))


def _pss(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # ended meanwhile, or another user's
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for path in _PROC.glob("[0-9]*/stat"):
        try:
            after_name = path.read_text().rpartition(")")[2]
        except OSError:
            continue
        found.setdefault(int(after_name.split()[1]), []).append(int(path.parent.name))
    return found
