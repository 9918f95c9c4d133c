"""Long above a rising slow average, short below a falling one; otherwise flat."""

from __future__ import annotations

from collections.abc import Mapping

from signals.api import Atr, Context, Direction, Feature, History, Opinion, Params, Signs, Sma, Strategy, Tier, signs
from signals.rules import ALWAYS, SLOW, significant, trades_in, trend_opinion


def features(p: Params) -> Mapping[str, Feature]:
    return {"slow": Sma(p["slow"]), "atr": Atr(14)}


def decide(ctx: Context) -> Opinion | None:
    close, slow = ctx.bar.close, ctx.now["slow"]
    gap, slope = significant(close - slow, close), significant(slow - ctx.before["slow"], close)
    reason = f"close {close:.6g}, SMA {ctx.params['slow']} at {slow:.6g} with slope {slope:+.3g}"
    if gap * slope <= 0:
        return Opinion(direction=Direction.FLAT, strength=0.0, reason=f"{reason}: side and slope disagree")
    return trend_opinion(ctx, gap, full=5 * ctx.now["atr"], reason=reason)


def directions(h: History) -> Signs:
    gap = significant(h.close - h.now["slow"], h.close)
    slope = significant(h.now["slow"] - h.before["slow"], h.close)
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
