"""What can be switched off, one at a time, to see what it contributes (RES-03). Found in the configuration, not listed:

- every strategy that runs;
- every table with `enabled`; where the profile has it off, the comparison switches it on first;
- every ladder of the guardian that has levels;
- in `[portfolio]`, `[risk_guardian.limits]` and `[risk_guardian.streaks]` every switch that is on, and every number that is not
  0 and of which its description says that 0 is none or never;
- the strategies' adaptation to volatility.

The guardian itself is no feature: nothing switches its checks off. Nor are costs, and what guards the machinery.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import inspect

from common.runtime.settings import section
from portfolio.settings import Settings as PortfolioSettings
from research.overrides import with_values
from risk_guardian.limits import Limits
from risk_guardian.streaks import StreakSettings
from signals.loader import load_strategies
from signals.settings import Settings as SignalsSettings

_TABLES: Final[tuple[tuple[str, type[msgspec.Struct]], ...]] = (
    ("portfolio", PortfolioSettings),
    ("risk_guardian.limits", Limits),
    ("risk_guardian.streaks", StreakSettings),
)
# Not for or against any trade, but against a machine gone wrong.
_MACHINERY: Final = frozenset({"risk_guardian.limits.duplicate_window_s", "risk_guardian.limits.max_clock_jump_hours"})
_NONE_AT_ZERO: Final = re.compile(r"0: (never|none|no such limit)\b")
_LADDERS: Final = "risk_guardian.ladders"
# The largest thresholds there are: no market was ever so wild.
_NEVER_ADAPT: Final = {"regime.vol_elevated": 19.0, "regime.vol_stress": 20.0}


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """`off` are the values, by dotted key, that switch it off and nothing else."""

    name: str
    off: dict[str, Any]


def all_on(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with every table that has `enabled` switched on."""
    return with_values(config, {f"{table}.enabled": True for table, on in _enabled(config) if not on})


def features(config: Mapping[str, Any]) -> tuple[Feature, ...]:
    """What `config` has switched on, in the order of the table above. Raises ConfigError for strategies that cannot be loaded."""
    return (
        *_strategies(config),
        *(Feature(name=table, off={f"{table}.enabled": False}) for table, on in _enabled(config) if on),
        *_ladders(config),
        *_numbers_and_switches(config),
        Feature(name="adaptation to volatility", off=dict(_NEVER_ADAPT)),
    )


def _strategies(config: Mapping[str, Any]) -> Iterator[Feature]:
    ids = [strategy.id for strategy in load_strategies(section(config, "signals", SignalsSettings))]
    if len(ids) > 1:  # an empty list would mean all of them
        for name in ids:
            yield Feature(
                name=f"strategy {name}", off={"signals.strategies": [other for other in ids if other != name]}
            )


def _enabled(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Every table with the switch, by dotted name, and whether it is on."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            if isinstance(value.get("enabled"), bool):
                yield f"{prefix}{key}", value["enabled"]
            yield from _enabled(value, f"{prefix}{key}.")


def _ladders(config: Mapping[str, Any]) -> Iterator[Feature]:
    for name, levels in _at(config, _LADDERS).items():
        if levels:
            yield Feature(name=f"ladder {name}", off={f"{_LADDERS}.{name}": []})


def _numbers_and_switches(config: Mapping[str, Any]) -> Iterator[Feature]:
    for table, kind in _TABLES:
        for key, field in _fields(kind, f"{table}."):
            value = _at(config, key)
            if key in _MACHINERY or not value or key.endswith(".enabled"):
                continue
            if value is True:
                yield Feature(name=key, off={key: False})
            elif isinstance(value, int | float) and _NONE_AT_ZERO.search(_description(field.type)):
                yield Feature(name=key, off={key: type(value)(0)})


def _fields(kind: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, inspect.Field]]:
    """Fields of the struct and of those inside it, by dotted name; a table with a switch of its own is one feature."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    for field in described.fields:
        inner = field.type.type if isinstance(field.type, inspect.Metadata) else field.type
        if isinstance(inner, inspect.StructType):
            yield from _fields(inner.cls, f"{prefix}{field.encode_name}.")
        else:
            yield f"{prefix}{field.encode_name}", field


def _description(kind: inspect.Type) -> str:
    return str((kind.extra_json_schema or {}).get("description", "")) if isinstance(kind, inspect.Metadata) else ""


def _at(config: Mapping[str, Any], key: str) -> Any:
    at: Any = config
    for part in key.split("."):
        at = at[part]
    return at
