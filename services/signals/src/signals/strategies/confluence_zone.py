"""Like `confluence`, but goes in only near a level of the last week's volume profile, and smaller where little was traded.

Optional. Needs `signals.timeframes` with 5m.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from signals import confluence, profile
from signals.api import (
    STANDS,
    Context,
    Direction,
    Feature,
    History,
    Opinion,
    Params,
    Signs,
    Strategy,
    Tier,
    Timeframe,
)
from signals.rules import ELEVATED, NORMAL, require_positive

OWN = Timeframe.M5
PERIODS = {"fast": 20, "slow": 50, "momentum": 12, "atr": 14, "usual": 100, "wildest": 2.0}
PROFILE = {"days": 7, "zone": 0.005, "full": 0.5, "least": 0.5}


def features(p: Params) -> Mapping[str, Feature]:
    require_positive(p, "zone", "full")
    if not 0.0 < p["least"] <= 1.0:
        raise ValueError(f"least = {p['least']!r}: expected a number above 0, at most 1")
    return {**confluence.features(p), **profile.features(p)}


def decide(ctx: Context) -> Opinion | None:
    p = ctx.params
    seen = {timeframe: confluence.vote(now, p["wildest"]) for timeframe, now in {**ctx.beside, OWN: ctx.now}.items()}
    cast = {timeframe: one for timeframe, one in seen.items() if one is not None}
    found = confluence.agreement(cast)
    reason = f"{found.aligned} of 4 timeframes agree: {confluence.in_words(cast)}"
    if found.sign == 0:
        return Opinion(direction=Direction.FLAT, strength=0.0, reason=reason)
    level = profile.level_near(ctx.bar.close, ctx.now, p["zone"])
    if level is None:
        return None
    size = profile.size_at(ctx.now["here"], full=p["full"], least=p["least"])
    return Opinion(
        direction=Direction.LONG if found.sign > 0 else Direction.SHORT,
        strength=found.strength,
        confidence=found.confidence,
        size_factor=size,
        reason=f"{reason}; near the {level} {ctx.now[level]:.6g}, {ctx.now['here']:.0%} of the most traded volume here: size x {size:.2g}",
    )


def directions(h: History) -> Signs:
    cast = {
        timeframe: confluence.votes(now, h.params["wildest"]) for timeframe, now in {**h.beside, OWN: h.now}.items()
    }
    signs = confluence.signs_of(cast, h.close.size)
    outside = (signs != 0) & ~profile.near_level(h.close, h.now, h.params["zone"])
    said: Signs = np.where(outside, STANDS, signs).astype(np.int8)
    return said


strategy = Strategy(
    id="confluence_zone",
    tier=Tier.TACTICAL,
    params={NORMAL: {**PERIODS, **PROFILE}, ELEVATED: {**PERIODS, **PROFILE}},
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=288,
    timeframes=(OWN,),
    beside=tuple(timeframe for timeframe in confluence.WEIGHTS if timeframe is not OWN),
    optional=True,
)
