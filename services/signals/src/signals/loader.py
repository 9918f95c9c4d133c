"""Strategies from files: each file of a folder that binds `strategy` is one. Nothing is registered anywhere."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from common.errors import ConfigError
from common.isolation import place
from common.model.enums import Tier, VolState
from signals.api import Params, Strategy
from signals.settings import Settings

SHIPPED: Final = Path(__file__).parent / "strategies"


def load_strategies(settings: Settings) -> tuple[Strategy, ...]:
    """The shipped strategies and the user's, by tier and id; only those of `settings.strategies` if it names any, else all that
    are not optional.

    Raises ConfigError naming the file for a strategy that cannot be loaded, a second one with the same id, an unknown id, and
    parameters that do not fit (SIG-04).
    """
    folders = (SHIPPED, Path(settings.strategy_folder)) if settings.strategy_folder else (SHIPPED,)
    found: dict[str, tuple[Strategy, Path]] = {}
    for path in (path for folder in folders for path in _files(folder)):
        strategy = load_file(path)
        if strategy.id in found:
            raise ConfigError(f"{path}: id = {strategy.id!r} is already taken by {found[strategy.id][1]}")
        found[strategy.id] = strategy, path
    for wanted in settings.strategies:
        if wanted not in found:
            raise ConfigError(
                f"signals.strategies: {wanted!r} does not exist; expected some of {', '.join(sorted(found))}"
            )
    for named in settings.params:
        if named not in found:
            raise ConfigError(f"signals.params.{named}: no such strategy; expected some of {', '.join(sorted(found))}")
    tiers = list(Tier)
    chosen = [
        with_params(strategy, settings.params.get(strategy.id, {}))
        for strategy, _ in found.values()
        if (strategy.id in settings.strategies if settings.strategies else not strategy.optional)
    ]
    return tuple(sorted(chosen, key=lambda strategy: (tiers.index(strategy.tier), strategy.id)))


def with_params(strategy: Strategy, params: Mapping[VolState, Mapping[str, float]]) -> Strategy:
    """The strategy with other values for some of the parameters it has; the others stay.

    Raises ConfigError for a state it does not trade in, a parameter it does not have, a value its features do not take.
    """
    if not params:
        return strategy
    changed: dict[VolState, Params] = dict(strategy.params)
    for state, values in params.items():
        known = strategy.params.get(state)
        if known is None or not set(values) <= set(known):
            expected = ", ".join(f"{has}: {', '.join(names)}" for has, names in strategy.params.items())
            raise ConfigError(f"signals.params.{strategy.id}.{state}: {sorted(values)}; expected some of {expected}")
        changed[state] = {**known, **values}
    try:
        return msgspec.structs.replace(strategy, params=changed)
    except ValueError as error:
        raise ConfigError(f"signals.params.{strategy.id}: {error}") from error


def load_file(path: Path) -> Strategy:
    """The strategy of one file. Whatever its import raises becomes a ConfigError with file and line."""
    name = f"ballast_strategy:{path}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f"{place(error, str(path))}: {type(error).__name__}: {error}") from error
    strategy = getattr(module, "strategy", None)
    if not isinstance(strategy, Strategy):
        raise ConfigError(f"{path}: strategy = {strategy!r}: expected `strategy = Strategy(...)` at the top level")
    return strategy


def _files(folder: Path) -> Iterator[Path]:
    """Python files whose name does not begin with an underscore, by name."""
    if not folder.is_dir():
        raise ConfigError(f"signals.strategy_folder = {str(folder)!r}: expected a folder")
    return (path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_"))
