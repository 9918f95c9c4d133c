"""Configuration: one TOML profile, one optional file of the user's over it, each service's section validated at start.

Sections are `msgspec.Struct`s in the services' `settings.py`: every key has a default, a bound and a description there,
and nowhere else.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from common.errors import ConfigError

PROFILES_DIR: Final = Path(__file__).parent.parent / "profiles"
LARGEST: Final = 1e15
T = TypeVar("T")


def profile_names() -> tuple[str, ...]:
    """Profiles that ship, sorted."""
    return tuple(sorted(path.stem for path in PROFILES_DIR.glob("*.toml")))


def load(profile: str, override: Path | None = None) -> dict[str, Any]:
    """The profile with the user's file laid over it, key by key. Raises ConfigError for what cannot be read."""
    path = PROFILES_DIR / f"{profile}.toml"
    if not path.is_file():
        raise ConfigError(f"profile: {profile!r} does not exist; expected one of {', '.join(profile_names())}")
    merged = _read(path)
    return _overlay(merged, _read(override)) if override else merged


def section(config: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """The validated section `name`. Raises ConfigError naming key, value and expectation."""
    raw = config.get(name, {})
    _refuse_boundless(name, raw)
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(name, raw, str(error))) from None


def _refuse_boundless(where: str, value: Any) -> None:
    """TOML knows `inf` and `nan`, and as limits they are none at all; so is what overflows once it is in nanoseconds."""
    match value:
        case float() if not abs(value) <= LARGEST:
            raise ConfigError(f"{where} = {value!r}: expected a finite number, at most {LARGEST:g}")
        case dict():
            for key, each in value.items():
                _refuse_boundless(f"{where}.{key}", each)
        case list() | tuple():
            for place, each in enumerate(value):
                _refuse_boundless(f"{where}.{place}", each)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _overlay(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _overlay(below[key], value)
        else:
            below[key] = value
    return below


def _explain(name: str, raw: Any, complaint: str) -> str:
    """msgspec says `Expected ... - at `$.a.b``; a user wants the key, the value found and what was expected."""
    expectation, _, path = complaint.partition(" - at ")
    path = path.partition("[...]")[0]  # msgspec does not say which key of a table it was
    value, keys = raw, re.findall(r"\.?([A-Za-z_]\w*)|\[(\d+)\]", path.strip("`").removeprefix("$"))
    for key, index in keys:
        value = value[int(index)] if index else value.get(key) if isinstance(value, dict) else value
    where = ".".join((name, *(key or index for key, index in keys)))
    if isinstance(value, dict):
        if unknown := re.search(r"unknown field `(\w+)`", expectation):
            key = unknown[1]
            return f"{where}.{key} = {value.get(key)!r}: unknown key; docs/configuration.md lists those of [{where}]"
        return f"{where}: {expectation[:1].lower()}{expectation[1:]}"
    return f"{where} = {value!r}: {expectation[:1].lower()}{expectation[1:]}"
