"""The page itself: one file that needs nothing else, opened from wherever it lies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from research.chronicle import Chronicle
from research.report import tables
from research.report.drawing import TRADES_SHOWN, drawings
from research.report.facts import Facts, gather
from research.report.groups import by_strategy, by_timeframe, by_trades, costs, refusals
from research.report.markup import card, chart, paragraphs, stack, text, when, words
from research.summary import Summary

_HERE: Final = Path(__file__).parent


def write(
    path: Path,
    config: Mapping[str, Any],
    summary: Summary,
    chronicle: Chronicle,
    *,
    trials: Sequence[float] = (),
    out_of_sample_ns: int | None = None,
    title: str = "",
) -> None:
    """Writes the report of one run to `path`, whose folder must be there.

    `summary` and `chronicle` have seen all its messages, `config` is its effective configuration. `trials` are the daily
    Sharpe ratios of every configuration known to have been tried on this data, this one among them; what closes after
    `out_of_sample_ns` was held out.
    """
    facts = gather(config, summary, chronicle, trials=trials, out_of_sample_ns=out_of_sample_ns)
    path.write_text(page(facts, title=title), encoding="utf-8")


def page(facts: Facts, *, title: str = "") -> str:
    """The whole document."""
    run = facts.config.get("run", {})
    parts = {
        "title": text(title or f"{run.get('profile', 'run')} · {run.get('data', '')}"),
        "span": text(f"{when(facts.chronicle.first_ns)[:10]} to {when(facts.chronicle.last_ns)[:10]}"),
        "style": (_HERE / "page.css").read_text(encoding="utf-8"),
        "script": (_HERE / "page.js").read_text(encoding="utf-8"),
        "data": _json(drawings(facts)),
        "warnings": paragraphs(tables.warnings(facts), "warning"),
        "figures": tables.figures(facts),
        "cards": "\n".join(_cards(facts)),
        "foot": text(f"Ballast {facts.build} · digest {facts.result['digest'][:16]}"),
    }
    template = (_HERE / "page.html").read_text(encoding="utf-8")
    pieces = template.split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, _, rest in (one.partition("}}") for one in pieces[1:]))


def _json(value: Any) -> str:
    """For a script element: nothing in it can end the element or begin a comment."""
    dumped = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return (
        dumped.replace("<", "\\u003c").replace("&", "\\u0026").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )


def _cards(facts: Facts) -> list[str]:
    chronicle = facts.chronicle
    held_out = (
        [card("In and out of sample", tables.samples(facts), wide="wide")] if facts.out_of_sample_ns is not None else []
    )
    return [
        card("Equity", chart("equity"), quiet=f"{chronicle.account_currency}, against buy and hold", wide="wide"),
        card("Drawdown", chart("drawdown"), quiet="below the highest equity so far", wide="wide"),
        card("How far to believe it", paragraphs(facts.belief.notes, "note"), wide="wide"),
        *held_out,
        card("Returns by month", tables.months(facts), quiet="percent", wide="wide"),
        card("Sharpe ratio", chart("sharpe"), quiet=f"rolling, {facts.window} days"),
        card("Exposure", chart("exposure"), quiet="share of equity at the end of the day"),
        card(
            "Trades on the price", '<div id="prices"></div>', quiet="▲ long ▼ short ○ exit; daily closes", wide="wide"
        ),
        card("Trades", '<div id="trades"></div>', quiet=_shown(chronicle), wide="wide"),
        stack(
            card(
                "By strategy",
                by_strategy(chronicle),
                quiet="on the quantity it contributed; costs are commission and financing",
            ),
            card("By timeframe", by_timeframe(chronicle), quiet="of the opinions"),
        ),
        stack(
            card(
                "By instrument",
                by_trades(chronicle, "Instrument", lambda trade: trade.instrument_id),
                quiet="after commission, without financing",
            ),
            card("By regime", by_trades(chronicle, "Regime", lambda trade: words(trade.regime)), quiet="at the entry"),
            card("By session", by_trades(chronicle, "Session", lambda trade: trade.session), quiet="at the entry"),
            card(
                "By volume",
                by_trades(chronicle, "Volume", lambda trade: words(trade.volume)),
                quiet="of the day before",
            ),
            card("Where the profit came from", tables.bridge(facts)),
        ),
        card("Deepest drawdowns", tables.deepest(facts), wide="wide"),
        card("Costs", costs(chronicle.costs), quiet=chronicle.account_currency, wide="wide"),
        card("Orders refused", refusals(chronicle.denied, "order was refused"), quiet="by the guardian", wide="wide"),
        card("Orders cut", refusals(chronicle.resized, "order was cut"), quiet="let through smaller", wide="wide"),
        card("Orders rejected", refusals(chronicle.rejected, "order was rejected"), quiet="by the venue", wide="wide"),
        card("Ladders and halts", tables.events(chronicle), wide="wide"),
        card("Data", tables.data(facts), wide="wide"),
        card("Parameters", tables.parameters(facts.config), quiet="the whole effective configuration", wide="wide"),
    ]


def _shown(chronicle: Chronicle) -> str:
    count = len(chronicle.all_trades())
    return f"{count:,}, from flat to flat" + (f"; the last {TRADES_SHOWN:,} are here" if count > TRADES_SHOWN else "")
