"""Pieces of HTML. Every text passes `text`: names and reasons are what somebody typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple, TypeAlias

from common.model.time import to_datetime

NOTHING: Final = "–"


class Cell(NamedTuple):
    """One cell of a table. `kind` is a class of the page's style, `heat` a background in [-1, 1]."""

    text: str
    kind: str = ""
    heat: float | None = None


Row: TypeAlias = Sequence[Cell | str]


def text(value: object) -> str:
    return escape(str(value))


def money(value: float | None, digits: int = 0) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def signed(value: float | None, digits: int = 0) -> Cell:
    """With its sign, colored by it."""
    if value is None:
        return Cell(NOTHING, "num")
    shown = f"{value:+,.{digits}f}"
    return Cell(shown, f"num {sense(value)}")


def percent(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value * 100:,.{digits}f} %"


def ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.2f}"


def number(value: object) -> Cell:
    return Cell(str(value), "num")


def sense(value: float | None) -> str:
    """The class that colors a value by its sign."""
    return "" if not value else "up" if value > 0 else "down"


def when(ts_ns: int) -> str:
    """`2017-01-03 14:15`; a midnight is the day alone."""
    if not ts_ns:
        return NOTHING
    shown = f"{to_datetime(ts_ns):%Y-%m-%d %H:%M}"
    return shown.removesuffix(" 00:00")


def table(head: Sequence[str], rows: Iterable[Row], *, nothing: str) -> str:
    """A heading stands to the right where the first row's cell is a number."""
    filled = list(rows)
    if not filled:
        return f'<p class="empty">{text(nothing)}</p>'
    kinds = ["num" if isinstance(cell, Cell) and cell.kind.startswith("num") else "" for cell in filled[0]]
    heads = "".join(f'<th class="{kind}">{text(name)}</th>' for name, kind in zip(head, kinds, strict=True))
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in filled)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def card(title: str, body: str, *, quiet: str = "", wide: str = "") -> str:
    extra = f' <span class="quiet">{text(quiet)}</span>' if quiet else ""
    return f'<section class="card {wide}"><h2>{text(title)}{extra}</h2>{body}</section>'


def stack(*cards: str) -> str:
    """Cards below each other in one column."""
    return f'<div class="stack">{"".join(cards)}</div>'


def words(name: str) -> str:
    """`trending up` of `TRENDING_UP`."""
    return name.lower().replace("_", " ")


def chart(name: str) -> str:
    """A place that the page's script draws series `name` into."""
    return f'<figure class="chart" data-chart="{text(name)}"></figure>'


def paragraphs(lines: Iterable[str], kind: str) -> str:
    return "".join(f'<p class="{kind}">{text(line)}</p>' for line in lines)


def _cell(cell: Cell | str) -> str:
    cell = Cell(cell) if isinstance(cell, str) else cell
    kind = f' class="{cell.kind}"' if cell.kind else ""
    if cell.heat is None:
        return f"<td{kind}>{text(cell.text)}</td>"
    color, share = ("good", cell.heat) if cell.heat >= 0 else ("bad", -cell.heat)
    strength = round(min(1.0, share) * 45)
    style = f"background:color-mix(in srgb,var(--{color}) {strength}%,transparent)"
    return f'<td{kind} style="{style}">{text(cell.text)}</td>'
