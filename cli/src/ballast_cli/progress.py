"""Bars for work that takes longer than a moment: how much is done, and how much time is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ballast_cli.output import err

PATIENCE_S: Final = 2.0  # what is over sooner shows nothing
_EVERY_S: Final = 0.1


class Bar:
    """`with Bar("backtest", total=rows) as bar: ... bar.to(done, "at 2017-01-03")`.

    `total` is in whatever unit `to` counts: rows, nanoseconds of data, configurations. Without one there is no time left to
    show, only what was said. `start` is what `to` begins from. Goes to stderr, and only when `show` (by default: when that is
    a terminal).
    """

    def __init__(self, what: str, *, total: float | None, start: float = 0.0, show: bool | None = None) -> None:
        self._what, self._start = what, start
        self._total = None if total is None else total - start
        self._show = sys.stderr.isatty() if show is None else show
        self._began = self._last = time.monotonic()
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def to(self, done: float, said: str = "") -> None:
        """`done` of the total is done. Cheap enough to be called often."""
        if not self._show:
            return
        now = time.monotonic()
        if now - self._last < _EVERY_S:
            return
        self._last = now
        if self._progress is None:
            if now - self._began < PATIENCE_S:
                return
            self._appear()
        assert self._progress is not None
        self._progress.update(self._task, completed=done - self._start, said=said)

    def _appear(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
        timed = (TaskProgressColumn(), TextColumn("left"), TimeRemainingColumn()) if self._total else ()
        # Speed over the whole run: what is left is then no guess from the last second.
        self._progress = Progress(*columns, *timed, console=err, transient=True, speed_estimate_period=3600)
        self._task = self._progress.add_task(self._what, total=self._total, said="", start=True)
        self._progress.start()


def data_span_ns(config: Mapping[str, Any]) -> tuple[int, int]:
    """Close of the first and of the last bar of the data that `config` names: what a run over it has before it.

    Opens the data, which for a directory of minutes takes a second or two: for bars that are shown only.
    """
    from market_data.feeds.column_feed import ColumnFeed
    from market_data.source import source

    feed = source(config).feed
    if not isinstance(feed, ColumnFeed):
        raise TypeError(f"{type(feed).__name__} does not say how long it is")
    return min(int(rows.ts[0]) for rows in feed.rows), max(int(rows.ts[-1]) for rows in feed.rows)
