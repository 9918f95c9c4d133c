"""`ballast bench resilience`: real stress episodes with the guardian and without it (RSK-13)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from ballast_cli.configuration import effective
from ballast_cli.output import err
from common.errors import DataError

RESUME_AFTER_DAYS: Final = 1
_COLUMNS: Final = (
    ("return", "return", "{:+.2%}"),
    ("max_drawdown", "max drawdown", "{:.2%}"),
    ("degradation", "degradation", "{:.2%}"),
    ("var_breaches", "VaR breaches", "{}"),
    ("var_days", "of days", "{}"),
    ("back_after_h", "back after (h)", "{:.0f}"),
    ("whole_return", "whole run", "{:+.2%}"),
    ("whole_max_drawdown", "its max drawdown", "{:.2%}"),
)
_HEAD: Final = """# What the guardian changes in a crisis

Measured by `ballast bench resilience --data DIR --write docs/resilience.md` on real prices; nothing here is a promise.
The same strategies, sizes and costs run through each episode twice: with the guardian, and with every order waved through
(which no setting of the product can do). Spread, fees, market impact and financing are paid in both. After a halt a simulated
operator resumes after one day.

*Return*, *max drawdown* and *VaR breaches* are those of the episode; *degradation* is the loss from its first day to its
worst moment; *back after* the hours from its end until nothing is restricted any more (empty: not before the data ends).
A VaR breach is a day that lost more than the one-day 95 % VaR of the evening before.
"""


def resilience(data: Path) -> dict[str, Any]:
    """Both runs of every episode, and how much smaller loss and drawdown are with the guardian."""
    from research.resilience import EPISODES, Staged, evaluate

    rows = []
    for episode in EPISODES:
        err.print(f"{episode.name} ...", markup=False)
        with Staged(episode, data) as staged:
            if not staged.files:
                raise DataError(f"{data}: no file matches {' or '.join(episode.files)}, which {episode.name!r} needs")
            config = effective(episode.profile, data=str(staged.path), start=episode.start, end=episode.end)
            both = {
                name: evaluate(episode, config, guarded=guarded, resume_after_days=RESUME_AFTER_DAYS)
                for name, guarded in (("with", True), ("without", False))
            }
        rows.append(
            {
                "episode": episode.name,
                "profile": episode.profile,
                "from": episode.first,
                "to": episode.last,
                **both,
                "drawdown_smaller": _smaller(both, "max_drawdown"),
                "degradation_smaller": _smaller(both, "degradation"),
            }
        )
    return {"episodes": rows}


def _smaller(both: dict[str, dict[str, Any]], key: str) -> float | None:
    """By which fraction it is smaller with the guardian; negative: larger. None where there was nothing to lessen."""
    guarded, alone = both["with"].get(key), both["without"].get(key)
    return None if guarded is None or not alone else 1 - guarded / alone


def in_markdown(result: dict[str, Any]) -> str:
    """The page docs/resilience.md."""
    names = " | ".join(title for _, title, _ in _COLUMNS)
    lines = [_HEAD, f"| episode | guardian | {names} |", "|---" * (len(_COLUMNS) + 2) + "|"]
    for row in result["episodes"]:
        for which in ("with", "without"):
            cells = (_cell(row[which].get(key), shape) for key, _, shape in _COLUMNS)
            lines.append(f"| {row['episode']} ({row['profile']}) | {which} | {' | '.join(cells)} |")
    lines += ["", "| episode | drawdown smaller by | degradation smaller by |", "|---|---|---|"]
    for row in result["episodes"]:
        cells = (_cell(row[key], "{:.0%}") for key in ("drawdown_smaller", "degradation_smaller"))
        lines.append(f"| {row['episode']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: Any, shape: str) -> str:
    return "" if value is None else shape.format(value)
