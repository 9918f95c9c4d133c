"""Writes the reference in docs/configuration.md: every key with its default, its bounds and what it means.

python tools/configuration.py          write
python tools/configuration.py --check  say whether it is out of date; exit code 1 if it is

All of it comes from the settings of the services; what stands above the mark in the page is written by hand.
"""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from ballast_cli.configuration import SECTIONS

PAGE = Path(__file__).parent.parent / "docs/configuration.md"
MARK = "<!-- From here on written by `make configuration`. -->\n"
NO_DEFAULT = "required"
BOUNDS = (("gt", "> {}"), ("ge", "≥ {}"), ("lt", "< {}"), ("le", "≤ {}"))
NOTES = {
    "run": "Not for files: `ballast up` and `ballast backtest` write it from their arguments.\n",
    "signals": "Give a table such as `[signals.stress]` whole: its four keys belong together.\n",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One row of a table."""

    name: str
    default: str
    allowed: str
    meaning: str


def page(above: str) -> str:
    """`above` is what is written by hand."""
    return above + MARK + "".join(f"\n{part}" for name, kind in SECTIONS.items() for part in _section(name, kind))


def _section(name: str, kind: type[msgspec.Struct]) -> Iterator[str]:
    yield f"## [{name}]\n"
    if name in NOTES:
        yield NOTES[name]
    found = list(keys(kind))
    rows = [f"| `{key.name}` | {key.default} | {key.allowed} | {key.meaning} |\n" for key in found]
    yield "".join(("| key | default | allowed | meaning |\n|---|---|---|---|\n", *rows))
    for key, tables in _lists(kind):
        if tables:
            yield f"Default of `{key}`:\n"
            yield "```toml\n" + "\n".join(_tables(f"{name}.{key}", tables)) + "```\n"


def keys(
    kind: type[msgspec.Struct],
    prefix: str = "",
    given: msgspec.Struct | None = None,
    shown: set[type[msgspec.Struct]] | None = None,
) -> Iterator[Key]:
    """All keys below `kind`, nested ones with a dotted name, those of a list's tables after `[]`, once for lists of the same
    kind (`shown`). Values of `given` stand for the defaults.
    """
    shown = set() if shown is None else shown
    for field in _fields(kind):
        name, inner = f"{prefix}{field.encode_name}", _bare(field.type)
        default = getattr(given, field.name) if given else _default(field)
        if isinstance(inner, inspect.StructType):
            yield from keys(inner.cls, f"{name}.", default, shown)
            continue
        item = _item(inner)
        yield Key(name, "below" if item else _toml_code(default), _allowed(field.type), _meaning(field.type))
        if item and item.cls not in shown:
            shown.add(item.cls)
            yield from keys(item.cls, f"{name}[].", None, shown)


def _lists(
    kind: type[msgspec.Struct], prefix: str = "", given: msgspec.Struct | None = None
) -> Iterator[tuple[str, Any]]:
    """Every list of tables below `kind`, with its default."""
    for field in _fields(kind):
        name, inner = f"{prefix}{field.encode_name}", _bare(field.type)
        default = getattr(given, field.name) if given else _default(field)
        if isinstance(inner, inspect.StructType):
            yield from _lists(inner.cls, f"{name}.", default)
        elif _item(inner):
            yield name, default


def _fields(kind: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    return described.fields


def _default(field: inspect.Field) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _bare(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _item(kind: inspect.Type) -> inspect.StructType | None:
    """What a list of tables consists of; None for anything else."""
    inner = _bare(kind)
    item = inner.item_type if isinstance(inner, inspect.VarTupleType) else None
    return item if isinstance(item, inspect.StructType) else None


def _meaning(kind: inspect.Type) -> str:
    text = (kind.extra_json_schema or {}).get("description", "") if isinstance(kind, inspect.Metadata) else ""
    return text[:1].upper() + text[1:].removesuffix(".")


def _allowed(kind: inspect.Type) -> str:
    match _bare(kind):
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.IntType() as number:
            return ", ".join(("whole number", *_bounds(number)))
        case inspect.FloatType() | inspect.DecimalType() as number:
            return ", ".join(("number", *_bounds(number)))
        case inspect.StrType(pattern=pattern):
            return f"text like `{pattern}`" if pattern else "text"
        case inspect.EnumType(cls=cls):
            return ", ".join(_toml_code(value) for value in cls)
        case inspect.LiteralType(values=values):
            return ", ".join(_toml_code(value) for value in values)
        case inspect.UnionType(types=types):
            return ", or ".join(_allowed(one) for one in types if not isinstance(one, inspect.NoneType)) + ", or none"
        case inspect.DictType(key_type=key, value_type=value):
            return f"table: {_allowed(key)} = {_allowed(value)}"
        case inspect.VarTupleType(item_type=inspect.StructType()):
            return "list of tables"
        case inspect.VarTupleType(item_type=item):
            return f"list of: {_allowed(item)}"
    raise TypeError(f"{kind}: no words for this type yet")


def _bounds(number: inspect.Type) -> Iterator[str]:
    for name, words in BOUNDS:
        if (bound := getattr(number, name, None)) is not None:
            yield words.format(f"{bound:,}")


def _tables(name: str, values: tuple[msgspec.Struct, ...]) -> Iterator[str]:
    """A list of tables as TOML, without the keys that have their default."""
    for value in values:
        yield f"[[{name}]]"
        for field in _fields(type(value)):
            if (content := getattr(value, field.name)) != _default(field):
                yield f"{field.encode_name} = {_toml(content)}"
        yield ""


def _toml_code(value: Any) -> str:
    if value is msgspec.NODEFAULT:
        return NO_DEFAULT
    return "none" if value is None else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case enum.Enum() | str():
            return json.dumps(value)
        case dict():
            return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }" if value else "{}"
        case tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)


def undocumented() -> list[str]:
    """Keys of which nobody says what they mean."""
    return [f"{name}.{key.name}" for name, kind in SECTIONS.items() for key in keys(kind) if not key.meaning]


def main(arguments: list[str]) -> int:
    if missing := undocumented():
        print(f"no description in their settings.py: {', '.join(missing)}", file=sys.stderr)
        return 1
    old = PAGE.read_text()
    new = page(old.partition(MARK)[0])
    if "--check" in arguments:
        if old != new:
            print("docs/configuration.md is out of date; run `make configuration`", file=sys.stderr)
        return int(old != new)
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
