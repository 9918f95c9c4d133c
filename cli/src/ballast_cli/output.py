"""How commands answer: JSON for programs, short lines for people; errors are one line and an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from math import isfinite
from shutil import get_terminal_size
from typing import Any, Final

from rich.console import Console

from common.errors import BallastError

OK: Final = 0
FAILED: Final = 1  # the command ran, and the answer is no
USAGE: Final = 2  # an argument is wrong
UNAVAILABLE: Final = 69  # the system does not answer
BUG: Final = 70
CONFIG: Final = 78  # configuration or data is wrong


class WrongArgumentError(BallastError):
    """An argument that only the running system, or another argument, shows to be wrong."""


for _closed in ("stdout", "stderr"):
    if getattr(sys, _closed) is None:  # as a shell's >&- leaves it
        setattr(sys, _closed, open(os.devnull, "w"))  # noqa: SIM115, PTH123 (for as long as the process lives)

_WIDE: Final = 160
_wide = Console(highlight=False, width=max(_WIDE, get_terminal_size().columns) if sys.stdout.isatty() else _WIDE)


class _Out(Console):
    """A table that is too wide for a terminal is wrapped by it: one that fits would have its cells cut off."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As `Console.print`."""
        from rich.table import Table

        if any(isinstance(each, Table) for each in objects):
            _wide.print(*objects, **options)
        else:
            super().print(*objects, **options)


# A file or a pipe has no width: nothing must be folded to that of an old terminal.
out = _Out(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, highlight=False)


def answer(result: Mapping[str, Any], as_json: bool) -> None:
    """Prints `result`: one line of JSON, or an aligned list."""
    if as_json:
        sys.stdout.write(_encoded(result) + "\n")
        sys.stdout.flush()  # a full disk is told of here, not when Python ends
        return
    width = max((len(key) for key, _ in _flat(result)), default=0)
    for key, value in _flat(result):
        out.print(f"{key:<{width}}  {_say(value)}", markup=False, soft_wrap=True)


def _encoded(result: Any) -> str:
    """As JSON, which has no NaN and no infinity: what is undefined is null."""
    try:
        return json.dumps(result, allow_nan=False)
    except ValueError:
        return json.dumps(_defined(result), allow_nan=False)


def _defined(value: Any) -> Any:
    match value:
        case float():
            return value if isfinite(value) else None
        case Mapping():
            return {key: _defined(each) for key, each in value.items()}
        case list() | tuple():
            return [_defined(each) for each in value]
    return value


def _flat(result: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in result.items():
        rows += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return rows


def _say(value: Any) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:,.4f}" if abs(value) < 100 else f"{value:,.2f}"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(map(str, value))
    return str(value)
