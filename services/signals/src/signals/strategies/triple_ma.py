"""Three averages in line: long when fast, middle and slow are stacked upwards, short when downwards, flat when mixed."""

from __future__ import annotations

from collections.abc import Mapping

from signals.api import Atr, Context, Direction, Ema, Feature, History, Opinion, Params, Signs, Strategy, Tier, signs
from signals.rules import MEDIUM, NOT_IN_STRESS, significant, trades_in, trend_opinion


def features(p: Params) -> Mapping[str, Feature]:
    return {"fast": Ema(p["fast"]), "middle": Ema(p["slow"]), "slow": Ema(2 * p["slow"]), "atr": Atr(14)}


def decide(ctx: Context) -> Opinion | None:
    fast, middle, slow = ctx.now["fast"], ctx.now["middle"], ctx.now["slow"]
    reason = f"EMA {ctx.params['fast']} {fast:.6g}, {ctx.params['slow']} {middle:.6g}, twice that {slow:.6g}"
    close = ctx.bar.close
    if significant(fast - middle, close) * significant(middle - slow, close) <= 0:
        return Opinion(direction=Direction.FLAT, strength=0.0, reason=f"{reason}: not in line")
    return trend_opinion(ctx, fast - slow, full=3 * ctx.now["atr"], reason=reason)


def directions(h: History) -> Signs:
    fast, middle, slow = h.now["fast"], h.now["middle"], h.now["slow"]
    mixed = significant(fast - middle, h.close) * significant(middle - slow, h.close) <= 0
    return signs(fast - slow) * ~mixed


strategy = Strategy(
    id="triple_ma",
    tier=Tier.GROWTH,
    params=trades_in(NOT_IN_STRESS, MEDIUM),
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=60,
)
