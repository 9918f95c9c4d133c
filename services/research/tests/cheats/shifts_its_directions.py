"""A cheat: honest bar by bar, but its directions over a whole series are those of the bar after."""

import numpy as np

from signals.api import Context, History, Opinion, Signs, Sma, Strategy, Tier, VolState, by_sign, signs


def decide(ctx: Context) -> Opinion | None:
    return by_sign(ctx.bar.close - ctx.now["average"], full=0.0, reason="over the average")


def directions(h: History) -> Signs:
    return np.roll(signs(h.close - h.now["average"]), -1)


strategy = Strategy(
    id="shifts_its_directions",
    tier=Tier.CORE,
    params={VolState.NORMAL: {}},
    features=lambda params: {"average": Sma(3)},
    decide=decide,
    directions=directions,
    hold_bars=500,
)
