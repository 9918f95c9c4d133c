"""Writes deploy/grafana/dashboards.

python -m tools.dashboards          write
python -m tools.dashboards --check  say what is out of date; exit code 1 if something is
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from tools.dashboards.execution import execution
from tools.dashboards.market_data import market_data
from tools.dashboards.overview import overview
from tools.dashboards.risk import risk
from tools.dashboards.servers import servers
from tools.dashboards.services import services
from tools.dashboards.trading import trading

FOLDER = Path(__file__).parents[2] / "deploy/grafana/dashboards"
DASHBOARDS = (overview, trading, risk, execution, market_data, services, servers)


def files() -> dict[str, str]:
    """Their names and contents, the same for the same code."""
    return {f"{name(one)}.json": text(one) for one in (make() for make in DASHBOARDS)}


def name(made: Dashboard) -> str:
    return (made.uid or "").removeprefix("ballast-")


def text(made: Dashboard) -> str:
    return json.dumps(made, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    wanted = files()
    found = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    stale = sorted(path for path in wanted | found if wanted.get(path) != found.get(path))
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(
                f"deploy/grafana/dashboards/{path} is not what the code makes; run python -m tools.dashboards",
                file=sys.stderr,
            )
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in stale:
        target = FOLDER / path
        if path in wanted:
            target.write_text(wanted[path])
        else:
            target.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
