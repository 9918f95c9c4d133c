"""python -m tools.supply_chain              write docs/licenses.md
python -m tools.supply_chain --check      lock, licences, scanners; exit code 1 and a sentence for everything that is wrong
python -m tools.supply_chain --sbom FILE  write the bill of materials (CycloneDX)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.supply_chain import licenses, lock, scanners

PAGE: Final = lock.ROOT / "docs/licenses.md"


def complaints() -> Iterator[str]:
    yield from lock.complaints()
    uses = licenses.uses()
    yield from licenses.complaints(uses)
    if not PAGE.exists() or PAGE.read_text() != licenses.page(uses):
        yield "docs/licenses.md is out of date; run `python -m tools.supply_chain`"
    yield from scanners.complaints()


def main() -> int:
    parser = argparse.ArgumentParser(description="What Ballast is made of.")
    parser.add_argument("--check", action="store_true", help="complain about what is wrong")
    parser.add_argument("--sbom", metavar="FILE", type=Path, help="write the bill of materials")
    arguments = parser.parse_args()
    if arguments.check:
        found = list(complaints())
        for sentence in found:
            print(sentence, file=sys.stderr)
        return int(bool(found))
    if arguments.sbom:
        from tools.supply_chain.sbom import sbom

        packages = lock.read()
        arguments.sbom.parent.mkdir(parents=True, exist_ok=True)
        arguments.sbom.write_text(sbom(packages, licenses.uses(packages)))
        return 0
    PAGE.write_text(licenses.page(licenses.uses()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
