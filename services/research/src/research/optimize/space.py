"""What a search may change: a TOML file of dotted keys of the configuration, each with its range.

```toml
[portfolio.risk_per_trade]
kind = "log"          # float or int with low and high (both included), log (float, on a logarithmic scale) or choice
low = 0.001
high = 0.004
```
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite, log
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from common.errors import ConfigError
from common.runtime.settings import profile_names
from research.backtest import cores
from research.overrides import with_values

SPACES: Final = Path(__file__).parent / "spaces"
Value = bool | int | float | str


class Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key's range. `step` makes a float or int a grid from `low`."""

    kind: Literal["int", "float", "log", "choice"]
    low: float | None = None
    high: float | None = None
    step: Annotated[float, Meta(gt=0)] | None = None
    choices: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError saying what was expected."""
        if self.kind == "choice":
            if len(self.choices) < 2 or len(set(map(repr, self.choices))) < len(self.choices):
                raise ValueError("expected at least two different `choices`")
            if self.low is not None or self.high is not None or self.step is not None:
                raise ValueError("expected only `choices` beside the kind `choice`")
            return
        if self.choices:
            raise ValueError(f"expected `choices` only with the kind `choice`, not with {self.kind!r}")
        if self.low is None or self.high is None or not isfinite(self.low + self.high) or self.low >= self.high:
            raise ValueError(f"expected low < high, got low {self.low!r}, high {self.high!r}")
        if self.kind == "int" and any(number % 1 for number in (self.low, self.high, self.step or 1.0)):
            raise ValueError("expected whole numbers for the kind `int`")
        if self.step is not None and (_exact(self.high) - _exact(self.low)) % _exact(self.step):
            raise ValueError(f"expected a step that divides high - low, got {self.step!r}")
        if self.kind == "log" and (self.low <= 0 or self.step is not None):
            raise ValueError("expected low > 0 and no step for the kind `log`")

    def distribution(self) -> Any:
        """As Optuna knows it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.kind == "choice":
            return CategoricalDistribution(self.choices)
        low, high = self._bounds()
        if self.kind == "int":
            return IntDistribution(int(low), int(high), step=int(self.step or 1))
        return FloatDistribution(low, high, step=self.step, log=self.kind == "log")

    def ends(self) -> tuple[Value, ...]:
        """The values at its edges; all of a choice."""
        return self.choices if self.kind == "choice" else tuple(self.value(at) for at in (0.0, 1.0))

    def place(self, value: Value) -> float | None:
        """Where in [0, 1] a value lies; None for a choice and for what is outside."""
        if self.kind == "choice" or isinstance(value, bool | str):
            return None
        low, high = self._bounds()
        if not low <= value <= high:
            return None
        if self.kind == "log":
            return log(value / low) / log(high / low)
        return (value - low) / (high - low)

    def value(self, place: float) -> Value:
        """The value nearest to `place` in [0, 1] that the range has; `place(value(x))` is x up to its grain."""
        low, high = self._bounds()
        if self.kind == "log":
            return float(min(max(low * (high / low) ** place, low), high))
        raw = low + place * (high - low)
        step = self.step or (1.0 if self.kind == "int" else None)
        if step is not None:
            raw = low + round((raw - low) / step) * step
        return int(raw) if self.kind == "int" else min(raw, high)

    @property
    def grain(self) -> float:
        """The smallest difference in [0, 1] between two of its values; 0 where there is none."""
        low, high = self._bounds()
        step = self.step or (1.0 if self.kind == "int" else 0.0)
        return min(1.0, step / (high - low))

    def _bounds(self) -> tuple[float, float]:
        assert self.low is not None  # a range always has both: see __post_init__
        assert self.high is not None
        return self.low, self.high


Space = Mapping[str, Parameter]


def shipped(profile: str) -> Path:
    """The file for a profile that ships. Raises ConfigError where there is none."""
    path = SPACES / f"{profile}.toml"
    if not path.is_file():
        raise ConfigError(f"--profile {profile}: ships no search space; expected one of {', '.join(profile_names())}")
    return path


def load(path: Path) -> dict[str, Parameter]:
    """By dotted key, in the order of the file. Raises ConfigError with file, key, value and expectation."""
    try:
        plain = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    found: dict[str, Parameter] = {}
    _gather(path, "", plain, found)
    if not found:
        raise ConfigError(f"{path}: empty; expected at least one table [dotted.key] with a kind")
    return found


def check(path: Path, space: Space, config: Mapping[str, Any]) -> None:
    """Raises ConfigError for a key that the configuration does not have and for edges that its settings refuse."""
    for key, parameter in space.items():
        for value in parameter.ends():
            try:
                cores(with_values(config, {key: value}))
            except ConfigError as error:
                raise ConfigError(f"{path}: [{key}]: {value!r} is in its range, but: {error}") from error


def present(space: Space, config: Mapping[str, Any]) -> dict[str, Value]:
    """The values that `config` has now, of those keys of the space of which it says one inside the range."""
    found: dict[str, Value] = {}
    for key, parameter in space.items():
        value = _look_up(config, key)
        if value is None:
            continue
        inside = value in parameter.choices if parameter.kind == "choice" else parameter.place(value) is not None
        if inside:
            found[key] = value
    return found


def _gather(path: Path, prefix: str, table: Mapping[str, Any], found: dict[str, Parameter]) -> None:
    """A table with a `kind` that is no table is a parameter, any other one a part of a key."""
    for name, value in table.items():
        key = f"{prefix}{name}"
        if not isinstance(value, dict):
            raise ConfigError(f"{path}: {key} = {value!r}: expected a table with a kind, or tables below it")
        if not isinstance(value.get("kind", {}), dict):
            try:
                found[key] = msgspec.convert(value, Parameter)
            except msgspec.ValidationError as error:
                raise ConfigError(f"{path}: [{key}]: {value!r}: {error}") from None
            continue
        if not value:
            raise ConfigError(f"{path}: [{key}]: empty; expected a kind")
        _gather(path, f"{key}.", value, found)


def _exact(number: float) -> Decimal:
    """As it was written."""
    return Decimal(repr(number))


def _look_up(config: Mapping[str, Any], key: str) -> Any:
    """A strategy's own parameters count where the configuration names no other ones."""
    at: Any = config
    for part in key.split("."):
        at = at.get(part) if isinstance(at, dict) else None
    if at is None and key.startswith("signals.params.") and key.count(".") == 4:
        return _of_strategy(config, key)
    return at


def _of_strategy(config: Mapping[str, Any], key: str) -> Any:
    from signals.loader import load_strategies
    from signals.settings import Settings

    name, state, parameter = key.removeprefix("signals.params.").split(".", 2)
    for strategy in load_strategies(msgspec.convert(config["signals"], Settings)):
        if strategy.id == name:
            return next((values.get(parameter) for at, values in strategy.params.items() if at == state), None)
    return None
