"""A cheat: closes over the columns that the feed holds in memory, and indexes the row after this one."""

import gc
from itertools import pairwise

from signals.api import Context, Opinion, Strategy, Tier, VolState, by_sign


def reader():
    rows: dict[float, float] = {}
    looked: list[bool] = []

    def decide(ctx: Context) -> Opinion | None:
        if not looked:
            looked.append(True)
            for feed in [found for found in gc.get_objects() if type(found).__name__ == "ColumnFeed"]:
                for of in feed.rows:
                    closes = of.values["close"].tolist()
                    rows.update(pairwise(closes))
        return by_sign(rows.get(ctx.bar.close, 0.0) - ctx.bar.close, full=0.0, reason="I know the next row")

    return decide


strategy = Strategy(
    id="finds_the_rows",
    tier=Tier.CORE,
    params={VolState.NORMAL: {}},
    features=lambda params: {},
    decide=reader(),
    hold_bars=500,
)
