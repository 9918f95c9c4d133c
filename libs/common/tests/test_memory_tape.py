"""The tape in memory passes the suite that the real one passes."""

from __future__ import annotations

import pytest

from common.runtime.memory_tape import MemoryLog, MemoryTape
from common.testing.conformance import Connect, TapeConformance


class TestMemoryTape(TapeConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        log: list[MemoryLog] = []

        async def open_one() -> MemoryTape:
            if not log:
                log.append(MemoryLog())
            return MemoryTape(log[0])

        return open_one
