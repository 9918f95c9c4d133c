"""The slow cross on exponential averages, which turn earlier than plain ones."""

from __future__ import annotations

from collections.abc import Mapping

from signals.api import Atr, Context, Ema, Feature, History, Opinion, Params, Signs, Strategy, Tier, signs
from signals.rules import NOT_IN_STRESS, SLOW, significant, trades_in, trend_opinion


def features(p: Params) -> Mapping[str, Feature]:
    return {"fast": Ema(p["fast"]), "slow": Ema(p["slow"]), "atr": Atr(14)}


def decide(ctx: Context) -> Opinion | None:
    fast, slow = ctx.now["fast"], ctx.now["slow"]
    reason = f"EMA {ctx.params['fast']} at {fast:.6g}, EMA {ctx.params['slow']} at {slow:.6g}"
    return trend_opinion(ctx, significant(fast - slow, ctx.bar.close), full=4 * ctx.now["atr"], reason=reason)


def directions(h: History) -> Signs:
    return signs(significant(h.now["fast"] - h.now["slow"], h.close))


strategy = Strategy(
    id="ema_cross_50_200",
    tier=Tier.CORE,
    params=trades_in(NOT_IN_STRESS, SLOW),
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=250,
)
