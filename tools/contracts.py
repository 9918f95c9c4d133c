"""Writes libs/common/contracts: the JSON Schema of every message, and examples that must decode for ever; and common.version.

A golden file holds one envelope a line, the oldest first. It is only ever appended to: a message that gains a field
gains a line, and what was written by an older build stays readable.

    python tools/contracts.py          write what changed
    python tools/contracts.py --check  say what would change; exit code 1 if anything
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from common.messages import MESSAGES
from common.runtime import codec
from common.testing.builders import a, envelope

CONTRACTS = Path(__file__).parent.parent / "libs/common/contracts"
GOLDEN = CONTRACTS / "golden"
PROJECT = CONTRACTS.parent / "pyproject.toml"
VERSION = CONTRACTS.parent / "src/common/version.py"
_VERSION_TEXT = '''"""Which code this is. Written by tools/contracts.py: the version of the package, and a fingerprint of all message schemas."""

from __future__ import annotations

from typing import Final

BUILD: Final = "{build}"
CONTRACTS: Final = "{contracts}"
'''


def wanted() -> Iterator[tuple[Path, str]]:
    """Every file of the folder with the text it should have."""
    for name, schema in codec.schemas().items():
        yield CONTRACTS / f"{name}.json", json.dumps(schema, indent=2) + "\n"
    for kind in MESSAGES:
        path = GOLDEN / f"{kind.TYPE}.jsonl"
        kept = path.read_text() if path.exists() else ""
        line = codec.encode_envelope(envelope(a(kind))).decode() + "\n"
        yield path, kept if kept.endswith(line) else kept + line
    build = tomllib.loads(PROJECT.read_text())["project"]["version"]
    yield VERSION, _VERSION_TEXT.format(build=build, contracts=codec.fingerprint())


def stray(expected: set[Path]) -> list[Path]:
    """Schemas of messages that no longer exist. Golden files stay: whatever was once said must stay readable."""
    return sorted(path for path in CONTRACTS.glob("*.json") if path not in expected)


def main(arguments: list[str]) -> int:
    files = dict(wanted())
    changed = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    gone = stray(set(files))
    if "--check" in arguments:
        for path in (*changed, *gone):
            print(f"{path.relative_to(CONTRACTS.parent)} is out of date; run `make contracts`", file=sys.stderr)
        return 1 if changed or gone else 0
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for path in changed:
        path.write_text(files[path])
    for path in gone:
        path.unlink()
    print(f"{len(files)} files, {len(changed)} written, {len(gone)} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
