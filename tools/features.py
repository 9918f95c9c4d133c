"""Writes docs/features.md: every requirement id, and the tests that prove it.

python tools/features.py          write
python tools/features.py --check  say whether it is out of date; exit code 1 if it is
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
SPEC = ROOT / "docs/spec_ids.toml"
PAGE = ROOT / "docs/features.md"
TEST_FOLDERS = ("libs", "services", "cli", "tests")

Proofs = dict[str, dict[str, int]]  # requirement id -> test file -> tests in it

HEADER = """\
# Features

What Ballast is to do, by requirement, and the tests that prove it; a test proves what its name says, which may be a part
of the requirement. Written by `make features` from [spec_ids.toml](spec_ids.toml) and the tests' markers.
"""


def proofs() -> Proofs:
    """Counts the tests marked `@pytest.mark.req(...)`, on the function or for the whole file (`pytestmark`)."""
    found: Proofs = {}
    paths = (path for folder in TEST_FOLDERS for path in (ROOT / folder).rglob("test_*.py"))
    for path in sorted(paths):
        tree = ast.parse(path.read_text(), filename=str(path))
        for requirement in _marked(tree):
            files = found.setdefault(requirement, {})
            name = path.relative_to(ROOT).as_posix()
            files[name] = files.get(name, 0) + 1
    return found


def _marked(tree: ast.Module) -> Iterator[str]:
    """One id for each test and each requirement it proves."""
    of_file = [
        requirement
        for node in tree.body
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "pytestmark" for target in node.targets)
        for requirement in _ids(node.value)
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            own = [requirement for decorator in node.decorator_list for requirement in _ids(decorator)]
            yield from dict.fromkeys((*of_file, *own))


def _ids(node: ast.expr) -> Iterator[str]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.req":
            yield from (str(ast.literal_eval(argument)) for argument in call.args)


def page(spec: Mapping[str, Mapping[str, str]], proved: Proofs) -> str:
    """The whole of docs/features.md."""
    known = [requirement for area in spec.values() for requirement in area]
    done = sum(requirement in proved for requirement in known)
    lines = [HEADER, f"Requirements with tests: {done} of {len(known)}."]
    for area, titles in spec.items():
        lines += ["", f"## {area}", "", "| id | what | state |", "|---|---|---|"]
        lines += [
            f"| {requirement} | {title} | {_state(proved.get(requirement))} |" for requirement, title in titles.items()
        ]
    return "\n".join(lines) + "\n"


def _state(files: Mapping[str, int] | None) -> str:
    if not files:
        return "not yet"
    tests = sum(files.values())
    links = ", ".join(f"[{name.rpartition('/')[2]}](../{name})" for name in files)
    return f"proved by {tests} test{'s' if tests > 1 else ''}: {links}"


def main(arguments: list[str]) -> int:
    spec = tomllib.loads(SPEC.read_text())
    proved = proofs()
    if unknown := sorted(set(proved) - {requirement for area in spec.values() for requirement in area}):
        print(f"tests name requirements that do not exist: {', '.join(unknown)}", file=sys.stderr)
        return 1
    text = page(spec, proved)
    if "--check" in arguments:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/features.md is out of date; run `make features`", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
