"""Buys the dip that ends: in a slow trend, price crosses back over the fast average in the trend's direction.

Out when price has crossed the slow average; in between the last opinion stands.
"""

from __future__ import annotations

from collections.abc import Mapping

from signals.api import Context, Direction, Feature, Opinion, Params, Sma, Strategy, Tier
from signals.rules import NORMAL, trend_opinion


def features(p: Params) -> Mapping[str, Feature]:
    return {"fast": Sma(p["fast"]), "slow": Sma(p["slow"])}


def decide(ctx: Context) -> Opinion | None:
    close, fast, slow = ctx.bar.close, ctx.now["fast"], ctx.now["slow"]
    over, was_over = close - fast, ctx.prev_close - ctx.before["fast"]
    reason = f"close {close:.6g}, SMA {ctx.params['fast']} at {fast:.6g}, SMA {ctx.params['slow']} at {slow:.6g}"
    if (close - slow) * (ctx.prev_close - ctx.before["slow"]) <= 0:
        return Opinion(direction=Direction.FLAT, strength=0.0, reason=f"{reason}: the slow average is crossed")
    if over * was_over <= 0 and over * (fast - slow) > 0 and over * (close - slow) > 0:
        return trend_opinion(ctx, over, full=0.0, reason=f"{reason}: a pullback ends")
    return None


strategy = Strategy(
    id="pullback",
    tier=Tier.TACTICAL,
    params={NORMAL: {"fast": 20, "slow": 200}},
    features=features,
    decide=decide,
    hold_bars=20,
)
