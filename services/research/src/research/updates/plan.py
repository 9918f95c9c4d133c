"""The course of parameter updates as one state machine: what is proposed, what is in force, and the way back.

A ledger is immutable; every function takes one and gives the next one. What is in force is nowhere stored: it follows from the
plans that stand, each laid over those before it. So taking plans away is always possible, and gives exactly what was before them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from common.errors import BallastError
from common.model.time import NS_PER_DAY
from research.updates.ranges import Target, Value, Values

_DAY_END_NS: Final = 30 * 60 * 1_000_000_000  # so long before and after midnight UTC a day counts as over


class RefusedError(BallastError):
    """A step that may not be taken, or not now. A way back is never refused."""


class State(StrEnum):
    PROPOSED = "PROPOSED"  # in range; not tested
    REFUSED = "REFUSED"  # the test said no
    READY = "READY"  # tested; may begin
    APPLYING = "APPLYING"  # one of its steps is in force and watched
    DONE = "DONE"  # in force to the end, watched for long enough
    ROLLED_BACK = "ROLLED_BACK"  # was in force and is not any more
    WITHDRAWN = "WITHDRAWN"  # never was in force and never will be


STANDING: Final = (State.APPLYING, State.DONE)
_OPEN: Final = (State.PROPOSED, State.READY)


class Action(StrEnum):
    PROPOSE = "propose"
    TEST = "test"
    STEP = "step"
    FINISH = "finish"
    ROLLBACK = "rollback"
    RESET = "reset"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`path` has all targets' values after each step. `base` is a digest of the configuration that it was proposed for."""

    id: str
    targets: tuple[Target, ...]
    path: tuple[Values, ...]
    base: str
    days_between: int  # days with results that each step is watched
    state: State = State.PROPOSED
    step: int = 0  # steps in force

    def __post_init__(self) -> None:
        """Raises ValueError for what no course of events leads to."""
        keys = [target.key for target in self.targets]
        if not self.path or any(list(values) != keys for values in self.path):
            raise ValueError("expected every step to have a value for every target")
        if self.path[-1] != {target.key: target.after for target in self.targets}:
            raise ValueError("expected the path to end at the targets")
        if not (self.state in STANDING) <= self.step <= len(self.path):
            raise ValueError(f"{self.state} at step {self.step} of {len(self.path)}")

    @property
    def values(self) -> Values:
        """What it lays over the configuration now."""
        return self.path[self.step - 1] if self.state in STANDING else {}


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """None is what the profile and the strategy have of their own."""

    key: str
    before: Value | None
    after: Value | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the history. `moved` is empty where nothing in force changes."""

    id: str
    ts_ns: int
    author: str
    plan: str  # empty for a reset
    action: Action
    step: int
    steps: int
    moved: tuple[Moved, ...]
    reason: str
    evidence: str = ""  # digest of what was found, or the finding in words


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Of one profile. `standing` are ids of plans in force, in the order in which they began; the first `told` of `history` are
    on the tape.
    """

    profile: str
    plans: tuple[Plan, ...] = ()
    standing: tuple[str, ...] = ()
    history: tuple[Change, ...] = ()
    told: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for what no course of events leads to."""
        in_force = sorted(plan.id for plan in self.plans if plan.state in STANDING)
        if sorted(self.standing) != in_force or len({plan.id for plan in self.plans}) < len(self.plans):
            raise ValueError(f"standing {', '.join(self.standing)}: expected {', '.join(in_force)}")

    @property
    def values(self) -> Values:
        """What is in force over the configuration, by dotted key."""
        found: Values = {}
        for name in self.standing:
            found |= self.plan(name).values
        return found

    def plan(self, name: str) -> Plan:
        """By id. Raises RefusedError where there is none."""
        for plan in self.plans:
            if plan.id == name:
                return plan
        known = ", ".join(plan.id for plan in self.plans) or "none yet"
        raise RefusedError(f"plan {name!r}: no such plan; expected one of {known}")


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for a change, when (ns UTC) and why."""

    ts_ns: int
    author: str
    reason: str
    evidence: str = ""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """How the system is. `ts_ns` is the time of its last step; None when it does not run."""

    ts_ns: int | None = None
    flat: bool = False


def quiet(moment: Moment) -> bool:
    """Whether values may change: nothing runs, nothing is held, or the day is over (half an hour around midnight UTC)."""
    if moment.ts_ns is None or moment.flat:
        return True
    return (moment.ts_ns + _DAY_END_NS) % NS_PER_DAY <= 2 * _DAY_END_NS


def proposed(ledger: Ledger, plan: Plan, word: Word) -> Ledger:
    """Raises RefusedError where the id is taken."""
    if any(plan.id == each.id for each in ledger.plans):
        raise RefusedError(f"plan {plan.id!r}: exists already")
    return _next(ledger, (*ledger.plans, plan), ledger.standing, Action.PROPOSE, plan, word)


def judged(ledger: Ledger, name: str, word: Word, *, passed: bool) -> Ledger:
    """Raises RefusedError where it has been tested, or is over."""
    plan = ledger.plan(name)
    if plan.state is not State.PROPOSED:
        raise RefusedError(f"plan {name}: {plan.state}, expected {State.PROPOSED}")
    state = State.READY if passed else State.REFUSED
    return _replaced(ledger, plan, ledger.standing, Action.TEST, word, state=state)


def stepped(ledger: Ledger, name: str, word: Word, *, base: str, moment: Moment, days: int) -> Ledger:
    """One step further, or DONE after the last one. `days` with good results have been watched since the step in force.

    Raises RefusedError for a plan that is not tested or over, while another one is under way, where the configuration is not the
    one that was tested (`base`), while positions are held within a day, and before a step has been watched for long enough.
    """
    plan = ledger.plan(name)
    if plan.state not in (State.READY, State.APPLYING):
        raise RefusedError(f"plan {name}: {plan.state}, expected {State.READY} or {State.APPLYING}")
    other = next((each.id for each in ledger.plans if each.state is State.APPLYING and each.id != name), None)
    if other is not None:
        raise RefusedError(f"plan {name}: plan {other} is under way; finish it, or roll it back, first")
    if plan.base != base:
        raise RefusedError(f"plan {name}: the configuration is not the one it was tested with; propose it again")
    if plan.step and days < plan.days_between:
        raise RefusedError(f"plan {name}: step {plan.step} watched on {days} days, expected {plan.days_between}")
    if plan.step == len(plan.path):
        return _replaced(ledger, plan, ledger.standing, Action.FINISH, word, state=State.DONE)
    if not quiet(moment):
        raise RefusedError(f"plan {name}: positions are held within a day; wait until it is over, or until flat")
    standing = ledger.standing if plan.step else (*ledger.standing, name)
    return _replaced(ledger, plan, standing, Action.STEP, word, state=State.APPLYING, step=plan.step + 1)


def rolled_back(ledger: Ledger, name: str, word: Word) -> Ledger:
    """Back to what was in force before the plan began: those that began after it go too. Never refused for a plan that exists;
    one that has not begun is withdrawn.
    """
    plan = ledger.plan(name)
    place = ledger.standing.index(name) if name in ledger.standing else len(ledger.standing)
    gone = {name, *ledger.standing[place:]}
    return _without(ledger, gone, ledger.standing[:place], Action.ROLLBACK, plan, word)


def reset(ledger: Ledger, word: Word) -> Ledger:
    """Nothing over the configuration any more, and nothing that waits to be."""
    return _without(ledger, {plan.id for plan in ledger.plans}, (), Action.RESET, None, word)


def _without(
    ledger: Ledger, gone: Iterable[str], standing: tuple[str, ...], action: Action, plan: Plan | None, word: Word
) -> Ledger:
    names = frozenset(gone)
    plans = tuple(_ended(each) if each.id in names else each for each in ledger.plans)
    return _next(ledger, plans, standing, action, plan, word)


def _ended(plan: Plan) -> Plan:
    if plan.state in STANDING:
        return msgspec.structs.replace(plan, state=State.ROLLED_BACK)
    return msgspec.structs.replace(plan, state=State.WITHDRAWN) if plan.state in _OPEN else plan


def _replaced(
    ledger: Ledger,
    plan: Plan,
    standing: tuple[str, ...],
    action: Action,
    word: Word,
    *,
    state: State,
    step: int | None = None,
) -> Ledger:
    changed = msgspec.structs.replace(plan, state=state, step=plan.step if step is None else step)
    plans = tuple(changed if each.id == plan.id else each for each in ledger.plans)
    return _next(ledger, plans, standing, action, changed, word)


def _next(
    ledger: Ledger,
    plans: tuple[Plan, ...],
    standing: tuple[str, ...],
    action: Action,
    plan: Plan | None,
    word: Word,
) -> Ledger:
    """With the entry of the history that says what has changed in force."""
    after = msgspec.structs.replace(ledger, plans=plans, standing=standing)
    change = Change(
        id=f"{ledger.profile}-{len(ledger.history) + 1}-{word.ts_ns}",
        ts_ns=word.ts_ns,
        author=word.author,
        plan=plan.id if plan else "",
        action=action,
        step=plan.step if plan else 0,
        steps=len(plan.path) if plan else 0,
        moved=_moved(ledger.values, after.values),
        reason=word.reason,
        evidence=word.evidence,
    )
    return msgspec.structs.replace(after, history=(*ledger.history, change))


def _moved(before: Values, after: Values) -> tuple[Moved, ...]:
    keys = dict.fromkeys((*before, *after))
    return tuple(
        Moved(key=key, before=before.get(key), after=after.get(key))
        for key in keys
        if before.get(key) != after.get(key)
    )
