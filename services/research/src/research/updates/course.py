"""A proposal's course in a home: range check, test, steps, results, way back. What `ballast params` does; the clock is the caller's."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from common.errors import ConfigError
from common.quant.bootstrap import Array
from research.optimize.space import Parameter, present
from research.overrides import with_values
from research.runs import configuration_digest
from research.updates import plan as course
from research.updates import store
from research.updates.impact import Impact
from research.updates.plan import Ledger, Moment, Plan, State, Word
from research.updates.ranges import Range, Value, Values, check, path, range_of, targets
from research.updates.watch import Rules, Verdict, judge

_BOUNDLESS: Final = 1e15


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Of one run: the configuration that it trades with, and the equity it began with and had at the end of each day."""

    config: dict[str, Any]
    equity: tuple[float, ...]

    def returns(self) -> Array:
        """Daily, from the first day on which the equity has moved: before that nothing had been traded."""
        equity = np.asarray(self.equity, dtype=np.float64)
        returns = equity[1:] / equity[:-1] - 1.0
        moved = np.flatnonzero(returns)
        return returns[moved[0] :] if moved.size else returns[:0]


def current(config: Mapping[str, Any], keys: Mapping[str, Value], ranges: Mapping[str, Range]) -> Values:
    """What `config` has for each of the keys, or the strategy of its own. Raises ConfigError for what may not be changed."""
    wanted = {key: _parameter(range_of(key, ranges)) for key in keys}
    found = present(wanted, config)
    for key in keys:
        if key not in found:
            raise ConfigError(f"{key}: neither the configuration nor a strategy has such a value")
    return found


def drafted(
    config: Mapping[str, Any],
    ledger: Ledger,
    wanted: Mapping[str, Value],
    ranges: Mapping[str, Range],
    *,
    name: str,
    steps: int,
    days_between: int,
) -> Plan:
    """A plan over what is in force now. Raises ConfigError naming the key whose value is not allowed, or which value the cores
    refuse.
    """
    base = store.overlaid(config, ledger)
    found = targets(current(base, wanted, ranges), wanted)
    check(found, ranges)
    plan = Plan(
        id=name,
        targets=found,
        path=path(found, ranges, steps),
        base=configuration_digest(base),
        days_between=days_between,
    )
    for values in plan.path:
        store.overlaid(with_values(base, values), Ledger(profile=ledger.profile))
    return plan


def base_of(config: Mapping[str, Any], ledger: Ledger, name: str) -> str:
    """Digest of the configuration below a plan."""
    below: Values = {}
    for each in ledger.standing:
        if each == name:
            break
        below |= ledger.plan(each).values
    return configuration_digest(with_values(config, below))


def verdict(ledger: Ledger, name: str, results: Results, found: Impact, rules: Rules) -> Verdict:
    """On the step in force. Raises RefusedError for results of a run that does not trade with what is in force."""
    plan = ledger.plan(name)
    if plan.state is not State.APPLYING:
        raise course.RefusedError(f"plan {name}: {plan.state}, expected {State.APPLYING}: there is no step to watch")
    if with_values(results.config, ledger.values) != results.config:
        raise course.RefusedError(
            f"plan {name}: the results are of a run without step {plan.step}; begin one with `ballast up --fresh`"
        )
    expected = np.asarray(found.steps[plan.step - 1].returns)
    return judge(results.returns(), expected, found.days_a_year, rules)


def applied(
    config: Mapping[str, Any], ledger: Ledger, name: str, word: Word, *, moment: Moment, watched: Verdict | None
) -> Ledger:
    """One step further, or the way back where the verdict is bad. Raises RefusedError, and ConfigError where the cores refuse."""
    if watched is not None and not watched.good:
        return course.rolled_back(ledger, name, _by_rule(word, watched))
    days = watched.days if watched else 0
    after = course.stepped(ledger, name, word, base=base_of(config, ledger, name), moment=moment, days=days)
    store.overlaid(config, after)
    return after


def watched(ledger: Ledger, name: str, word: Word, found: Verdict) -> Ledger:
    """The way back where the verdict is bad; else the ledger as it is."""
    return ledger if found.good else course.rolled_back(ledger, name, _by_rule(word, found))


def under_way(ledger: Ledger) -> Plan | None:
    """The plan whose step is watched."""
    return next((plan for plan in ledger.plans if plan.state is State.APPLYING), None)


def kept_run(folder: Path) -> Results:
    """Results of a run that is kept (`ballast runs`). Raises ConfigError."""
    try:
        config = json.loads((folder / "config.json").read_text())
        with (folder / "daily.csv").open(newline="") as file:
            equity = tuple(float(row["equity"]) for row in csv.DictReader(file))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error.strerror}; expected the folder of a kept run") from None
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{folder}: {error}; expected config.json and daily.csv of a kept run") from None
    return Results(config=config, equity=equity)


def _by_rule(word: Word, found: Verdict) -> Word:
    evidence = msgspec.json.encode(found).decode()
    return msgspec.structs.replace(word, author="rule", reason=found.reason, evidence=evidence)


def _parameter(found: Range) -> Parameter:
    if found.choices:
        return Parameter(kind="choice", choices=found.choices)
    return Parameter(kind="float", low=-_BOUNDLESS, high=_BOUNDLESS)
