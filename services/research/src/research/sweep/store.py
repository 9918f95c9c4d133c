"""What a sweep has finished, on disk: a line for each series, written whole or not at all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
import numpy as np

from common.errors import ConfigError
from common.quant.kernel import Floats
from research.sweep.measures import Measured


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A series: what was measured of its configurations, in their order, and `equity` of each at the samples. `key` is a hash of
    all that went in.
    """

    key: str
    series: str
    measured: tuple[Measured, ...]
    equity: list[list[float]]

    def curves(self) -> Floats:
        """float64[samples, configurations]."""
        return np.array(self.equity, np.float64).T


class Store:
    """A folder of a sweep. `finished` is what it holds, by key."""

    def __init__(self, file: IO[bytes], finished: dict[str, Finished]) -> None:
        self._file = file
        self.finished = finished

    def add(self, one: Finished) -> None:
        """On disk when this returns."""
        self._file.write(msgspec.json.encode(one) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.finished[one.key] = one


@contextmanager
def opened(folder: Path, *, resume: bool) -> Iterator[Store]:
    """The store in `folder`, emptied unless `resume`. What a kill left of a last line is cut off. Raises ConfigError while
    another process writes it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "series.jsonl").open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{folder}: another sweep writes there; expected one at a time") from None
        if not resume:
            file.truncate(0)
        yield Store(file, _whole_lines(file))


def _whole_lines(file: IO[bytes]) -> dict[str, Finished]:
    file.seek(0)
    text = file.read()
    whole = text.rfind(b"\n") + 1
    file.truncate(whole)
    found: dict[str, Finished] = {}
    for line in text[:whole].splitlines():
        try:
            one = msgspec.json.decode(line, type=Finished)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue  # of another version: computed again
        found[one.key] = one
    return found
