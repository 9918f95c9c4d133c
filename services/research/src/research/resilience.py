"""RSK-13, measured: the same strategies through real stress episodes, with the guardian and without it.

"Without" exists only here: the guardian still watches, measures and answers, but every order passes as it was proposed and
nothing is cut or halted. No setting of the product does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple, Self

import msgspec

from common.core import Core, Effect
from common.lockstep import Lockstep
from common.messages.base import Message
from common.messages.orders import OrderApproved
from common.messages.portfolio import PortfolioStep
from common.messages.risk import RiskStep
from common.model.enums import TradingState
from common.model.time import NS_PER_DAY, NS_PER_HOUR, from_datetime
from market_data.source import source
from research.backtest import Operator, answer, cores

NAME: Final = "risk_guardian"


class Episode(NamedTuple):
    """`files` below the data directory are replayed from `start` to `end`; the stress is between `first` and `last`."""

    name: str
    profile: str
    files: tuple[str, ...]
    start: str
    first: str
    last: str
    end: str


EPISODES: Final = (
    Episode("FX 2008", "fx", ("fx/d1/*_snowguru.parquet",), "2007-01-01", "2008-09-01", "2008-12-31", "2009-06-30"),
    Episode(
        "The pound 2016", "fx", ("fx/d1/*_snowguru.parquet",), "2014-06-01", "2016-06-20", "2016-07-20", "2016-12-31"
    ),
    Episode(
        "March 2020, FX", "fx", ("fx/h1/*_ejtrader.parquet",), "2018-09-01", "2020-02-24", "2020-04-03", "2020-06-30"
    ),
    Episode(
        "May 2021, crypto",
        "crypto",
        ("crypto/bars/*_M30_*.parquet",),
        "2020-09-01",
        "2021-05-10",
        "2021-05-31",
        "2021-07-31",
    ),
    Episode(
        "November 2022, crypto",
        "crypto",
        ("crypto/bars/*_M30_*.parquet",),
        "2022-04-01",
        "2022-11-05",
        "2022-11-21",
        "2023-01-31",
    ),
    Episode(
        "Stablecoin depeg 2023",
        "crypto-perp",
        ("crypto/venues_m1/*.parquet",),
        "2023-03-01",
        "2023-03-10",
        "2023-03-14",
        "2023-03-15",
    ),
)


class Unguarded:
    """A guardian that watches and lets everything pass."""

    def __init__(self, guardian: Core) -> None:
        self._guardian = guardian

    @property
    def state(self) -> Any:
        return self._guardian.state

    @state.setter
    def state(self, value: Any) -> None:
        self._guardian.state = value

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        outputs = self._guardian.handle(message)
        if not isinstance(message, PortfolioStep):
            return ()
        return [
            *(OrderApproved(ts_event=message.ts_event, order=order, step=message.step) for order in message.orders),
            *(_without_consequence(output, message) for output in outputs if isinstance(output, RiskStep)),
        ]

    def pending(self) -> Sequence[Effect]:
        return ()


def _without_consequence(step: RiskStep, message: PortfolioStep) -> RiskStep:
    return msgspec.structs.replace(
        step,
        trading_state=TradingState.ACTIVE,
        exposure_factor=1.0,
        stop_factor=1.0,
        min_confidence=0.0,
        approved=len(message.orders),
        denied=0,
    )


class Course:
    """How the book went through one episode: feed it every message of the run."""

    def __init__(self, episode: Episode) -> None:
        self._first, self._last = _day(episode.first), _day(episode.last) + NS_PER_DAY
        self._curve: list[tuple[int, float]] = []
        self._var: list[tuple[int, float, float | None]] = []
        self._restricted: list[tuple[int, bool]] = []

    def see(self, message: Message) -> None:
        if isinstance(message, RiskStep) and message.equity is not None:
            equity = float(message.equity)
            self._curve.append((message.ts_event, equity))
            day = message.ts_event // NS_PER_DAY
            if not self._var or self._var[-1][0] != day:
                self._var.append((day, equity, message.var_95_1d))
            restricted = message.trading_state is not TradingState.ACTIVE or message.exposure_factor < 1
            self._restricted.append((message.ts_event, restricted))

    def result(self) -> dict[str, Any]:
        """Fractions; None where undefined. `degradation` is the loss from the episode's start to its worst moment."""
        before = [equity for ts, equity in self._curve if ts < self._first]
        inside = [equity for ts, equity in self._curve if self._first <= ts < self._last]
        if not before or not inside:
            return dict.fromkeys(("return", "max_drawdown", "degradation", "var_breaches", "var_days", "back_after_h"))
        start = before[-1]
        breaches, days = self._var_breaches()
        return {
            "return": inside[-1] / start - 1,
            "max_drawdown": _max_drawdown([start, *inside]),
            "degradation": max(0.0, 1 - min(inside) / start),
            "var_breaches": breaches,
            "var_days": days,
            "back_after_h": self._back_after_h(),
            "whole_return": self._curve[-1][1] / self._curve[0][1] - 1,
            "whole_max_drawdown": _max_drawdown([equity for _, equity in self._curve]),
        }

    def _var_breaches(self) -> tuple[int, int]:
        """Days of the episode on which more was lost than the VaR of the evening before."""
        breaches = days = 0
        for (_, equity, var), (day, following, _) in pairwise(self._var):
            if self._first <= day * NS_PER_DAY < self._last and var is not None and equity > 0:
                days += 1
                breaches += 1 - following / equity > var
        return breaches, days

    def _back_after_h(self) -> float | None:
        """Hours from the episode's end until nothing is restricted any more; None when that does not come."""
        for ts, restricted in self._restricted:
            if ts >= self._last and not restricted:
                return (ts - self._last) / NS_PER_HOUR
        return None


def evaluate(
    episode: Episode, config: Mapping[str, Any], *, guarded: bool, resume_after_days: int | None
) -> dict[str, Any]:
    """One run over one episode. An operator who resumes after `resume_after_days` days of a halt is simulated; None: nobody."""
    course = Course(episode)
    for message in _run(config, guarded=guarded, resume_after_days=resume_after_days):
        course.see(message)
    return course.result()


def _run(config: Mapping[str, Any], *, guarded: bool, resume_after_days: int | None) -> Iterator[Message]:
    made = cores(config)
    if not guarded:
        made[NAME] = Unguarded(made[NAME])
    operator = Operator(resume_after_days)
    for message in Lockstep(made, answer).run(operator.beside(source(config).messages())):
        operator.see(message)
        yield message


class Staged:
    """A directory with nothing but the files of an episode."""

    def __init__(self, episode: Episode, data: Path) -> None:
        self._directory = TemporaryDirectory(prefix="ballast-episode-")
        self.path = Path(self._directory.name)
        found = [path for pattern in episode.files for path in sorted(data.glob(pattern))]
        for path in found:
            (self.path / path.name).symlink_to(path.resolve())
        self.files = len(found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._directory.cleanup()


def _day(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def _max_drawdown(curve: Sequence[float]) -> float:
    peak, worst = curve[0], 0.0
    for value in curve:
        peak = max(peak, value)
        worst = max(worst, 1 - value / peak)
    return worst
