"""What several timeframes say together (SIG-07).

A timeframe votes for a direction when trend and momentum point there and volatility is not out of hand. Four that agree are
believed fully, three by 0.7, fewer not at all. A timeframe that is missing agrees with nobody: with one missing 0.7 is the most,
with two there is no signal. The strength is the weighted sum of votes over the weights of those that are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from common.model.time import Timeframe
from common.quant.kernel import Floats
from signals.api import Atr, Ema, Feature, Params, Roc
from signals.kernel import Codes
from signals.rules import require_positive

# Per cent; the longer the timeframe the more it weighs.
WEIGHTS: Final[Mapping[Timeframe, int]] = {Timeframe.H4: 40, Timeframe.H1: 30, Timeframe.M15: 20, Timeframe.M5: 10}
CONFIDENCE: Final[Mapping[int, float]] = {4: 1.0, 3: 0.7}
_LEAST: Final = min(CONFIDENCE)


class Agreement(NamedTuple):
    """`sign` is +1, -1, or 0 for no signal; `aligned` counts timeframes, `confidence` and `strength` are in [0, 1]."""

    sign: int
    aligned: int
    confidence: float
    strength: float


def features(p: Params) -> Mapping[str, Feature]:
    """What a vote needs, on every timeframe."""
    require_positive(p, "wildest")
    return {
        "fast": Ema(p["fast"]),
        "slow": Ema(p["slow"]),
        "momentum": Roc(p["momentum"]),
        "atr": Atr(p["atr"]),
        "usual": Atr(p["usual"]),
    }


def vote(now: Mapping[str, float], wildest: float) -> int | None:
    """+1 up, -1 down, 0 for neither or where the ATR is above `wildest` times its usual level; None where something is unknown."""
    if any(name not in now for name in ("fast", "slow", "momentum", "atr", "usual")):
        return None
    if now["atr"] > wildest * now["usual"]:
        return 0
    up = now["fast"] > now["slow"] and now["momentum"] > 0.0
    down = now["fast"] < now["slow"] and now["momentum"] < 0.0
    return int(up) - int(down)


def votes(now: Mapping[str, Floats], wildest: float) -> Codes:
    """`vote` on all bars; 0 where something is unknown."""
    calm = now["atr"] <= wildest * now["usual"]
    up = (now["fast"] > now["slow"]) & (now["momentum"] > 0.0) & calm
    down = (now["fast"] < now["slow"]) & (now["momentum"] < 0.0) & calm
    return up.astype(np.int8) - down


def agreement(cast: Mapping[Timeframe, int]) -> Agreement:
    """What the votes of the timeframes that are there come to."""
    score = sum(WEIGHTS[timeframe] * one for timeframe, one in cast.items())
    sign = (score > 0) - (score < 0)
    aligned = sum(one == sign for one in cast.values()) if sign else 0
    if aligned < _LEAST:
        return Agreement(0, aligned, 0.0, 0.0)
    return Agreement(sign, aligned, CONFIDENCE[aligned], abs(score) / sum(WEIGHTS[timeframe] for timeframe in cast))


def signs_of(cast: Mapping[Timeframe, Codes], bars: int) -> Codes:
    """The signs of `agreement` on all bars."""
    score, up, down = (np.zeros(bars, np.int64) for _ in range(3))
    for timeframe, codes in cast.items():
        score += WEIGHTS[timeframe] * codes.astype(np.int64)
        up += codes > 0
        down += codes < 0
    found: Codes = ((score > 0) & (up >= _LEAST)).astype(np.int8) - ((score < 0) & (down >= _LEAST))
    return found


def in_words(cast: Mapping[Timeframe, int]) -> str:
    """`4h up, 1h up, 15m -, 5m missing`."""
    words = {1: "up", -1: "down", 0: "-"}
    return ", ".join(
        f"{timeframe} {words[cast[timeframe]] if timeframe in cast else 'missing'}" for timeframe in WEIGHTS
    )
