"""Who asks for what is being read gets that answer."""

from __future__ import annotations

import asyncio

import pytest

from gateway.reads import Shared

pytestmark = pytest.mark.req("MON-03")


class Source:
    """Counts how often it is read; each read waits for `go`."""

    def __init__(self) -> None:
        self.reads = 0
        self.go = asyncio.Event()

    async def read(self) -> int:
        self.reads += 1
        number = self.reads
        await self.go.wait()
        if number == 2:
            raise ConnectionError("gone")
        return number


async def test_a_hundred_who_ask_at_once_cost_one_read_and_who_asks_later_gets_a_new_one() -> None:
    shared, source = Shared(), Source()
    source.go.set()
    assert await asyncio.gather(*(shared.once("a", source.read) for _ in range(100))) == [1] * 100
    assert source.reads == 1
    with pytest.raises(ConnectionError):  # is not kept either
        await shared.once("a", source.read)
    assert await shared.once("a", source.read) == 3


async def test_other_questions_are_read_for_themselves() -> None:
    shared, source = Shared(), Source()
    source.go.set()
    found = await asyncio.gather(
        shared.once(("a", 1), source.read), shared.once(("a", 2), source.read), return_exceptions=True
    )
    assert source.reads == 2
    assert found[0] == 1


async def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    shared, source = Shared(), Source()
    first, second = (asyncio.create_task(shared.once("a", source.read)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.go.set()
    assert await second == 1
    assert first.cancelled()
    assert source.reads == 1


async def test_an_error_reaches_everybody_who_waits() -> None:
    shared, source = Shared(), Source()
    source.reads = 1
    source.go.set()
    found = await asyncio.gather(*(shared.once("a", source.read) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in found] == [ConnectionError] * 3
    assert source.reads == 2
