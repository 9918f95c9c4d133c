"""MACD against its signal line: long above, short below."""

from __future__ import annotations

from collections.abc import Mapping

from signals.api import Atr, Context, Feature, History, Macd, MacdSignal, Opinion, Params, Signs, Strategy, Tier, signs
from signals.rules import NORMAL, significant, trend_opinion


def features(p: Params) -> Mapping[str, Feature]:
    return {
        "line": Macd(p["fast"], p["slow"]),
        "signal": MacdSignal(p["fast"], p["slow"], p["signal"]),
        "atr": Atr(14),
    }


def decide(ctx: Context) -> Opinion | None:
    line, signal = ctx.now["line"], ctx.now["signal"]
    reason = f"MACD {line:+.3g}, its signal {signal:+.3g}"
    return trend_opinion(ctx, significant(line - signal, ctx.bar.close), full=0.25 * ctx.now["atr"], reason=reason)


def directions(h: History) -> Signs:
    return signs(significant(h.now["line"] - h.now["signal"], h.close))


strategy = Strategy(
    id="macd_signal",
    tier=Tier.TACTICAL,
    params={NORMAL: {"fast": 12, "slow": 26, "signal": 9}},
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=20,
)
