"""The whole system in one process: a totally ordered queue without a memory, around the very cores that run live."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from common.contracts import INPUTS
from common.core import Core, Effect
from common.messages.base import Message

Handler = Callable[[Message], Any]


class Lockstep:
    """Delivers every message to every core that listens to it, in one order, until nobody has more to say.

    `answer` turns an effect into the message that its shell would put on the tape.
    """

    def __init__(self, cores: Mapping[str, Core], answer: Callable[[Effect], Iterable[Message]]) -> None:
        self._answer = answer
        self._listeners: dict[type[Message], tuple[Handler, ...]] = {}
        for name, core in cores.items():
            for message_type in INPUTS[name]:
                self._listeners[message_type] = (*self._listeners.get(message_type, ()), core.handle)

    def run(self, source: Iterable[Message]) -> Iterator[Message]:
        """Every message in tape order: each one of `source`, and all that follows from it before the next."""
        queue: deque[Message] = deque()
        for message in source:
            queue.append(message)
            while queue:
                current = queue.popleft()
                yield current
                for handle in self._listeners.get(type(current), ()):
                    for output in handle(current):
                        if isinstance(output, Effect):
                            queue.extend(self._answer(output))
                        else:
                            queue.append(output)
