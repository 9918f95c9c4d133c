"""`ballast bench execution`: the execution algorithms against naive market orders, on recorded prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from research.execution_costs import execution_costs


def execution(config: Mapping[str, Any], *, orders: int, seed: int) -> dict[str, Any]:
    """What both ways of trading cost, with the data they were tried on."""
    return {"data": config["run"]["data"], **execution_costs(config, orders=orders, seed=seed)}
