"""What the supervisor needs to know of a server."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from common.runtime.embedded.process import ProcessSpec

# Nothing of ours leaks into a server's environment, and its messages are in one language.
BARE_ENV: Final[Mapping[str, str]] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Server:
    """`ready` asks it once, within about a second."""

    spec: ProcessSpec
    ready: Callable[[], bool]
