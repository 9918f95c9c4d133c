"""A cheat: keeps the whole price file, and looks up the bar after this one. `PRICES` is written in by the test."""

import csv
from itertools import pairwise
from pathlib import Path

from signals.api import Context, Opinion, Strategy, Tier, VolState, by_sign

with Path("PRICES").open(newline="") as file:
    CLOSES = [float(row["close"]) for row in csv.DictReader(file)]
NEXT = dict(pairwise(CLOSES))


def decide(ctx: Context) -> Opinion | None:
    return by_sign(NEXT.get(ctx.bar.close, 0.0) - ctx.bar.close, full=0.0, reason="I have read it")


strategy = Strategy(
    id="reads_the_file",
    tier=Tier.CORE,
    params={VolState.NORMAL: {}},
    features=lambda params: {},
    decide=decide,
    hold_bars=500,
)
