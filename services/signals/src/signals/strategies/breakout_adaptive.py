"""A break out of an envelope whose width follows volatility: in a market wild by its own standards of the last month it takes a
larger move. Out when price is back at the average. Optional; for bars of up to an hour.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from common.quant.adaptive import multipliers
from common.quant.thresholds import explain, multiplier
from signals.api import (
    STANDS,
    Atr,
    AtrPercentile,
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
    Timeframe,
    signs,
)
from signals.rules import ALWAYS, require_positive, significant, stop_at, trend_opinion

PERIODS = {"period": 48, "width": 2.0, "hours": 24, "days": 30, "least": 0.5, "most": 2.0}


def features(p: Params) -> Mapping[str, Feature]:
    require_positive(p, "width")
    if not 0.0 < p["least"] <= 1.0 <= p["most"]:
        raise ValueError(f"least = {p['least']!r}, most = {p['most']!r}: expected 0 < least <= 1 <= most")
    return {
        "middle": Sma(p["period"]),
        "atr": Atr(14),
        "percentile": AtrPercentile(p["hours"], p["days"]),
    }


def decide(ctx: Context) -> Opinion | None:
    p, close, middle = ctx.params, ctx.bar.close, ctx.now["middle"]
    times = multiplier(ctx.now["percentile"], p["least"], p["most"])
    gap, band = significant(close - middle, close), p["width"] * times * ctx.now["atr"]
    reason = f"close {close:.6g}, SMA {p['period']} at {middle:.6g} +- {band:.3g}; "
    reason += explain(ctx.now["percentile"], times, of_hours=int(p["hours"]), of_days=int(p["days"]))
    if abs(gap) > band > 0:
        opinion = trend_opinion(ctx, gap, full=2 * band, reason=f"broken out: {reason}")
        return msgspec.structs.replace(opinion, stop_fraction=stop_at(band, close))
    if gap * significant(ctx.prev_close - ctx.before["middle"], close) <= 0:
        return Opinion(direction=Direction.FLAT, strength=0.0, reason=f"back at the average: {reason}")
    return None


def directions(h: History) -> Signs:
    p = h.params
    times = multipliers(np.ascontiguousarray(h.now["percentile"]), p["least"], p["most"])
    gap, band = significant(h.close - h.now["middle"], h.close), p["width"] * times * h.now["atr"]
    back = gap * significant(h.prev_close - h.before["middle"], h.close) <= 0
    said: Signs = np.where((abs(gap) > band) & (band > 0), signs(gap), np.where(back, 0, STANDS)).astype(np.int8)
    return said


strategy = Strategy(
    id="breakout_adaptive",
    tier=Tier.TACTICAL,
    params=dict.fromkeys(ALWAYS, PERIODS),
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=48,
    timeframes=(Timeframe.M1, Timeframe.M5, Timeframe.M15, Timeframe.M30, Timeframe.H1),
    optional=True,
)
