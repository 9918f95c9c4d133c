"""The slope of a weighted average: long while it climbs by a twentieth of an ATR a bar or more, short while it falls so."""

from __future__ import annotations

from collections.abc import Mapping

from signals.api import Atr, Context, Direction, Feature, History, Opinion, Params, Signs, Strategy, Tier, Wma, signs
from signals.rules import MEDIUM, ONLY_NORMAL, significant, trades_in, trend_opinion


def features(p: Params) -> Mapping[str, Feature]:
    return {"average": Wma(p["slow"]), "atr": Atr(14)}


def decide(ctx: Context) -> Opinion | None:
    slope, atr = significant(ctx.now["average"] - ctx.before["average"], ctx.bar.close), ctx.now["atr"]
    reason = f"WMA {ctx.params['slow']} moves {slope:+.3g} a bar, ATR {atr:.3g}"
    if abs(slope) < 0.05 * atr:
        return Opinion(direction=Direction.FLAT, strength=0.0, reason=f"{reason}: flat")
    return trend_opinion(ctx, slope, full=0.2 * atr, reason=reason)


def directions(h: History) -> Signs:
    slope = significant(h.now["average"] - h.before["average"], h.close)
    return signs(slope) * ~(abs(slope) < 0.05 * h.now["atr"])


strategy = Strategy(
    id="ma_slope",
    tier=Tier.GROWTH,
    params=trades_in(ONLY_NORMAL, MEDIUM),
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=60,
)
