"""What a command answers: exit code, standard output and standard error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object of `--json`; fails where there is more or less than one line."""
        (line,) = self.out.splitlines()
        return json.loads(line)


Ballast = Callable[..., Answer]
