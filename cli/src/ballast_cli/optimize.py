"""`ballast optimize` and `ballast walkforward`: searches for parameters, kept in PostgreSQL, with what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from ballast_cli import output
from ballast_cli.arguments import Data, End, Json, Override, Profile, Start, home
from ballast_cli.runs import check as check_file
from ballast_cli.walkforward_page import in_markdown
from common.errors import BallastError, ConfigError
from common.model.time import NS_PER_DAY, iso

if TYPE_CHECKING:
    from research.optimize.splits import Fold, Span
    from research.optimize.study import Plan
    from research.optimize.walk import Optimized, Walked

_WARMUP_DAYS: Final = 1500  # 200 weekly bars
SpaceFile = Annotated[Path | None, typer.Option("--space", help="TOML file of keys and ranges; default the profile's")]
Objectives = Annotated[
    list[str],
    typer.Option("--objective", help="sharpe, sortino, calmar, return or drawdown; repeat for a Pareto front"),
]
Constraints = Annotated[list[str], typer.Option("--constraint", help='such as "max_drawdown<0.10" or "trades>=30"')]
Sampler = Annotated[str, typer.Option(help="tpe, nsga2 or random; default tpe, nsga2 for several objectives")]
Population = Annotated[int, typer.Option(min=4, max=1000, help="of a generation of nsga2")]
Trials = Annotated[int, typer.Option(min=1, max=100_000, help="of the sampler, all runs of this study together")]
Local = Annotated[int, typer.Option(min=0, max=10_000, help="then so many of gradient ascent from the best")]
Days = Annotated[int, typer.Option(min=0, max=3650)]
Warmup = Annotated[int, typer.Option("--warmup-days", min=0, max=20_000, help="of data before a span, traded flat")]
Seed = Annotated[int, typer.Option(min=0, help="equal seeds and one worker find the same")]
Workers = Annotated[str, typer.Option(help="processes here, or a Dask scheduler: tcp://host:8786")]
StorageUrl = Annotated[str, typer.Option("--storage", help="database URL; default the PostgreSQL of BALLAST_HOME")]
StudyName = Annotated[str, typer.Option("--study", help="its name; default one made of all options that matter")]
ResumeAfter = Annotated[int | None, typer.Option(min=0, help="an operator resumes this many days after a halt")]


def optimize(
    profile: Profile = "fx",
    data: Data = "builtin",
    config: Override = None,
    start: Start = None,
    end: End = None,
    space: SpaceFile = None,
    objective: Objectives = ["sharpe"],  # noqa: B006 typer copies it
    constraint: Constraints = [],  # noqa: B006
    sampler: Sampler = "",
    population: Population = 20,
    trials: Trials = 50,
    local: Local = 0,
    holdout: Annotated[float, typer.Option(min=0.05, max=0.9, help="last part of the data, kept for the test")] = 0.25,
    purge_days: Days = 5,
    embargo_days: Days = 5,
    warmup_days: Warmup = _WARMUP_DAYS,
    seed: Seed = 1,
    workers: Workers = "1",
    storage: StorageUrl = "",
    study: StudyName = "",
    resume_after: ResumeAfter = None,
    as_json: Json = False,
) -> None:
    """Search for parameters and test the best on data that the search has not seen. The same command resumes it."""
    from research.optimize import splits, walk

    asked = _Asked(profile, config, data, start, end, space, objective, constraint, sampler, population, seed)
    plan, whole = _plan(asked, warmup_days, resume_after)
    fold = splits.holdout(whole, fraction=holdout, gap_ns=(purge_days + embargo_days) * NS_PER_DAY)
    plan = msgspec.structs.replace(plan, spans=fold.train)
    name = study or f"{profile}-{plan.identity()[:10]}"
    budget = walk.Budget(trials=trials, local=_local(local, plan))
    with _under_way(storage, workers, name, trials + budget.local) as (store, pool, on_trial):
        found = walk.optimize(plan, fold, budget, store, name, pool, on_trial)
    result = {"study": name, **_spans(fold), **_costs(plan), **_plain(found)}
    output.answer(result if as_json else _optimized_in_words(result, found), as_json)
    if not found.front:
        raise typer.Exit(output.FAILED)


def walkforward(
    profile: Profile = "fx",
    data: Data = "builtin",
    config: Override = None,
    start: Start = None,
    end: End = None,
    space: SpaceFile = None,
    objective: Annotated[str, typer.Option(help="sharpe, sortino, calmar, return or drawdown")] = "sharpe",
    constraint: Constraints = [],  # noqa: B006
    sampler: Sampler = "",
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="per fold")] = 12,
    local: Local = 0,
    scheme: Annotated[str, typer.Option(help="anchored, rolling or cross")] = "anchored",
    train: Annotated[str, typer.Option(help="data before the first test, such as 8y, 18m or 90d")] = "8y",
    test: Annotated[str, typer.Option(help="length of a test")] = "3y",
    folds: Annotated[int, typer.Option(min=2, max=100, help="of the scheme cross")] = 6,
    purge_days: Days = 5,
    embargo_days: Days = 5,
    warmup_days: Warmup = _WARMUP_DAYS,
    seed: Seed = 1,
    workers: Workers = "1",
    storage: StorageUrl = "",
    study: StudyName = "",
    resume_after: ResumeAfter = None,
    write: Annotated[Path | None, typer.Option(help="also write the tables to this Markdown file")] = None,
    as_json: Json = False,
) -> None:
    """Search on the past, trade what follows, move on: what a search is worth out of sample. The same command resumes it."""
    from research.optimize import splits, walk

    check_file(write, "--write")
    asked = _Asked(profile, config, data, start, end, space, [objective], constraint, sampler, 20, seed)
    plan, whole = _plan(asked, warmup_days, resume_after)
    if scheme not in list(splits.Scheme):
        raise ConfigError(f"--scheme {scheme}: expected one of {', '.join(splits.Scheme)}")
    gap_ns = (purge_days + embargo_days) * NS_PER_DAY
    lengths = splits.period("--train", train), splits.period("--test", test)
    tests = (
        splits.purged_cross_validation(whole, folds=folds, gap_ns=gap_ns)
        if scheme == splits.Scheme.CROSS
        else splits.walk_forward(whole, train=lengths[0], test=lengths[1], gap_ns=gap_ns, scheme=splits.Scheme(scheme))
    )
    plan = msgspec.structs.replace(plan, spans=tuple(fold.test for fold in tests))
    name = study or f"{profile}-walk-{plan.identity()[:10]}"
    budget = walk.Budget(trials=trials, local=_local(local, plan))
    with _under_way(storage, workers, name, len(tests) * (trials + budget.local)) as (store, pool, on_trial):
        walked = walk.walk_forward(plan, tests, budget, store, name, pool, on_trial)
    told = {"profile": profile, "data": data, "scheme": scheme, "trials_per_fold": trials + budget.local, "seed": seed}
    shape = f"--folds {folds}" if scheme == splits.Scheme.CROSS else f"--train {train} --test {test}"
    told |= {"lengths": shape, "trials": trials}
    told = {"study": name, **told, "objective": objective, "constraints": constraint, **_costs(plan)}
    if write is not None:
        write.write_text(in_markdown(told, plan.space, walked))
    result = {**told, **_plain(walked)}
    output.answer(result if as_json else _walked_in_words(told, walked), as_json)


class _Asked(msgspec.Struct):
    """What both commands are asked."""

    profile: str
    config: Path | None
    data: str
    start: str | None
    end: str | None
    space: Path | None
    objectives: list[str]
    constraints: list[str]
    sampler: str
    population: int
    seed: int


def _plan(asked: _Asked, warmup_days: int, resume_after: int | None) -> tuple[Plan, Span]:
    """Everything but the spans, and the whole of the data. Raises ConfigError naming the option that is wrong."""
    from ballast_cli.configuration import effective
    from research.optimize import measure, objective, space, study

    settings = effective(asked.profile, override=asked.config, data=asked.data, start=asked.start, end=asked.end)
    objectives = tuple(objective.objective(text) for text in asked.objectives)
    constraints = tuple(objective.constraint(text) for text in asked.constraints)
    path = asked.space or space.shipped(asked.profile)
    ranges = space.load(path)
    space.check(path, ranges, settings)
    whole = measure.bounds(settings)
    plan = study.Plan(
        config=settings,
        space=ranges,
        objectives=objectives,
        constraints=constraints,
        spans=(),
        first_ns=whole.begin_ns,
        sampler=asked.sampler or study.default_sampler(objectives),
        population=asked.population,
        seed=asked.seed,
        warmup_days=warmup_days,
        resume_after_days=resume_after,
    )
    return study.checked(plan), whole


def _local(number: int, plan: Plan) -> int:
    if number and len(plan.objectives) > 1:
        raise ConfigError(f"--local {number}: gradient ascent has one objective; expected 0, or a single --objective")
    return number


@contextmanager
def _under_way(
    url: str, wanted: str, name: str, total: int
) -> Iterator[tuple[Callable[[str], AbstractContextManager[Any]], Any, Callable[[int], None]]]:
    """Storage, workers and a bar that counts trials; whoever interrupts is told how to go on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from research.optimize import storage
    from research.optimize.workers import workers

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ExitStack() as stack:
        where = stack.enter_context(_database(url))
        pool = stack.enter_context(workers(wanted))
        bar = stack.enter_context(Progress(*columns, console=output.err, disable=not output.err.is_terminal))
        task = bar.add_task("trials", total=total)
        try:
            yield lambda study: storage.opened(where, study), pool, lambda _: bar.advance(task)
        except KeyboardInterrupt:
            output.err.print(f"interrupted; the same command goes on with study {name}", markup=False)
            raise


@contextmanager
def _database(url: str) -> Iterator[str]:
    """What `--storage` says; else the PostgreSQL that runs in this home, or one started there for as long as this takes."""
    from common.runtime.embedded import EmbeddedServers
    from common.runtime.embedded.endpoints import Endpoints
    from common.runtime.embedded.home import Home

    if url:
        yield url
        return
    if home().is_dir() and Home(home()).runner() is not None:
        yield Endpoints.load(home()).postgres_dsn_with_password()
        return
    servers = EmbeddedServers(home())
    try:
        endpoints = servers.start()
    except BallastError as error:
        raise ConfigError(f"no PostgreSQL for studies: {error}; or name another with --storage URL") from error
    try:
        yield endpoints.postgres_dsn_with_password()
    finally:
        servers.stop()


def _plain(found: Optimized | Walked) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain


def _spans(fold: Fold) -> dict[str, Any]:
    train, test = fold.train[0], fold.test
    return {"in_sample": _dates(train), "out_of_sample": _dates(test)}


def _dates(span: Span) -> list[str]:
    return [iso(span.begin_ns)[:10], iso(span.end_ns)[:10]]


def _costs(plan: Plan) -> dict[str, Any]:
    """What its runs pay beside the spread."""
    execution = plan.config["execution"]
    financing = execution["financing"]["enabled"]
    return {"costs": {**{key: execution[key] for key in ("taker_bps", "latency_ms")}, "financing": financing}}


def _optimized_in_words(result: dict[str, Any], found: Optimized) -> dict[str, Any]:
    said = {key: result[key] for key in ("study", "in_sample", "out_of_sample", "decided", "failed", "infeasible")}
    for judged in found.front:
        prefix = f"trial {judged.number}"
        said |= {f"{prefix} {key}": value for key, value in judged.values.items()}
        for metric in ("sharpe", "return", "max_drawdown", "trades"):
            said[f"{prefix} {metric} in sample"] = judged.in_sample.get(metric)
            said[f"{prefix} {metric} out of sample"] = judged.out_of_sample.get(metric)
        said[f"{prefix} deflated sharpe ({judged.luck.trials} trials)"] = judged.luck.deflated_sharpe
    said["shipped sharpe out of sample"] = found.shipped_out_of_sample.get("sharpe")
    return said


def _walked_in_words(told: dict[str, Any], walked: Walked) -> dict[str, Any]:
    said = dict(told)
    for each in walked.folds:
        head = f"{' to '.join(_dates(each.fold.test))} sharpe"
        said[f"{head} in sample"] = each.in_sample.get("sharpe")
        said[f"{head} out of sample"] = each.out_of_sample.get("sharpe")
    for metric in ("sharpe", "return", "max_drawdown"):
        said[f"whole {metric} out of sample"] = walked.whole[metric]
        said[f"shipped {metric} out of sample"] = walked.shipped[metric]
    said[f"deflated sharpe ({walked.luck.trials} trials)"] = walked.luck.deflated_sharpe
    return said
