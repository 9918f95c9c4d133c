"""Impure: remembers, from one instrument to the next, in a place that no snapshot knows."""

from signals.api import Context, Opinion, Strategy, Tier, VolState, by_sign

HIGHEST: dict[str, float] = {}


def decide(ctx: Context) -> Opinion | None:
    others = [close for name, close in HIGHEST.items() if name != ctx.bar.instrument_id]
    HIGHEST[ctx.bar.instrument_id] = max(ctx.bar.close, HIGHEST.get(ctx.bar.instrument_id, 0.0))
    return by_sign(ctx.bar.close - 0.99 * max(others, default=0.0), full=0.0, reason="the highest of all")


strategy = Strategy(
    id="remembers",
    tier=Tier.CORE,
    params={VolState.NORMAL: {}},
    features=lambda params: {},
    decide=decide,
    hold_bars=500,
)
