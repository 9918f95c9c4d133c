"""How commands answer: JSON for programs, short lines for people; errors are one line and an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
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


# A file or a pipe has no width: tables must not be folded to that of an old terminal.
_WIDE: Final = 160
out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, highlight=False)


def answer(result: Mapping[str, Any], as_json: bool) -> None:
    """Prints `result`: one line of JSON, or an aligned list."""
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
        return
    width = max((len(key) for key, _ in _flat(result)), default=0)
    for key, value in _flat(result):
        out.print(f"{key:<{width}}  {_say(value)}", markup=False, soft_wrap=True)


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
