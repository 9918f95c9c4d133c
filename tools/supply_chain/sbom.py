"""The lock as a CycloneDX bill of materials: the same lock gives the same bytes, so no time and no serial number is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tools.supply_chain.licenses import Use
from tools.supply_chain.lock import Package

WORKSPACE: Final = "ballast-workspace"
OURS: Final = "Apache-2.0"
SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"
Part = dict[str, Any]


def sbom(lock: list[Package], uses: list[Use]) -> str:
    """CycloneDX 1.6 as JSON. Every component says where it is used and in which images; its files are those that the lock lets
    in, with their SHA-256.
    """
    known = {(use.name, use.version): use for use in uses}
    parts = [_component(package, known.get((package.name, package.version))) for package in lock]
    (root,) = (part for part in parts if part["name"] == WORKSPACE)
    bom = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root},
        "components": [part for part in parts if part is not root],
        "dependencies": _dependencies(lock),
    }
    return json.dumps(bom, indent=1, sort_keys=True) + "\n"


def _component(package: Package, use: Use | None) -> Part:
    shared = {
        "type": "application" if package.ours else "library",
        "name": package.name,
        "version": package.version,
        "bom-ref": _ref(package),
        "licenses": _licenses(use.license if use else OURS),
    }
    if use is None:
        return shared
    said = [("where", use.where), *(("image", image) for image in use.images)]
    return shared | {
        "purl": f"pkg:pypi/{package.name}@{package.version}",
        "scope": "excluded" if use.where == "development" else "required",
        "externalReferences": _files(package),
        "properties": [{"name": f"ballast:{name}", "value": value} for name, value in said],
    }


def _licenses(expression: str | None) -> list[Mapping[str, Any]]:
    if expression is None:
        return []
    compound = any(word in expression for word in (" AND ", " OR ", " WITH ", "LicenseRef-"))
    return [{"expression": expression} if compound else {"license": {"id": expression}}]


def _files(package: Package) -> list[Part]:
    page = f"pkg:pypi/{package.name}@{package.version}"
    return [
        {
            "type": "distribution",
            "url": page,
            "comment": name,
            "hashes": [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}],
        }
        for name, digest in sorted(package.files)
    ]


def _dependencies(lock: list[Package]) -> list[Part]:
    refs: dict[str, list[str]] = {}
    for package in lock:
        refs.setdefault(package.name, []).append(_ref(package))
    return [
        {"ref": _ref(package), "dependsOn": [ref for need in package.needs for ref in refs[need]]} for package in lock
    ]


def _ref(package: Package) -> str:
    return f"{package.name}=={package.version}"
