"""Another value for single keys of an effective configuration: how experiments name what they change."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from common.errors import ConfigError


def with_values(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `config` with `values` by dotted key, such as `portfolio.risk_per_trade`. Tables under `signals.params` may
    be new; every other key must be there.

    Raises ConfigError naming a key that does not exist. Whether a value fits is for the section's settings to say.
    """
    changed = deepcopy(dict(config))
    for key, value in values.items():
        *tables, last = key.split(".")
        at: Any = changed
        for depth, table in enumerate(tables):
            if isinstance(at, dict) and tables[:2] == ["signals", "params"] and depth >= 1:
                at = at.setdefault(table, {})
            else:
                at = at.get(table) if isinstance(at, dict) else None
        open_table = tables[:2] == ["signals", "params"]
        if not isinstance(at, dict) or (last not in at and not open_table):
            raise ConfigError(f"{key}: no such key in the configuration; `ballast config show` lists them all")
        at[last] = value
    return changed
