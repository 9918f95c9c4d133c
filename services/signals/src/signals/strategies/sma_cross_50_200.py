"""The golden and the death cross: long while the fast simple average is above the slow one."""

from __future__ import annotations

from collections.abc import Mapping

from signals.api import Atr, Context, Feature, History, Opinion, Params, Signs, Sma, Strategy, Tier, signs
from signals.rules import ALWAYS, SLOW, significant, trades_in, trend_opinion


def features(p: Params) -> Mapping[str, Feature]:
    return {"fast": Sma(p["fast"]), "slow": Sma(p["slow"]), "atr": Atr(14)}


def decide(ctx: Context) -> Opinion | None:
    fast, slow = ctx.now["fast"], ctx.now["slow"]
    reason = f"SMA {ctx.params['fast']} at {fast:.6g}, SMA {ctx.params['slow']} at {slow:.6g}"
    return trend_opinion(ctx, significant(fast - slow, ctx.bar.close), full=4 * ctx.now["atr"], reason=reason)


def directions(h: History) -> Signs:
    return signs(significant(h.now["fast"] - h.now["slow"], h.close))


strategy = Strategy(
    id="sma_cross_50_200",
    tier=Tier.CORE,
    params=trades_in(ALWAYS, SLOW),
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=250,
)
