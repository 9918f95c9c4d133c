"""No cheat."""

from signals.api import Context, Opinion, Sma, Strategy, Tier, VolState, by_sign


def decide(ctx: Context) -> Opinion | None:
    return by_sign(ctx.bar.close - ctx.now["average"], full=0.0, reason="over the average")


strategy = Strategy(
    id="honest",
    tier=Tier.CORE,
    params={VolState.NORMAL: {}},
    features=lambda params: {"average": Sma(3)},
    decide=decide,
    hold_bars=500,
)
