"""Impure: a coin and a clock decide."""

import random
import time

from signals.api import Context, Opinion, Strategy, Tier, VolState, by_sign


def decide(ctx: Context) -> Opinion | None:
    return by_sign(random.random() - 0.5 + time.time() % 1e-6, full=0.0, reason="luck")


strategy = Strategy(
    id="asks_the_clock",
    tier=Tier.CORE,
    params={VolState.NORMAL: {}},
    features=lambda params: {},
    decide=decide,
    hold_bars=500,
)
