"""Which span is current: in an `asyncio` task and in those it begins."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Final

from common.runtime.spans import Span


class Place:
    """A span of a sampled trace that others may lie below. `said` becomes true with the first message that does."""

    __slots__ = ("said", "span_id", "trace_id")

    def __init__(self, trace_id: str, span_id: str) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.said = False


here: Final[ContextVar[Place | None]] = ContextVar("here", default=None)


class Open:
    """The span is current while this is entered."""

    def __init__(self, span: Span, ended: Callable[[Span], None], *, only_if_said: bool = False) -> None:
        self._ended = ended
        self._span = span
        self._only_if_said = only_if_said
        self._place = Place(span.trace_id, span.span_id)

    def __enter__(self) -> None:
        self._before = here.set(self._place)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        here.reset(self._before)
        if kind is not None:
            self._span.error = kind.__name__
        if self._place.said or not self._only_if_said:
            self._ended(self._span)


class Outside:
    """What is said in here follows from nothing on the tape, though the task that says it once began somewhere."""

    def __enter__(self) -> None:
        self._before = here.set(None)

    def __exit__(self, *error: object) -> None:
        here.reset(self._before)
