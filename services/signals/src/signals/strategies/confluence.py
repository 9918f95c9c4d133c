"""Trades where 4h, 1h, 15m and 5m agree on trend and momentum; optional. Needs `signals.timeframes` with 5m."""

from __future__ import annotations

from signals.api import Context, Direction, History, Opinion, Signs, Strategy, Tier, Timeframe
from signals.confluence import WEIGHTS, agreement, features, in_words, signs_of, vote, votes
from signals.rules import ELEVATED, NORMAL

OWN = Timeframe.M5
PERIODS = {"fast": 20, "slow": 50, "momentum": 12, "atr": 14, "usual": 100, "wildest": 2.0}


def decide(ctx: Context) -> Opinion | None:
    seen = {timeframe: vote(now, ctx.params["wildest"]) for timeframe, now in {**ctx.beside, OWN: ctx.now}.items()}
    cast = {timeframe: one for timeframe, one in seen.items() if one is not None}
    found = agreement(cast)
    return Opinion(
        direction=Direction.LONG if found.sign > 0 else Direction.SHORT if found.sign < 0 else Direction.FLAT,
        strength=found.strength,
        confidence=found.confidence,
        reason=f"{found.aligned} of 4 timeframes agree: {in_words(cast)}",
    )


def directions(h: History) -> Signs:
    cast = {timeframe: votes(now, h.params["wildest"]) for timeframe, now in {**h.beside, OWN: h.now}.items()}
    return signs_of(cast, h.close.size)


strategy = Strategy(
    id="confluence",
    tier=Tier.TACTICAL,
    params={NORMAL: PERIODS, ELEVATED: PERIODS},
    features=features,
    decide=decide,
    directions=directions,
    hold_bars=288,
    timeframes=(OWN,),
    beside=tuple(timeframe for timeframe in WEIGHTS if timeframe is not OWN),
    optional=True,
)
