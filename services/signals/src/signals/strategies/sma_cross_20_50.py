"""A cross of medium averages: follows moves of weeks to months."""

from __future__ import annotations

from collections.abc import Mapping

from signals.api import Atr, Context, Feature, History, Opinion, Params, Signs, Sma, Strategy, Tier, signs
from signals.rules import ALWAYS, MEDIUM, significant, trades_in, trend_opinion


def features(p: Params) -> Mapping[str, Feature]:
    return {"fast": Sma(p["fast"]), "slow": Sma(p["slow"]), "atr": Atr(14)}


def decide(ctx: Context) -> Opinion | None:
    fast, slow = ctx.now["fast"], ctx.now["slow"]
    reason = f"SMA {ctx.params['fast']} at {fast:.6g}, SMA {ctx.params['slow']} at {slow:.6g}"
    return trend_opinion(ctx, significant(fast - slow, ctx.bar.close), full=2 * ctx.now["atr"], reason=reason)


def directions(h: History) -> Signs:
    return signs(significant(h.now["fast"] - h.now["slow"], h.close))


strategy = Strategy(
    id="sma_cross_20_50",
    tier=Tier.CORE,
    params=trades_in(ALWAYS, MEDIUM),
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=120,
)
