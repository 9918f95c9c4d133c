"""What every tape must do, whatever it is made of. Subclass it with a fixture `connect` that opens connections to one log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from secrets import token_hex

import msgspec
import pytest

from common.messages import Envelope
from common.runtime.codec import decode_envelope
from common.runtime.tape import Record, Tape

Connect = Callable[[], Awaitable[Tape]]


def entry(number: int, run: str = "") -> Envelope:
    """An envelope told apart by its number, and by the test's run: a broker remembers ids for a while."""
    return Envelope(
        id=f"test:{run}:{number}",
        type="regime.step.v1",
        source="test",
        ts_event=number,
        ts_init=0,
        correlation_id="c",
        causation_id="",
        data=msgspec.Raw(b"{}"),
    )


async def collect(tape: Tape, patterns: list[str], from_seq: int, count: int) -> list[Record]:
    """The next `count` records, or a failure after five seconds."""
    records: list[Record] = []
    enough = asyncio.Event()

    async def keep(record: Record) -> None:
        records.append(record)
        if len(records) >= count:
            enough.set()

    await tape.read(patterns, from_seq, keep)
    await asyncio.wait_for(enough.wait(), 5)
    return records


class TapeConformance:
    """Inherit, provide `connect`."""

    @pytest.fixture(autouse=True)
    def _new_run(self) -> None:
        self._run = token_hex(8)

    def entry(self, number: int) -> Envelope:
        return entry(number, self._run)

    @pytest.mark.req("PLT-02")
    async def test_what_is_appended_is_read_in_order_with_rising_sequences(self, connect: Connect) -> None:
        tape = await connect()
        for number in range(50):
            await tape.append("regime.step.v1.fx", self.entry(number))
        records = await collect(tape, ["regime.step.v1.>"], 1, 50)
        assert [decode_envelope(record.payload).ts_event for record in records] == list(range(50))
        assert all(a.seq < b.seq for a, b in pairwise(records))
        assert records[-1].pending == 0

    @pytest.mark.req("PLT-02")
    async def test_the_same_id_twice_is_stored_once(self, connect: Connect) -> None:
        tape = await connect()
        first = await (await tape.append("regime.step.v1.fx", self.entry(1)))
        again = await (await tape.append("regime.step.v1.fx", self.entry(1)))
        later = await (await tape.append("regime.step.v1.fx", self.entry(2)))
        assert first == again < later

    async def test_a_reader_hears_only_what_it_asked_for_from_where_it_asked(self, connect: Connect) -> None:
        tape = await connect()
        seqs = []
        for number in range(6):
            subject = "regime.step.v1.fx" if number % 2 else "execution.intent_recorded.v1"
            seqs.append(await (await tape.append(subject, self.entry(number))))
        odd = await collect(tape, ["regime.step.v1.>"], seqs[2], 2)
        literal = await collect(tape, ["execution.intent_recorded.v1"], 1, 3)
        assert [record.seq for record in odd] == [seqs[3], seqs[5]]
        assert [record.seq for record in literal] == [seqs[0], seqs[2], seqs[4]]

    async def test_read_says_how_much_is_waiting(self, connect: Connect) -> None:
        tape = await connect()
        for number in range(7):
            await tape.append("regime.step.v1.fx", self.entry(number))
        await tape.flush()

        async def ignore(record: Record) -> None:
            return

        assert await tape.read(["regime.step.v1.>"], 1, ignore) == 7
        assert await tape.read(["signals.step.v1.>"], 1, ignore) == 0

    async def test_last_is_the_newest_of_any_of_the_patterns(self, connect: Connect) -> None:
        tape = await connect()
        assert await tape.last(["regime.step.v1.>"]) is None
        await tape.append("regime.step.v1.fx", self.entry(1))
        await tape.append("signals.step.v1.fx", self.entry(2))
        await tape.append("md.slice.v1.fx", self.entry(3))
        await tape.flush()
        last = await tape.last(["regime.step.v1.>", "signals.step.v1.>", "risk.step.v1.>"])
        assert last is not None
        assert decode_envelope(last.payload).ts_event == 2

    async def test_snapshots_keep_the_latest_value_of_each_service(self, connect: Connect) -> None:
        tape = await connect()
        assert await tape.get_snapshot("regime") is None
        await tape.put_snapshot("regime", b"one")
        await tape.put_snapshot("signals", b"other")
        await tape.put_snapshot("regime", b"\x00two")
        assert await (await connect()).get_snapshot("regime") == b"\x00two"

    async def test_a_sign_of_life_reaches_those_who_listen(self, connect: Connect) -> None:
        tape, other = await connect(), await connect()
        heard: list[bytes] = []
        anyone: list[bytes] = []
        await other.listen("regime", heard.append)
        await other.listen("*", anyone.append)
        await asyncio.sleep(0.05)
        await tape.beat("regime", b"1")
        await tape.beat("signals", b"2")
        await asyncio.sleep(0.2)
        assert heard == [b"1"]
        assert anyone == [b"1", b"2"]

    async def test_a_failing_handler_breaks_the_tape_with_its_own_error(self, connect: Connect) -> None:
        tape = await connect()

        async def fail(record: Record) -> None:
            raise ValueError("a bug")

        await tape.append("regime.step.v1.fx", self.entry(1))
        await tape.read(["regime.step.v1.>"], 1, fail)
        error = await asyncio.wait_for(asyncio.shield(tape.broken), 5)
        assert isinstance(error, ValueError)
