"""Writes the table in docs/metrics.md: every metric with its labels, its unit, who exports it and what it means.

python tools/metrics.py          write
python tools/metrics.py --check  say whether it is out of date; exit code 1 if it is

All of it comes from `common.runtime.metrics`; what stands above the mark in the page is written by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from common.runtime.catalogue import Metric
from common.runtime.metrics import METRICS, SERVICES

PAGE = Path(__file__).parent.parent / "docs/metrics.md"
MARK = "<!-- From here on written by `make metrics`. -->\n"


def page(above: str) -> str:
    """`above` is what is written by hand."""
    head = "\n| metric | type | labels | unit | services | meaning |\n|---|---|---|---|---|---|\n"
    return above + MARK + head + "".join(map(_row, METRICS))


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    cells = (f"`{metric.name}`", metric.kind, labels, metric.unit, _services(metric.services), metric.help)
    return f"| {' | '.join(cells)} |\n"


def _services(services: tuple[str, ...]) -> str:
    missing = [name for name in SERVICES if name not in services]
    if len(missing) > len(SERVICES) // 2:
        return ", ".join(services)
    return f"all but {', '.join(missing)}" if missing else "all"


def main(arguments: list[str]) -> int:
    old = PAGE.read_text()
    new = page(old.partition(MARK)[0])
    if "--check" in arguments:
        if old != new:
            print("docs/metrics.md is out of date; run `make metrics`", file=sys.stderr)
        return int(old != new)
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
