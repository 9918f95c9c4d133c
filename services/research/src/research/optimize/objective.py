"""What a search is after: metrics to make large, and conditions that a result has to meet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

import msgspec

from common.errors import ConfigError
from research.optimize.measure import METRICS

Metrics = Mapping[str, float | None]

OBJECTIVES: Final[Mapping[str, tuple[str, int]]] = {  # by name: the metric, and +1 where more is better
    "sharpe": ("sharpe", 1),
    "sortino": ("sortino", 1),
    "calmar": ("calmar", 1),
    "return": ("return", 1),
    "drawdown": ("max_drawdown", -1),
}
_OPERATORS: Final = {"<": -1, "<=": -1, ">": 1, ">=": 1}
_CONDITION: Final = re.compile(r"\s*([a-z_]+)\s*(<=|>=|<|>)\s*([-+0-9.eE]+)\s*")


class Constraint(msgspec.Struct, frozen=True):
    """Such as max_drawdown < 0.1 or trades >= 30."""

    metric: str
    operator: str
    bound: float

    def violation(self, metrics: Metrics) -> float:
        """By how much it is missed: <= 0 where it is met, as Optuna wants it; infinite for what is undefined."""
        value = metrics[self.metric]
        if value is None:
            return inf
        short = (self.bound - value) * _OPERATORS[self.operator]
        # Exactly at the bound: met by >= and <=, missed by > and < by the least there is.
        return short if short or "=" in self.operator else 5e-324

    def __str__(self) -> str:
        return f"{self.metric} {self.operator} {self.bound:g}"


def objective(text: str) -> str:
    """The name of an objective; "-drawdown" and "drawdown" both mean a small one. Raises ConfigError."""
    name = text.removeprefix("-") if text == "-drawdown" else text
    if name not in OBJECTIVES:
        raise ConfigError(f"--objective {text}: expected one of {', '.join(OBJECTIVES)}")
    return name


def constraint(text: str) -> Constraint:
    """Of "max_drawdown < 0.10". Raises ConfigError naming what is wrong with it."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ConfigError(f"--constraint {text}: expected a condition such as max_drawdown<0.10 or trades>=30")
    if found[1] not in METRICS:
        raise ConfigError(f"--constraint {text}: {found[1]} is no metric; expected one of {', '.join(METRICS)}")
    try:
        return Constraint(found[1], found[2], float(found[3]))
    except ValueError:
        raise ConfigError(f"--constraint {text}: {found[3]} is no number; expected one such as 0.10") from None


def score(name: str, metrics: Metrics) -> float | None:
    """The objective's value, more being better (so a drawdown is negative). None where undefined."""
    metric, sign = OBJECTIVES[name]
    value = metrics[metric]
    return None if value is None else sign * value


def violations(constraints: Sequence[Constraint], metrics: Metrics) -> list[float]:
    """One number per constraint; finite, so that it can be stored."""
    return [min(each.violation(metrics), 1e308) for each in constraints]
