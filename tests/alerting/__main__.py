"""`python -m tests.alerting [--only ServiceDown,...]`: every fault of the table on a running system. Progress goes to stderr, one line of JSON
with every figure to stdout. Ends with 1 when an alert was not at the webhook in time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from tests.alerting.drill import drills
from tests.alerting.faults import FAULTS
from tests.alerting.watchmen import MISSING, installed

EXIT_UNAVAILABLE = 69


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="alerts, separated by commas")
    only = set(filter(None, parser.parse_args().only.split(",")))
    if not installed():
        sys.stderr.write(f"{MISSING}\n")
        sys.exit(EXIT_UNAVAILABLE)
    home = Path(tempfile.mkdtemp(prefix="ballast-alerts-"))
    home.chmod(0o711)
    figures = []
    try:
        for figure in drills(home, [fault for fault in FAULTS if not only or fault.alert in only]):
            figures.append(figure)
            took = "NOT IN TIME" if figure["seconds"] is None else f"{figure['seconds']:.1f} s"
            sys.stderr.write(f"{figure['fault']:32} {figure['alert']:24} {took}\n")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    sys.stdout.write(json.dumps({"drills": figures}) + "\n")
    sys.exit(any(figure["seconds"] is None for figure in figures))


if __name__ == "__main__":
    main()
