"""What every tape must do, whatever it is made of. Subclass it with a fixture `connect` that opens connections to one log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from secrets import token_hex

import msgspec
import pytest

from common.errors import TapeError
from common.messages import Envelope
from common.runtime.codec import decode_envelope
from common.runtime.tape import LEASE_TTL_S, Record, Tape, read_all

Connect = Callable[[], Awaitable[Tape]]

LEASE = "lease.taken.v1.execution.leader"
FENCED = "execution.intent_recorded.v1"


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

    async def test_all_that_is_on_the_tape_is_read_to_its_end_and_a_broken_tape_is_no_end(
        self, connect: Connect
    ) -> None:
        tape = await connect()
        for number in range(20):
            await tape.append("regime.step.v1.fx", self.entry(number))
            await tape.append("signals.step.v1.fx", self.entry(100 + number))
        await tape.flush()
        seen: list[int] = []

        async def keep(record: Record) -> None:
            seen.append(decode_envelope(record.payload).ts_event)

        async def fail(record: Record) -> None:
            raise ValueError("a bug")

        async with asyncio.timeout(10):
            await read_all(tape, ["portfolio.step.v1.>"], 1, fail)
            await read_all(tape, ["regime.step.v1.>"], 1, keep)
            assert seen == list(range(20))
            with pytest.raises(ValueError, match="a bug"):
                await read_all(tape, ["regime.step.v1.>"], 1, fail)

    async def test_last_is_the_newest_of_any_of_the_patterns(self, connect: Connect) -> None:
        tape = await connect()
        assert await tape.last(["regime.step.v1.>"]) is None
        for number, subject in enumerate(("regime.step.v1.fx", "signals.step.v1.fx", "md.slice.v1.fx"), start=1):
            await (await tape.append(subject, self.entry(number)))  # by several users: one after the other
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
        async with asyncio.timeout(10):
            while not (heard and anyone):  # the other servers of a cluster hear of a listener by and by
                await tape.beat("regime", b"0")
                await asyncio.sleep(0.02)
            await tape.beat("regime", b"1")
            await tape.beat("signals", b"2")
            while b"1" not in heard or not {b"1", b"2"} <= set(anyone):  # noqa: ASYNC110 (no event tells)
                await asyncio.sleep(0.02)
        assert [sign for sign in heard if sign != b"0"] == [b"1"]
        assert sorted(sign for sign in anyone if sign != b"0") == [b"1", b"2"], "in any order: two users, two servers"

    async def test_a_failing_handler_breaks_the_tape_with_its_own_error(self, connect: Connect) -> None:
        tape = await connect()

        async def fail(record: Record) -> None:
            raise ValueError("a bug")

        await tape.append("regime.step.v1.fx", self.entry(1))
        await tape.read(["regime.step.v1.>"], 1, fail)
        error = await asyncio.wait_for(asyncio.shield(tape.broken), 5)
        assert isinstance(error, ValueError)

    @pytest.mark.req("PLT-12")
    async def test_whoever_has_claimed_speaks_in_order_as_often_as_it_likes(self, connect: Connect) -> None:
        tape = await connect()
        await tape.claim(LEASE, self.entry(-1), 0, _always)
        stored = [await tape.append(FENCED, self.entry(number)) for number in range(300)]
        await tape.flush()
        records = await collect(tape, [FENCED], 1, 300)
        assert [record.seq for record in records] == [future.result() for future in stored]
        assert [decode_envelope(record.payload).ts_event for record in records] == list(range(300))

    @pytest.mark.req("PLT-02", "PLT-12")
    async def test_the_same_id_twice_under_a_claim_is_stored_once(self, connect: Connect) -> None:
        tape = await connect()
        await tape.claim(LEASE, self.entry(-1), 0, _always)
        stored = [await tape.append(FENCED, self.entry(number)) for number in (1, 2, 1, 3)]
        await tape.flush()
        first, second, again, third = (future.result() for future in stored)
        assert again == first < second < third
        assert len(await collect(tape, [FENCED], 1, 3)) == 3

    @pytest.mark.req("PLT-12")
    async def test_after_a_newer_claim_nothing_of_the_older_one_is_stored_and_its_tape_breaks(
        self, connect: Connect
    ) -> None:
        old, new = await connect(), await connect()
        await old.claim(LEASE, self.entry(-1), 0, _always)
        await (await old.append(FENCED, self.entry(1)))
        before = await new.last([LEASE])
        assert before is not None
        await new.claim(LEASE, self.entry(-2), before.seq, _always)
        await asyncio.gather(await old.append(FENCED, self.entry(2)), return_exceptions=True)
        assert isinstance(await asyncio.wait_for(asyncio.shield(old.broken), 5), TapeError)
        with pytest.raises(TapeError):
            await old.append(FENCED, self.entry(3))
        await (await new.append(FENCED, self.entry(4)))
        said = await collect(new, [FENCED], 1, 2)
        assert [decode_envelope(record.payload).ts_event for record in said] == [1, 4]

    @pytest.mark.req("PLT-12")
    async def test_of_two_who_claim_after_the_same_holder_one_is_refused(self, connect: Connect) -> None:
        one, other = await connect(), await connect()
        await one.claim(LEASE, self.entry(-1), 0, _always)
        with pytest.raises(TapeError):
            await other.claim(LEASE, self.entry(-2), 0, _always)
        await (await one.append(FENCED, self.entry(1)))

    @pytest.mark.req("PLT-12")
    async def test_what_is_appended_during_a_claim_carries_its_fence(self, connect: Connect) -> None:
        tape = await connect()
        claim = asyncio.create_task(tape.claim(LEASE, self.entry(-1), 0, _always))
        await asyncio.sleep(0)
        await (await tape.append(FENCED, self.entry(1)))
        await claim
        assert not tape.broken.done()

    @pytest.mark.req("PLT-12")
    async def test_who_is_not_sure_to_hold_the_lease_sends_nothing(self, connect: Connect) -> None:
        tape, held = await connect(), [True]
        await tape.claim(LEASE, self.entry(-1), 0, lambda: held[0])
        held[0] = False
        with pytest.raises(TapeError, match="no longer held"):
            await tape.append(FENCED, self.entry(1))
        assert await tape.last([FENCED]) is None

    @pytest.mark.req("PLT-12")
    async def test_a_lease_has_one_holder_until_it_runs_out(self, connect: Connect) -> None:
        one, other = await connect(), await connect()
        await asyncio.sleep(LEASE_TTL_S + 0.5)  # of a test before
        assert await one.lease_of("execution") is None
        first = await one.hold_lease("execution", "one", 0)
        assert first is not None
        assert await other.hold_lease("execution", "other", 0) is None
        renewed = await one.hold_lease("execution", "one", first)
        assert renewed is not None
        assert renewed > first
        assert await one.hold_lease("execution", "one", first) is None
        assert await other.lease_of("execution") == ("one", renewed)
        await asyncio.sleep(LEASE_TTL_S + 0.5)
        assert await other.lease_of("execution") is None
        taken = await other.hold_lease("execution", "other", 0)
        assert taken is not None
        assert taken > renewed
        assert await one.hold_lease("execution", "one", renewed) is None


def _always() -> bool:
    return True
