"""Never two holders, whatever is late, lost or frozen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from common.errors import TapeError
from common.messages.control import LeaseTaken
from common.runtime import lease as lease_module
from common.runtime.codec import decode, decode_envelope
from common.runtime.lease import MARGIN_S, Lease
from common.runtime.memory_tape import MemoryLog, MemoryTape
from common.runtime.tape import LEASE_TTL_S
from common.testing.conformance import entry

pytestmark = pytest.mark.req("PLT-12")
SAID = "execution.intent_recorded.v1"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock) -> MemoryLog:
    return MemoryLog(clock)


def claimant(log: MemoryLog, instance: str) -> tuple[MemoryTape, Lease]:
    tape = MemoryTape(log)
    return tape, Lease(tape, "execution", instance, log.clock)


async def test_a_second_instance_waits_until_the_lease_has_run_out(log: MemoryLog, clock: Clock) -> None:
    (_, one), (_, two) = claimant(log, "1"), claimant(log, "2")
    assert await one.take()
    assert not await two.take()
    assert two.holder == "1"
    clock.now += LEASE_TTL_S - 0.01
    assert not await two.take()
    clock.now += 0.02
    assert await two.take()
    assert one.token() is None
    assert two.token() is not None


async def test_a_restarted_process_takes_the_place_of_its_dead_self_at_once(log: MemoryLog) -> None:
    (_, former), (_, present) = claimant(log, "1"), claimant(log, "1")
    assert await former.take()
    assert await present.take()
    token = former.token()
    assert token is not None
    assert present.token() == token + 1
    with pytest.raises(TapeError, match="taken by another"):
        await former.renew()
    assert not former.held()


async def test_a_lease_that_is_given_back_is_free_at_once(log: MemoryLog) -> None:
    (_, one), (_, two) = claimant(log, "1"), claimant(log, "2")
    assert await one.take()
    await one.release()
    assert not one.held()
    assert await two.take()


async def test_a_holder_stops_before_the_server_lets_anybody_else_in(log: MemoryLog, clock: Clock) -> None:
    _, lease = claimant(log, "1")
    assert await lease.take()
    clock.now += LEASE_TTL_S - MARGIN_S - 0.01
    assert lease.held()
    clock.now += 0.02
    assert not lease.held()
    assert await MemoryTape(log).lease_of("execution") is not None


async def test_a_renewal_that_only_seemed_to_fail_is_found_out(log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "TRY_EVERY_S", 0)
    tape, lease = claimant(log, "1")
    assert await lease.take()
    renew, failures = tape.hold_lease, iter([True, False, False])

    async def hold_lease(service: str, name: str, revision: int) -> int | None:
        written = await renew(service, name, revision)
        if next(failures):
            raise TapeError("the answer is lost")
        return written

    monkeypatch.setattr(tape, "hold_lease", hold_lease)
    await lease.renew()
    assert lease.held()
    assert await claimant(log, "2")[1].take() is False


async def test_a_new_holder_is_on_the_tape_before_it_speaks_and_the_former_is_refused(
    log: MemoryLog, clock: Clock
) -> None:
    (former_tape, former), (tape, lease) = claimant(log, "1"), claimant(log, "2")
    assert await former.take()
    await former.announce("run")
    await former_tape.append(SAID, entry(1))
    clock.now += LEASE_TTL_S
    assert await lease.take()
    await lease.announce("run")
    former._until = clock.now + 1  # a clock that stood still while its process was frozen
    await former_tape.append(SAID, entry(2))
    assert former_tape.broken.done()
    await tape.append(SAID, entry(3))
    taken = [decode(decode_envelope(e.payload)) for e in log.entries if e.subject.startswith(LeaseTaken.TYPE)]
    assert [(m.instance, m.token) for m in taken if isinstance(m, LeaseTaken)] == [("1", 1), ("2", 2)]
    assert [decode_envelope(e.payload).ts_event for e in log.entries if e.subject == SAID] == [1, 3]


async def test_who_fell_asleep_between_taking_the_lease_and_saying_so_does_not_speak(
    log: MemoryLog, clock: Clock
) -> None:
    (_, sleeper), (_, lease) = claimant(log, "1"), claimant(log, "2")
    assert await sleeper.take()
    clock.now += LEASE_TTL_S
    assert await lease.take()
    await lease.announce("run")
    sleeper._until = clock.now + 1
    with pytest.raises(TapeError, match="2 has taken it meanwhile"):
        await sleeper.announce("run")


class _Slow(MemoryTape):
    """Every request takes time on its way there and back; some are lost, some are carried out and their answers lost."""

    def __init__(self, log: MemoryLog, clock: Clock, chance: np.random.Generator, check: object) -> None:
        super().__init__(log)
        self._clock = clock
        self._chance = chance
        self._check = check

    def _pass_time(self) -> None:
        self._clock.now += float(self._chance.exponential(0.15))
        assert callable(self._check)
        self._check()

    async def hold_lease(self, service: str, name: str, revision: int) -> int | None:
        fate = self._chance.random()
        self._pass_time()
        if fate < 0.1:
            raise TapeError("lost")
        written = await super().hold_lease(service, name, revision)
        self._pass_time()
        if fate < 0.2:
            raise TapeError("the answer is lost")
        return written


@pytest.mark.parametrize("seed", range(5))
async def test_in_hundreds_of_failovers_there_are_never_two_holders_and_tokens_rise(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "TRY_EVERY_S", 0)
    chance, clock = np.random.default_rng(seed), Clock()
    log, leases, tokens = MemoryLog(clock), {}, []

    def check() -> None:
        holders = [lease.token() for lease in leases.values() if lease.held()]
        assert len(holders) <= 1
        if holders and holders != tokens[-1:]:
            assert not tokens or holders[0] > tokens[-1]
            tokens.append(holders[0])

    for instance in ("1", "2", "3"):
        leases[instance] = Lease(_Slow(log, clock, chance, check), "execution", instance, clock)
    while len(tokens) < 120:
        lease = leases[str(chance.integers(1, 4))]
        try:
            if not lease.held():
                await lease.take()
            elif chance.random() < 0.9:
                await lease.renew()
            else:
                clock.now += float(chance.exponential(3.0))  # everybody is frozen for a while
        except TapeError:
            pass
        check()
