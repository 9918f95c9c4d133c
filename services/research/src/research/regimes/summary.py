"""The whole evaluation, and what it comes to next to what was aimed at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from regime.models import Models
from regime.settings import Settings
from research.regimes.evaluate import CEILING, HORIZON_HOURS, MODELS, RULES, Ahead, Field, Progress, Score, of_world
from research.regimes.spikes import Found, look_for_jumps
from research.regimes.worlds import EVALUATION_SEEDS, TUNING_SEEDS, WORLDS

FALSE_ALARM_RATE: Final = 0.30  # at which warnings are compared with the aim
WARNED_ALARM: Final = "volatility raised or range spike"


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """A mean over the labeled markets that the judge can judge. `possible` is the same of the exact filter, `by_chance` of alarms
    that know nothing; None where that is no question.
    """

    figure: str
    value: float | None
    aim: float
    reached: bool
    possible: float | None = None
    by_chance: float | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """`judge` is whose figures are compared with the aims: the models where there are any, else the rules."""

    judge: str
    fitted_on: str
    tuning_seeds: tuple[int, ...]
    evaluation_seeds: tuple[int, ...]
    horizon_hours: int
    aims: tuple[Aim, ...]
    labeled: tuple[Field, ...]
    real: tuple[Field, ...]
    jumps: tuple[Found, ...]


def evaluate(models: Models, settings: Settings, progress: Progress, real: Sequence[Field] = ()) -> Evaluation:
    """All labeled markets, and volatility that jumps; `real` is put beside them."""
    labeled = tuple(of_world(world, models, settings, progress) for world in WORLDS.values())
    progress("jumps of volatility")
    return of_fields(models, labeled, tuple(real), look_for_jumps(settings))


def of_fields(
    models: Models, labeled: tuple[Field, ...], real: tuple[Field, ...], jumps: tuple[Found, ...] = ()
) -> Evaluation:
    """What was found, with the aims where there are labeled markets."""
    judge = MODELS if any(MODELS in field.judges for field in (*labeled, *real)) else RULES
    return Evaluation(
        judge=judge,
        fitted_on=models.fitted_on,
        tuning_seeds=TUNING_SEEDS if labeled else (),
        evaluation_seeds=EVALUATION_SEEDS if labeled else (),
        horizon_hours=HORIZON_HOURS,
        aims=tuple(_aims(judge, labeled, jumps)) if labeled else (),
        labeled=labeled,
        real=real,
        jumps=jumps,
    )


def _aims(judge: str, labeled: Sequence[Field], jumps: Sequence[Found]) -> list[Aim]:
    both = [(field.judges[judge], field.judges[CEILING]) for field in labeled if judge in field.judges]
    ours, best = [mine for mine, _ in both], [ceiling for _, ceiling in both]
    flags, possible = _flagged(ours), _flagged(best)
    doubled = next((each for each in jumps if each.alarm == WARNED_ALARM), None)
    aims = [
        _aim(f"accuracy of the {name}", _accuracy(ours, kind), 0.80, _accuracy(best, kind))
        for name, kind in (("trend", "trend"), ("state of volatility", "stress"))
    ]
    aims.append(
        _aim(
            f"changes of trend flagged in the {HORIZON_HOURS} hours before, with an alarm on {FALSE_ALARM_RATE:.0%} of quiet bars",
            flags["share"],
            0.60,
            possible["share"],
            flags["by_chance"],
        )
    )
    if doubled is not None:
        value, chance = doubled.doubled_within_5_minutes, doubled.by_chance
        aims.append(_aim("volatility that doubled, found within 5 minutes of data", value, 0.95, None, chance))
    return aims


def _aim(figure: str, value: float | None, aim: float, possible: float | None, by_chance: float | None = None) -> Aim:
    reached = value is not None and value >= aim
    return Aim(figure=figure, value=value, aim=aim, reached=reached, possible=possible, by_chance=by_chance)


def _accuracy(found: Sequence[Score], kind: str) -> float | None:
    """The mean over markets, each counted once."""
    given = [getattr(score, kind).accuracy for score in found]
    return float(np.mean([each.value for each in given])) if given and None not in given else None


def _flagged(found: Sequence[Score]) -> Mapping[str, float | None]:
    """Means over markets, each counted once, of what is flagged of the changes of trend."""
    levels = [at_rate(score) for score in found]
    flags = [each.trend for each in levels if each is not None]
    shares = [(each.share, each.by_chance) for each in flags if each.share is not None and each.by_chance is not None]
    if not shares:
        return {"share": None, "by_chance": None}
    share, by_chance = np.mean(shares, axis=0).tolist()
    return {"share": share, "by_chance": by_chance}


def at_rate(score: Score, rate: float = FALSE_ALARM_RATE) -> Ahead | None:
    """What is flagged at that rate of false alarms on the tuning series; None of those who give no probability."""
    return next((each for each in score.ahead if each.rate == rate), None)


def as_json(found: Evaluation) -> dict[str, Any]:
    """Plain values; what is undefined is None."""
    told: dict[str, Any] = msgspec.to_builtins(found)
    return told
