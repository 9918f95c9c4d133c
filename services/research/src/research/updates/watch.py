"""Whether results agree with what the test led to expect: otherwise the way back is taken by rule."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from common.quant.bootstrap import Array, block_length, resample
from common.quant.performance import max_drawdown, sharpe_ratio

_SEED: Final = 1
_CHUNK: Final = 1 << 18
Meta01 = Meta(gt=0, lt=0.5)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """When results are worse than what could be expected. Both shares are chances of a false alarm on a single day."""

    drawdown_tail: Annotated[float, Meta01] = 0.05
    sharpe_tail: Annotated[float, Meta01] = 0.05
    sharpe_days: Annotated[int, Meta(ge=2)] = 20  # fewer days say nothing about a Sharpe ratio
    replications: Annotated[int, Meta(ge=100, le=100_000)] = 2000


SHIPPED: Final = Rules()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Positive drawdowns, annual Sharpe ratios; None is undefined, or not asked yet. `reason` is empty while all is well."""

    days: int
    drawdown: float
    drawdown_limit: float
    sharpe: float | None
    sharpe_limit: float | None
    reason: str

    @property
    def good(self) -> bool:
        return not self.reason


def judge(results: Array, expected: Array, days_a_year: int, rules: Rules = SHIPPED) -> Verdict:
    """Daily returns since the step, against those of the test of its values (at least 2), resampled in blocks to as many days:
    neither the drawdown nor the Sharpe ratio may be in the bad tail of what comes of that. Equal inputs, equal verdict.
    """
    days = results.size
    drawdown = abs(max_drawdown(results) or 0.0)
    if not days:
        return Verdict(days=0, drawdown=0.0, drawdown_limit=0.0, sharpe=None, sharpe_limit=None, reason="")
    drawdowns, sharpes = _futures(expected, days, rules.replications)
    drawdown_limit = float(np.quantile(drawdowns, 1.0 - rules.drawdown_tail))
    sharpe = sharpe_limit = None
    if days >= rules.sharpe_days:
        sharpe = sharpe_ratio(results, days_a_year)
        sharpe_limit = float(np.quantile(sharpes, rules.sharpe_tail)) * sqrt(days_a_year)
    reasons = []
    if drawdown > drawdown_limit:
        reasons.append(f"drawdown {drawdown:.4f} beyond {drawdown_limit:.4f}")
    if sharpe is not None and sharpe_limit is not None and sharpe < sharpe_limit:
        reasons.append(f"Sharpe ratio {sharpe:.2f} below {sharpe_limit:.2f}")
    return Verdict(
        days=days,
        drawdown=drawdown,
        drawdown_limit=drawdown_limit,
        sharpe=sharpe,
        sharpe_limit=sharpe_limit,
        reason=f"after {days} days: {', '.join(reasons)}" if reasons else "",
    )


def _futures(expected: Array, days: int, replications: int) -> tuple[Array, Array]:
    """Largest drawdown and daily Sharpe of `days` days drawn from what is expected; a Sharpe of what does not move is 0."""
    rng, block = np.random.default_rng(_SEED), block_length(expected)
    parts = []
    for done in range(0, replications, step := max(1, _CHUNK // days)):
        at = _positions(expected.size, days, block, min(step, replications - done), rng)
        parts.append(_measured(expected[at]))
    drawdowns, sharpes = (np.concatenate(column) for column in zip(*parts, strict=True))
    return drawdowns, sharpes


def _positions(n: int, days: int, block: float, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of `days` positions; longer ones than the sample are put together of several."""
    rounds = -(-days // n)
    return np.concatenate([resample(n, block, count, rng) for _ in range(rounds)], axis=1)[:, :days]


def _measured(returns: Array) -> tuple[Array, Array]:
    levels = np.cumprod(1.0 + returns, axis=1)
    peaks = np.maximum(np.maximum.accumulate(levels, axis=1), 1.0)
    deviation = returns.std(axis=1, ddof=1) if returns.shape[1] > 1 else np.zeros(len(returns))
    moving = returns.max(axis=1) > returns.min(axis=1)
    sharpes = np.divide(returns.mean(axis=1), deviation, out=np.zeros(len(returns)), where=moving)
    return (1.0 - levels / peaks).max(axis=1), sharpes
