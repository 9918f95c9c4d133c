"""A page of cards and tables in the style of the reports, without a script: one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from research.report.markup import paragraphs, text

_HERE: Final = Path(__file__).parent
_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Ballast: {title}</title>
<style>
{style}</style>
</head>
<body>
<header><h1>Ballast</h1><p id="run">{title}<span class="quiet">{span}</span></p></header>
<main>
"""


def document(
    title: str,
    span: str,
    cards: Iterable[str],
    *,
    figures: Mapping[str, str] | None = None,
    warnings: Sequence[str] = (),
    foot: str = "",
) -> str:
    """The whole document. `cards` are HTML (see `markup.card`), everything else is text."""
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    shown = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in (figures or {}).items()
    )
    parts = [_HEAD.format(title=text(title), span=text(span), style=style)]
    if warnings:
        parts.append(f'<section class="warnings wide">{paragraphs(warnings, "warning")}</section>')
    if shown:
        parts.append(f'<section class="figures wide" aria-label="Key figures"><dl>{shown}</dl></section>')
    return "\n".join([*parts, *cards, f'</main>\n<footer class="quiet">{text(foot)}</footer>\n</body>\n</html>\n'])


class Run(NamedTuple):
    """Some cells of a strip that are alike: what they say when pointed at, and how bad they are in [0, 1]."""

    words: str
    badness: float
    cells: int = 1


def strip(runs: Sequence[Run], *, height: int = 26) -> str:
    """A row of colored cells, from left to right."""
    shapes, place = [], 0
    for run in runs:
        color = "bad" if run.badness > 0.5 else "warn" if run.badness else "good"
        opacity = f"{0.25 + 0.75 * run.badness:.2f}"
        shapes.append(
            f'<rect x="{place}" width="{run.cells}" height="1" fill="var(--{color})" opacity="{opacity}">'
            f"<title>{text(run.words)}</title></rect>"
        )
        place += run.cells
    label = f"{runs[0].words} … {runs[-1].words}" if runs else "nothing"
    return (
        f'<svg role="img" aria-label="{text(label)}" viewBox="0 0 {max(1, place)} 1" preserveAspectRatio="none"'
        f' width="100%" height="{height}">{"".join(shapes)}</svg>'
    )
