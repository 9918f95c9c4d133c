"""Buys the dip that ends: in a slow trend, price crosses back over the fast average in the trend's direction.

Out when price has crossed the slow average; in between the last opinion stands.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from signals.api import STANDS, Context, Direction, Feature, History, Opinion, Params, Signs, Sma, Strategy, Tier, signs
from signals.rules import NORMAL, significant, trend_opinion


def features(p: Params) -> Mapping[str, Feature]:
    return {"fast": Sma(p["fast"]), "slow": Sma(p["slow"])}


def decide(ctx: Context) -> Opinion | None:
    close, fast, slow = ctx.bar.close, ctx.now["fast"], ctx.now["slow"]
    over, was_over = significant(close - fast, close), significant(ctx.prev_close - ctx.before["fast"], close)
    above, was_above = significant(close - slow, close), significant(ctx.prev_close - ctx.before["slow"], close)
    reason = f"close {close:.6g}, SMA {ctx.params['fast']} at {fast:.6g}, SMA {ctx.params['slow']} at {slow:.6g}"
    if above * was_above <= 0:
        return Opinion(direction=Direction.FLAT, strength=0.0, reason=f"{reason}: the slow average is crossed")
    if over * was_over <= 0 and over * significant(fast - slow, close) > 0 and over * above > 0:
        return trend_opinion(ctx, over, full=0.0, reason=f"{reason}: a pullback ends")
    return None


def directions(h: History) -> Signs:
    close, fast, slow = h.close, h.now["fast"], h.now["slow"]
    over, was_over = significant(close - fast, close), significant(h.prev_close - h.before["fast"], close)
    above, was_above = significant(close - slow, close), significant(h.prev_close - h.before["slow"], close)
    crossed = above * was_above <= 0
    ends = (over * was_over <= 0) & (over * significant(fast - slow, close) > 0) & (over * above > 0)
    said: Signs = np.where(crossed, 0, np.where(ends, signs(over), STANDS)).astype(np.int8)
    return said


strategy = Strategy(
    id="pullback",
    tier=Tier.TACTICAL,
    params={NORMAL: {"fast": 20, "slow": 200}},
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=20,
)
