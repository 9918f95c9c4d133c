"""The findings as one HTML page that needs nothing else, in the style of the report pages; light or dark as the reader has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any, Final

from ballast_cli.readiness.run import verdict
from research.report.markup import Cell, Row, card, paragraphs, table, text

_HEAD: Final = ("Check", "Result", "Seconds", "Done", "Seen", "Limit")
_WORDS: Final = {True: Cell("pass", "up"), False: Cell("FAIL", "down"), None: Cell("left out", "names")}


def page(result: Mapping[str, Any]) -> str:
    """The whole document, of what `run` returns."""
    checks = result["checks"]
    counts = f"{result['passed']} passed, {result['failed']} failed, {result['left_out']} left out"
    parts = {
        "title": text(f"{verdict(result)}: {counts}"),
        "span": text(f"{result['began']}, {result['took_s']:g} s, {result['home']}"),
        "style": (files("research.report") / "page.css").read_text(encoding="utf-8"),
        "warnings": paragraphs(_warnings(result), "warning"),
        "cards": card("Checks", table(_HEAD, map(_row, checks), nothing="none"), quiet=counts, wide="wide"),
        "foot": text(f"Ballast {result['build']} · contracts {result['contracts']}"),
    }
    pieces = (files("ballast_cli.readiness") / "page.html").read_text(encoding="utf-8").split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, _, rest in (one.partition("}}") for one in pieces[1:]))


def _warnings(result: Mapping[str, Any]) -> Iterable[str]:
    yield from (f"{check['title']}: {check['saw']}" for check in result["checks"] if check["passed"] is False)
    yield from (f"Not left as it was found: {what}" for what in result["not_restored"])


def _row(check: Mapping[str, Any]) -> Row:
    took = Cell(f"{check['took_s']:.2f}", "num")
    return (
        check["title"],
        _WORDS[check["passed"]],
        took,
        *(Cell(check[name], "why") for name in ("did", "saw", "limit")),
    )
