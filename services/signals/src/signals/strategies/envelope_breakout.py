"""A break out of an envelope of two ATR around an average; out when price is back at the average. The stop is two ATR, 0.05 % of
the price at least.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from signals.api import (
    STANDS,
    Atr,
    Context,
    Direction,
    Feature,
    History,
    Opinion,
    Params,
    Signs,
    Sma,
    Strategy,
    Tier,
    signs,
)
from signals.rules import NORMAL, require_positive, significant, stop_at, trend_opinion


def features(p: Params) -> Mapping[str, Feature]:
    require_positive(p, "width")
    return {"middle": Sma(p["period"]), "atr": Atr(14)}


def decide(ctx: Context) -> Opinion | None:
    close, middle, band = ctx.bar.close, ctx.now["middle"], ctx.params["width"] * ctx.now["atr"]
    gap = significant(close - middle, close)
    reason = f"close {close:.6g}, SMA {ctx.params['period']} at {middle:.6g} +- {band:.3g}"
    if abs(gap) > band > 0:
        opinion = trend_opinion(ctx, gap, full=2 * band, reason=f"{reason}: broken out")
        return msgspec.structs.replace(opinion, stop_fraction=stop_at(band, close))
    if gap * significant(ctx.prev_close - ctx.before["middle"], close) <= 0:
        return Opinion(direction=Direction.FLAT, strength=0.0, reason=f"{reason}: back at the average")
    return None


def directions(h: History) -> Signs:
    gap, band = significant(h.close - h.now["middle"], h.close), h.params["width"] * h.now["atr"]
    back = gap * significant(h.prev_close - h.before["middle"], h.close) <= 0
    said: Signs = np.where((abs(gap) > band) & (band > 0), signs(gap), np.where(back, 0, STANDS)).astype(np.int8)
    return said


strategy = Strategy(
    id="envelope_breakout",
    tier=Tier.TACTICAL,
    params={NORMAL: {"period": 20, "width": 2.0}},
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=20,
)
