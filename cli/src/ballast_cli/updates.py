"""`ballast params`: other parameters, in range, tested out of sample, in steps, watched, and always back."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from ballast_cli import output
from ballast_cli.arguments import Json, Profile, Reason, home
from common.errors import ConfigError

if TYPE_CHECKING:
    from research.updates.impact import Impact
    from research.updates.plan import Ledger, Word
    from research.updates.watch import Verdict

params = typer.Typer(help="Change parameters safely.", no_args_is_help=True)

LIVE: Final = "takes effect when the next run begins: `ballast down`, then `ballast up --fresh`"
Override = Annotated[Path | None, typer.Option("--config", help="your own TOML file, as given to `ballast up`")]
PlanId = Annotated[str, typer.Argument(help="id of a plan; `ballast params list` shows them")]
Results = Annotated[Path | None, typer.Option(help="folder of a kept run instead of the system running here")]
Tail = Annotated[float, typer.Option(min=0.001, max=0.25, help="chance of a false alarm of each rule, each look")]
Said = Annotated[str, typer.Option("--reason", help="why; goes to the history")]


@params.command()
def propose(
    reason: Reason,
    values: Annotated[list[str] | None, typer.Argument(help="such as portfolio.risk_per_trade=0.0025")] = None,
    found: Annotated[Path | None, typer.Option("--from", help="what `ballast optimize --json` has printed")] = None,
    trial: Annotated[int | None, typer.Option(help="of its front; default the best")] = None,
    profile: Profile = "fx",
    config: Override = None,
    data: Annotated[str, typer.Option(help="to test on: builtin, builtin-h1 or a directory")] = "builtin",
    holdout: Annotated[float, typer.Option(min=0.05, max=0.9, help="last part of the data, as in the search")] = 0.25,
    steps: Annotated[int, typer.Option(min=1, max=20, help="at least; more where ranges ask for them")] = 4,
    days: Annotated[int, typer.Option(min=1, max=1000, help="with results, that each step is watched")] = 20,
    drawdown_increase: Annotated[float, typer.Option(min=0, max=1, help="tolerated, in fractions of equity")] = 0.01,
    turnover_ratio: Annotated[float, typer.Option(min=1, max=100, help="tolerated, of that before")] = 1.25,
    sharpe_loss: Annotated[float, typer.Option(min=0, max=10, help="tolerated, annual")] = 0.1,
    resume_after: Annotated[int, typer.Option(min=0, help="days after which the test's operator ends a halt")] = 30,
    as_json: Json = False,
) -> None:
    """Check values against their ranges and test every step out of sample beside what trades now. Changes nothing in force."""
    from ballast_cli.configuration import effective
    from ballast_cli.progress import Bar
    from research.updates import course, impact, plan, ranges, store

    wanted = {**_found(found, trial), **_typed(values or [])}
    settings = effective(profile, override=config, data=data, pin=False)  # a plan outlives the calendar of a week
    tolerances = impact.Tolerances(
        drawdown_increase=drawdown_increase, turnover_ratio=turnover_ratio, sharpe_loss=sharpe_loss
    )
    word = _word(reason)
    name = time.strftime(f"{profile}-%Y%m%d-%H%M%S", time.gmtime(word.ts_ns / 1e9))
    ledger = store.load(home(), profile)
    drafted = course.drafted(settings, ledger, wanted, ranges.load(), name=name, steps=steps, days_between=days)
    with Bar("runs", total=1 + len(drafted.path), show=False if as_json else None) as bar:
        evidence = impact.impact(
            store.overlaid(settings, ledger),
            drafted.path,
            fraction=holdout,
            tolerances=tolerances,
            resume_after_days=resume_after,
            said=bar.to,
        )
    verdict = _word(evidence.reason or "no step is worse than tolerated", store.keep_evidence(home(), name, evidence))
    with store.locked(home()):
        after = plan.proposed(store.load(home(), profile), drafted, word)
        after = plan.judged(after, name, verdict, passed=not evidence.reason)
        store.save(home(), after)
    output.answer({**_plan(after, name), **_tested(evidence, as_json)}, as_json)
    if evidence.reason:
        raise typer.Exit(output.FAILED)


@params.command("list")
def list_(profile: Profile = "fx", as_json: Json = False) -> None:
    """What is in force over the profile, and every plan."""
    from research.updates import store

    ledger = store.load(home(), profile)
    plans = {each.id: f"{each.state} {each.step}/{len(each.path)}" for each in ledger.plans}
    output.answer({"profile": profile, "in_force": ledger.values, "plans": plans}, as_json)


@params.command()
def show(plan: PlanId, profile: Profile = "fx", as_json: Json = False) -> None:
    """One plan: its steps, its test, its history."""
    from research.updates import store

    ledger = store.load(home(), profile)
    shown = _plan(ledger, plan)
    history = [_plain(change) for change in ledger.history if change.plan in ("", plan)]
    told = {**shown, **_tested(store.evidence(home(), plan), as_json)}
    if as_json:
        output.answer({**told, "history": history}, as_json)
        return
    lines = {f"history {n}": f"{c['action']} by {c['author']}: {c['reason']}" for n, c in enumerate(history, start=1)}
    output.answer({**told, **lines}, as_json)


@params.command()
def apply(
    plan: PlanId,
    reason: Said = "applied by the operator",
    profile: Profile = "fx",
    config: Override = None,
    results: Results = None,
    tail: Tail = 0.05,
    as_json: Json = False,
) -> None:
    """One step further, once the step in force has been watched for long enough; where its results are bad, back instead."""
    from ballast_cli.configuration import effective
    from ballast_cli.updates_live import moment
    from research.updates import course, store
    from research.updates.plan import State

    settings = effective(profile, override=config, pin=False)
    with store.locked(home()):
        ledger = store.load(home(), profile)
        begun = ledger.plan(plan).state is State.APPLYING
        watched = _verdict(ledger, plan, results, tail) if begun else None
        after = course.applied(settings, ledger, plan, _word(reason), moment=moment(home()), watched=watched)
        store.save(home(), after)
    _answer(after, plan, watched, as_json)


@params.command()
def watch(
    profile: Profile = "fx",
    results: Results = None,
    tail: Tail = 0.05,
    every: Annotated[float | None, typer.Option(min=1, help="seconds; look again and again until it is over")] = None,
    halt: Annotated[bool, typer.Option("--halt", help="halt trading here when a step is taken back")] = False,
    as_json: Json = False,
) -> None:
    """Compare results since the step in force with what its test led to expect; take the plan back where they are bad."""
    from research.updates import course, store

    while True:
        with store.locked(home()):
            ledger = store.load(home(), profile)
            plan = course.under_way(ledger)
            if plan is None:
                output.answer({"profile": profile, "watched": None}, as_json)
                return
            verdict = _verdict(ledger, plan.id, results, tail)
            after = course.watched(ledger, plan.id, _word("watched"), verdict)
            if after is not ledger:
                store.save(home(), after)
        if not verdict.good and halt:
            _halt(verdict.reason)
        if not verdict.good or every is None:
            _answer(after, plan.id, verdict, as_json)
            return
        time.sleep(every)


@params.command()
def rollback(plan: PlanId, reason: Reason, profile: Profile = "fx", as_json: Json = False) -> None:
    """Back to what was in force before a plan began, at once and without a test; plans that began after it go too."""
    from research.updates import store
    from research.updates.plan import rolled_back

    with store.locked(home()):
        after = rolled_back(store.load(home(), profile), plan, _word(reason))
        store.save(home(), after)
    _answer(after, plan, None, as_json)


@params.command()
def reset(reason: Reason, profile: Profile = "fx", as_json: Json = False) -> None:
    """Emergency: back to the profile's own values at once, whatever is under way and whatever the files look like."""
    from research.updates import store
    from research.updates.plan import Ledger
    from research.updates.plan import reset as to_nothing

    word = _word(reason)
    with store.locked(home()):
        try:
            ledger = store.load(home(), profile)
        except ConfigError:
            store.set_aside(home(), profile, word.ts_ns)
            ledger = Ledger(profile=profile)
        after = to_nothing(ledger, word)
        store.save(home(), after)
    _answer(after, "", None, as_json)


def _answer(ledger: Ledger, plan: str, verdict: Verdict | None, as_json: bool) -> None:
    """The plan and what is in force; a step taken back by rule is an exit code."""
    from ballast_cli.updates_live import tell

    shown = _plan(ledger, plan) if plan else {"in_force": ledger.values}
    told = {"history_on_tape": tell(home(), ledger.profile), "live": LIVE}
    output.answer({**shown, "watched": _plain(verdict), **told}, as_json)
    if verdict is not None and not verdict.good:
        raise typer.Exit(output.FAILED)


def _verdict(ledger: Ledger, plan: str, folder: Path | None, tail: float) -> Verdict:
    from ballast_cli.updates_live import results
    from research.updates import course, store, watch

    found = course.kept_run(folder) if folder else results(home())
    rules = watch.Rules(drawdown_tail=tail, sharpe_tail=tail)
    return course.verdict(ledger, plan, found, store.evidence(home(), plan), rules)


def _halt(reason: str) -> None:
    import asyncio

    from ballast_cli.operator import halt

    output.err.print(f"halting: {asyncio.run(halt(home(), reason, flatten=False))}", markup=False)


def _found(path: Path | None, trial: int | None) -> dict[str, Any]:
    """Values of a trial of `ballast optimize --json`."""
    if path is None:
        return {}
    try:
        front = {judged["number"]: judged["values"] for judged in json.loads(path.read_text())["front"]}
    except OSError as error:
        raise ConfigError(f"--from {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"--from {path}: expected what `ballast optimize --json` prints") from None
    number = next(iter(front), None) if trial is None else trial
    if number not in front:
        raise ConfigError(
            f"--trial {number}: expected one of {', '.join(map(str, front)) or 'a front, and it is empty'}"
        )
    values: dict[str, Any] = front[number]
    return values


def _typed(texts: list[str]) -> dict[str, Any]:
    """Values as TOML has them: numbers, true and false; all else is text."""
    found: dict[str, Any] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not value:
            raise ConfigError(f"{text}: expected KEY=VALUE such as portfolio.risk_per_trade=0.0025")
        try:
            found[key.strip()] = msgspec.convert(json.loads(value), bool | int | float | str)
        except (ValueError, msgspec.ValidationError):
            found[key.strip()] = value.strip()
    return found


def _plan(ledger: Ledger, name: str) -> dict[str, Any]:
    plan = ledger.plan(name)
    way = {target.key: [target.before, *(values[target.key] for values in plan.path)] for target in plan.targets}
    reason = next(change.reason for change in reversed(ledger.history) if change.plan in ("", name))
    said = {"plan": plan.id, "state": plan.state.value, "step": plan.step, "steps": len(plan.path), "values": way}
    return {**said, "reason": reason, "in_force": ledger.values}


def _tested(evidence: Impact, as_json: bool) -> dict[str, Any]:
    steps = [{**_plain(step), "returns": len(step.returns)} for step in evidence.steps]
    if as_json:
        return {"test": {**_plain(evidence), "steps": steps}}
    said: dict[str, Any] = {"before": evidence.before}
    for number, step in enumerate(evidence.steps, start=1):
        sharpe = step.sharpe_difference
        said[f"step {number}"] = step.figures
        said[f"step {number} Sharpe difference"] = [sharpe.low, sharpe.estimate, sharpe.high] if sharpe else None
    return said


def _plain(found: Any) -> Any:
    return msgspec.to_builtins(found)


def _word(reason: str, evidence: str = "") -> Word:
    from research.updates.plan import Word

    return Word(ts_ns=time.time_ns(), author=getpass.getuser(), reason=reason, evidence=evidence)
