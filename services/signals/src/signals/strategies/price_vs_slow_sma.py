"""Long above a rising slow average, short below a falling one; otherwise flat."""

from __future__ import annotations

from collections.abc import Mapping

from signals.api import Atr, Context, Direction, Feature, History, Opinion, Params, Signs, Sma, Strategy, Tier, signs
from signals.rules import ALWAYS, SLOW, trades_in, trend_opinion


def features(p: Params) -> Mapping[str, Feature]:
    return {"slow": Sma(p["slow"]), "atr": Atr(14)}


def decide(ctx: Context) -> Opinion | None:
    slow, slope = ctx.now["slow"], ctx.now["slow"] - ctx.before["slow"]
    gap = ctx.bar.close - slow
    reason = f"close {ctx.bar.close:.6g}, SMA {ctx.params['slow']} at {slow:.6g} with slope {slope:+.3g}"
    if gap * slope <= 0:
        return Opinion(direction=Direction.FLAT, strength=0.0, reason=f"{reason}: side and slope disagree")
    return trend_opinion(ctx, gap, full=5 * ctx.now["atr"], reason=reason)


def directions(h: History) -> Signs:
    gap, slope = h.close - h.now["slow"], h.now["slow"] - h.before["slow"]
    return signs(gap) * ~(gap * slope <= 0)


strategy = Strategy(
    id="price_vs_slow_sma",
    tier=Tier.CORE,
    params=trades_in(ALWAYS, SLOW),
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=250,
)
