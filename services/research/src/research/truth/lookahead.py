"""Whether anything looks ahead (RES-01): the whole system again over the same past with other futures.

Five questions, each over the system as it trades, by the plain run (every message compared) and by the engine that backtests
use (everything that decides compared):

- `future`: from an instant on all prices are turned over, led away, or gone. Nothing said up to then may differ.
- `repeat`: the same again. A difference is a clock, chance, or a memory that outlives a run.
- `restart`: all cores replaced again and again by fresh ones that get only the saved state. A difference is a memory that a
  restart loses, in a strategy that keeps something between two calls.
- `engines`: the plain run and the default one decide alike.
- `outside`: no strategy opens a file or a connection. What it may have read there no change of prices would show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from common.core import Core
from common.errors import DataError
from common.lockstep import Lockstep
from common.messages.base import Message
from common.messages.market_data import MarketSlice
from common.messages.signals import SignalsStep
from common.model.time import iso
from common.runtime.settings import section
from common.runtime.snapshots import encode, restore
from market_data.feeds.altered import KINDS
from market_data.source import source
from research.backtest import Operator, answer, cores
from research.overrides import with_values
from research.truth.course import ENGINES, Config, Engine, Heard, Parting, decides, heard, parting
from research.truth.outside import watched
from signals.api import Strategy
from signals.loader import load_strategies
from signals.settings import Settings as SignalsSettings

RESUME_AFTER_DAYS: Final = 1  # a halt would leave the rest of the span untested
RESTARTS: Final = 20
_FIRST_CUT, _LAST_CUT = 0.5, 0.98  # of the span: before, the slow strategies have not spoken
Said = Callable[[int, str], None]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One question asked once. `after` is when the future was changed, None where it was not; `compared` counts messages."""

    check: str
    engine: str
    future: str
    after: int | None
    compared: int
    parting: Parting | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`signals` by strategy count what each said in the span: of one that says nothing nothing is shown."""

    first: int
    last: int
    slices: int
    cuts: tuple[int, ...]
    findings: tuple[Finding, ...]
    outside: tuple[tuple[str, str], ...]
    signals: dict[str, int]
    files: dict[str, str]

    @property
    def passed(self) -> bool:
        return not self.outside and all(finding.parting is None for finding in self.findings)

    def by_strategy(self) -> dict[str, str]:
        """ok, silent, or the questions in which what a strategy said differed."""
        return {name: self._of(name, said) for name, said in self.signals.items()}

    def _of(self, name: str, said: int) -> str:
        failed = [f.check for f in self.findings if f.parting is not None and name in f.parting.strategies]
        failed += ["outside" for file, _ in self.outside if file == self.files[name]]
        return ", ".join(dict.fromkeys(failed)) or ("ok" if said else "silent")


def lookahead(config: Config, *, cuts: int = 3, seeds: Sequence[int] = (1,), said: Said | None = None) -> Verdict:
    """Asks all questions of the data, instruments and strategies that `config` names. The future is changed after `cuts`
    instants, in every kind; walks with each of `seeds`. `said` hears the number of runs that are over, and what comes next.

    Memory grows with what is said in the span: about 10 kB a slice. Raises DataError for a span that is too short.
    """
    strategies = load_strategies(section(config, "signals", SignalsSettings))
    progress = _Counter(said)
    with watched([strategy.file for strategy in strategies]) as watch:
        past = {name: _heard(progress, engine, config, f"{name} run") for name, engine in ENGINES.items()}
        base = [at for at, m in past["plain"] if isinstance(m, MarketSlice) and any(bar.base for bar in m.bars)]
        instants = _instants(base, cuts)
        findings = [
            *_again(config, past, progress),
            *_other_futures(config, past, instants, seeds, progress),
        ]
    return Verdict(
        first=base[0],
        last=base[-1],
        slices=len(base),
        cuts=instants,
        findings=tuple(findings),
        outside=tuple(watch.asked),
        signals=_spoken(strategies, past["plain"]),
        files={strategy.id: strategy.file for strategy in strategies},
    )


def runs(cuts: int, seeds: int) -> int:
    """How many runs `lookahead` makes, for a progress bar."""
    return 2 * len(ENGINES) + 1 + len(ENGINES) * cuts * (len(KINDS) - 1 + seeds)


def restarted(config: Config, resume_after_days: int | None, every: int) -> Iterator[Message]:
    """The plain run, with all cores replaced every `every` slices by fresh ones that get nothing but the saved state."""
    operator, made = Operator(resume_after_days), cores(config)
    system, slices = Lockstep(made, answer), 0
    for message in operator.beside(source(config).messages()):
        for said in system.run([message]):
            operator.see(said)
            yield said
        slices += isinstance(message, MarketSlice)
        if isinstance(message, MarketSlice) and slices % every == 0:
            made = _fresh(config, made)
            system = Lockstep(made, answer)


def _fresh(config: Config, old: Mapping[str, Core]) -> dict[str, Core]:
    new = cores(config)
    for name, core in new.items():
        restored = restore(core, encode(old[name], 1, name), name)
        assert restored == 1, f"the state of {name} does not survive being saved"
    return new


class _Counter:
    def __init__(self, said: Said | None) -> None:
        self._said, self._done = said, 0

    def over(self, what: str) -> None:
        self._done += 1
        if self._said is not None:
            self._said(self._done, what)


def _heard(progress: _Counter, engine: Engine, config: Config, what: str, until: int | None = None) -> list[Heard]:
    messages = engine(config, RESUME_AFTER_DAYS, until)
    progress.over(what)
    return messages


def _again(config: Config, past: Mapping[str, list[Heard]], progress: _Counter) -> Iterator[Finding]:
    for name, engine in ENGINES.items():
        yield _finding("repeat", name, past[name], _heard(progress, engine, config, "the same again"))
    every = max(1, sum(isinstance(message, MarketSlice) for _, message in past["plain"]) // RESTARTS)
    after_restarts = [*heard(restarted(config, RESUME_AFTER_DAYS, every))]
    progress.over("restarts")
    yield _finding("restart", "plain", past["plain"], after_restarts)
    traded = {name: [said for said in past[name] if _trades(said.message)] for name in ENGINES}
    yield _finding("engines", "default", traded["plain"], traded["default"])


def _trades(message: Message) -> bool:
    """Opinions aside: those that the portfolio merely remembers the default engine passes over."""
    return decides(message) and not isinstance(message, SignalsStep)


def _other_futures(
    config: Config, past: Mapping[str, list[Heard]], instants: Sequence[int], seeds: Sequence[int], progress: _Counter
) -> Iterator[Finding]:
    for after in instants:
        for kind in KINDS:
            for seed in seeds if kind == "walk" else seeds[:1]:
                other = with_values(config, {"run.data": f"altered:{kind}:{seed}:{after}:{config['run']['data']}"})
                for name, engine in ENGINES.items():
                    said = _heard(progress, engine, other, f"{kind} after {iso(after)[:16]}", after)
                    before = [one for one in past[name] if one.at <= after]
                    yield _finding(
                        "future", name, _known(name, before, after), _known(name, said, after), f"{kind} {seed}", after
                    )


def _known(engine: str, said: list[Heard], after: int) -> list[Heard]:
    """The default engine never passes over the last slice of its data, which is that of `after` where the future is gone: opinions
    that the portfolio merely remembers are said there in one run only. The plain run compares them.
    """
    if engine != "default":
        return said
    return [one for one in said if one.at < after or _trades(one.message)]


def _finding(
    check: str,
    engine: str,
    one: Sequence[Heard],
    other: Sequence[Heard],
    future: str = "",
    after: int | None = None,
) -> Finding:
    return Finding(
        check=check,
        engine=engine,
        future=future,
        after=after,
        compared=max(len(one), len(other)),
        parting=parting(one, other),
    )


def _instants(base: Sequence[int], cuts: int) -> tuple[int, ...]:
    """Spread evenly over the later part of the span, each one at which base bars close."""
    if len(base) < 2 * (cuts + 1):
        raise DataError(f"{len(base)} slices of data: expected at least {2 * (cuts + 1)} for {cuts} instants")
    step = (_LAST_CUT - _FIRST_CUT) / max(1, cuts - 1)
    places = [min(len(base) - 2, int((_FIRST_CUT + step * number) * len(base))) for number in range(cuts)]
    return tuple(base[place] for place in dict.fromkeys(places))


def _spoken(strategies: Sequence[Strategy], messages: Sequence[Heard]) -> dict[str, int]:
    count = dict.fromkeys((strategy.id for strategy in strategies), 0)
    for _, message in messages:
        if isinstance(message, SignalsStep):
            for signal in message.signals:
                count[signal.strategy_id] += 1
    return count


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Plain values, with times in words; of findings only what failed."""
    failed = [finding for finding in verdict.findings if finding.parting is not None]
    return {
        "passed": verdict.passed,
        "from": iso(verdict.first),
        "to": iso(verdict.last),
        "slices": verdict.slices,
        "changed_after": [iso(cut) for cut in verdict.cuts],
        "runs": len(verdict.findings),
        "compared": sum(finding.compared for finding in verdict.findings),
        "strategies": verdict.by_strategy(),
        "signals": verdict.signals,
        "outside": [{"file": file, "did": did} for file, did in verdict.outside],
        "failed": [_failed(finding) for finding in failed],
    }


def _failed(finding: Finding) -> dict[str, Any]:
    parting = finding.parting
    assert parting is not None
    return {
        "check": finding.check,
        "engine": finding.engine,
        "future": finding.future,
        "changed_after": None if finding.after is None else iso(finding.after),
        "differs_at": iso(parting.ts),
        "stage": parting.stage,
        "one": parting.one,
        "other": parting.other,
        "strategies": list(parting.strategies),
    }
