"""The course of updates: laws that hold whatever is asked in whatever order."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from common.model.time import NS_PER_DAY
from research.updates.plan import (
    STANDING,
    Action,
    Ledger,
    Moment,
    Plan,
    RefusedError,
    State,
    Word,
    judged,
    proposed,
    quiet,
    reset,
    rolled_back,
    stepped,
)
from research.updates.ranges import Target, Values

pytestmark = pytest.mark.req("RES-06")

WORD = Word(ts_ns=1, author="ada", reason="a test")
BASE, IDLE = "base", Moment()
MINUTE = 60 * 10**9


def plan(name: str = "one", key: str = "a", before: int = 10, after: int = 14, days: int = 5) -> Plan:
    way: tuple[Values, ...] = tuple({key: before + (after - before) * n // 4} for n in range(1, 5))
    return Plan(
        id=name,
        targets=(Target(key=key, before=before, after=after),),
        path=way,
        base=BASE,
        days_between=days,
    )


def ready(*plans: Plan) -> Ledger:
    ledger = Ledger(profile="fx")
    for each in plans:
        ledger = judged(proposed(ledger, each, WORD), each.id, WORD, passed=True)
    return ledger


def step(ledger: Ledger, name: str = "one", *, days: int = 99, moment: Moment = IDLE, base: str = BASE) -> Ledger:
    return stepped(ledger, name, WORD, base=base, moment=moment, days=days)


def done(ledger: Ledger, name: str = "one") -> Ledger:
    while ledger.plan(name).state is not State.DONE:
        ledger = step(ledger, name)
    return ledger


def test_values_come_into_force_step_by_step_and_stay() -> None:
    ledger, seen = ready(plan()), []
    for _ in range(4):
        ledger = step(ledger)
        seen.append(ledger.values["a"])
    assert seen == [11, 12, 13, 14]
    ledger = step(ledger)
    assert (ledger.plan("one").state, ledger.values) == (State.DONE, {"a": 14})


def test_the_history_says_what_moved_from_what_to_what() -> None:
    ledger = rolled_back(step(step(ready(plan()))), "one", WORD)
    moved = [[(m.key, m.before, m.after) for m in change.moved] for change in ledger.history]
    assert moved == [[], [], [("a", None, 11)], [("a", 11, 12)], [("a", 12, None)]]
    steps = [(change.action, change.step, change.steps, change.author) for change in ledger.history[2:]]
    assert steps == [(Action.STEP, 1, 4, "ada"), (Action.STEP, 2, 4, "ada"), (Action.ROLLBACK, 2, 4, "ada")]


def test_nothing_begins_without_a_test_or_after_a_bad_one() -> None:
    ledger = proposed(Ledger(profile="fx"), plan(), WORD)
    for untried in (ledger, judged(ledger, "one", WORD, passed=False)):
        with pytest.raises(RefusedError, match="expected READY"):
            step(untried)


def test_a_step_is_watched_for_its_days_before_the_next_one() -> None:
    ledger = step(ready(plan()), days=0)
    with pytest.raises(RefusedError, match="step 1 watched on 4 days, expected 5"):
        step(ledger, days=4)
    assert step(ledger, days=5).values == {"a": 12}


def test_a_configuration_that_was_not_tested_takes_no_step() -> None:
    with pytest.raises(RefusedError, match="propose it again"):
        step(ready(plan()), base="another")


def test_one_plan_at_a_time_is_under_way() -> None:
    ledger = step(ready(plan(), plan("two", "b")))
    with pytest.raises(RefusedError, match="plan one is under way"):
        step(ledger, "two")
    assert step(done(ledger), "two").values == {"a": 14, "b": 11}


def test_while_positions_are_held_values_change_only_at_the_end_of_a_day() -> None:
    noon, late, early = (Moment(ts_ns=ns) for ns in (NS_PER_DAY // 2, NS_PER_DAY - MINUTE, NS_PER_DAY + 29 * MINUTE))
    with pytest.raises(RefusedError, match="positions are held"):
        step(ready(plan()), moment=noon)
    assert all(step(ready(plan()), moment=moment).values for moment in (late, early, IDLE))
    assert step(ready(plan()), moment=Moment(ts_ns=NS_PER_DAY // 2, flat=True)).values


@given(st.integers(0, 10 * NS_PER_DAY))
def test_a_day_is_over_half_an_hour_around_midnight(ts: int) -> None:
    away = min(ts % NS_PER_DAY, -ts % NS_PER_DAY)
    assert quiet(Moment(ts_ns=ts)) == (away <= 30 * MINUTE)


def test_a_rollback_takes_what_was_laid_over_it_too() -> None:
    ledger = done(ready(plan(), plan("two", "a", 14, 18), plan("three", "b")))
    ledger = step(done(ledger, "two"), "three")
    back = rolled_back(ledger, "two", WORD)
    assert back.values == {"a": 14}
    assert [each.state for each in back.plans] == [State.DONE, State.ROLLED_BACK, State.ROLLED_BACK]


@pytest.mark.parametrize(
    "change",
    [{"step": 9, "state": State.APPLYING}, {"state": State.DONE}, {"path": ()}, {"path": ({"a": 99},)}],
)
def test_a_plan_that_no_course_leads_to_cannot_be_read(change: dict[str, object]) -> None:
    raw = {**msgspec.to_builtins(plan()), **change}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, Plan)


class Course(RuleBasedStateMachine):
    """Anybody asks for anything, in any order."""

    names = st.sampled_from(["one", "two", "three"])

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(profile="fx")
        self.below: dict[str, Values] = {}  # in force when a plan began

    @rule(name=names, key=st.sampled_from(["a", "b"]), after=st.sampled_from([2, 18]))
    def propose(self, name: str, key: str, after: int) -> None:
        known = [each.id for each in self.ledger.plans]
        if name in known:
            with pytest.raises(RefusedError):
                proposed(self.ledger, plan(name), WORD)
            return
        self.ledger = proposed(self.ledger, plan(name, key, 10, after), WORD)

    @rule(name=names, passed=st.booleans())
    def test(self, name: str, passed: bool) -> None:
        if any(each.id == name and each.state is State.PROPOSED for each in self.ledger.plans):
            self.ledger = judged(self.ledger, name, WORD, passed=passed)

    @rule(name=names, days=st.integers(0, 9))
    def step(self, name: str, days: int) -> None:
        before = self.ledger
        try:
            self.ledger = step(before, name, days=days)
        except RefusedError:
            return
        if name not in before.standing:
            self.below[name] = before.values

    @precondition(lambda self: self.ledger.plans)
    @rule(data=st.data())
    def back(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([each.id for each in self.ledger.plans]))
        wanted = self.below[name] if name in self.ledger.standing else self.ledger.values
        self.ledger = rolled_back(self.ledger, name, WORD)
        assert self.ledger.values == wanted
        assert self.ledger.plan(name).state not in STANDING

    @rule()
    def emergency(self) -> None:
        self.ledger = reset(self.ledger, WORD)
        assert self.ledger.values == {}
        assert not self.ledger.standing

    @invariant()
    def only_values_of_a_tested_path_are_in_force(self) -> None:
        for key, value in self.ledger.values.items():
            allowed = [v[key] for each in self.ledger.plans if each.state in STANDING for v in each.path if key in v]
            assert value in allowed
            assert value in range(2, 19)

    @invariant()
    def the_way_back_from_here_leads_to_nothing(self) -> None:
        ledger = self.ledger
        for name in reversed(ledger.standing):
            ledger = rolled_back(ledger, name, WORD)
        assert ledger.values == {}

    @invariant()
    def what_is_written_is_read_as_the_same(self) -> None:
        assert msgspec.json.decode(msgspec.json.encode(self.ledger), type=Ledger) == self.ledger

    @invariant()
    def the_history_adds_up_to_what_is_in_force(self) -> None:
        values: Values = {}
        for change in self.ledger.history:
            for moved in change.moved:
                assert values.get(moved.key) == moved.before
                if moved.after is None:
                    del values[moved.key]
                else:
                    values[moved.key] = moved.after
        assert values == self.ledger.values


TestCourse = Course.TestCase
