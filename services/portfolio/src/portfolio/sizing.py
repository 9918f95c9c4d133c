"""How large: PFL-03 as arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from math import isfinite, log, sqrt
from operator import mul
from typing import NamedTuple

from common.messages.portfolio import Contribution
from common.messages.signals import Signal
from common.model.instrument import Instrument
from common.model.money import ZERO
from portfolio.settings import Settings

Closes = Sequence[tuple[int, float]]


class Moves(NamedTuple):
    """Log returns between closes at `times`, less their mean, and the sum of their squares."""

    times: Sequence[int]
    deviations: Sequence[float]
    squares: float


def contribution(
    signal: Signal,
    *,
    instrument: Instrument,
    equity: Decimal,
    px: Decimal,
    rate: Decimal,
    correlation: float | None,
    room: Decimal,
    settings: Settings,
) -> Contribution | None:
    """The share of the book that `signal` deserves: size = base x volatility x correlation x regime adjustment.

    `base` = account x tier allocation x risk per trade, money lost at the stop. `rate` converts the quote currency,
    `room` is the risk still allowed. None when nothing tradable is left.
    """
    base = equity * exact(settings.allocation.get(signal.tier, 0.0)) * exact(settings.risk_per_trade)
    volatility = volatility_adjustment(signal.vol_ratio)
    related = correlation_adjustment(correlation, settings.correlation_threshold)
    wanted = base * exact(volatility) * exact(related) * exact(signal.size_factor)
    loss_per_unit = px * rate * exact(signal.stop_fraction)
    if equity <= 0 or loss_per_unit <= 0:
        return None
    qty = instrument.round_qty(min(wanted, max(room, ZERO)) / loss_per_unit)
    if qty <= 0:
        return None
    return Contribution(
        strategy_id=signal.strategy_id,
        timeframe=signal.timeframe,
        signed_qty=qty * signal.direction.sign,
        risk=qty * loss_per_unit,
        base=base,
        volatility_adjustment=volatility,
        correlation_adjustment=related,
        regime_adjustment=signal.size_factor,
        reason=signal.reason,
    )


def scaled(
    share: Contribution, factor: Decimal, instrument: Instrument, reason: str | None = None
) -> Contribution | None:
    """The same share times `factor` <= 1, rounded toward zero, for the same reason if no other is given; None when nothing is
    left.
    """
    qty = instrument.round_qty(share.signed_qty * factor)
    if not qty:
        return None
    return Contribution(
        strategy_id=share.strategy_id,
        timeframe=share.timeframe,
        signed_qty=qty,
        risk=share.risk * qty / share.signed_qty,
        base=share.base,
        volatility_adjustment=share.volatility_adjustment,
        correlation_adjustment=share.correlation_adjustment,
        regime_adjustment=share.regime_adjustment,
        reason=share.reason if reason is None else reason,
    )


def volatility_adjustment(vol_ratio: float | None) -> float:
    """min(1, normal / current volatility); 1 while the ratio is unknown."""
    return 1.0 if vol_ratio is None or vol_ratio <= 1 else 1 / vol_ratio


def correlation_adjustment(correlation: float | None, threshold: float) -> float:
    """min(1, 1 - excess correlation) in [0, 1]; 1 while the correlation is unknown."""
    excess = 0.0 if correlation is None else max(0.0, correlation - threshold)
    return max(0.0, 1.0 - excess)


def mean_correlation(
    instrument_id: str, sign: int, book: Mapping[str, Decimal], correlation: Callable[[str, str], float | None]
) -> float | None:
    """Mean correlation of a position of `sign` in the instrument with the other positions of `book`: a short against a long
    of two twins counts -1. None when nothing comparable is held.
    """
    found = []
    for other, qty in book.items():
        if other != instrument_id and qty:
            pair = correlation(instrument_id, other)
            if pair is not None:
                found.append(pair * sign * (1 if qty > 0 else -1))
    return sum(found) / len(found) if found else None


def return_correlation(a: Closes, b: Closes, window: int) -> float | None:
    """Pearson correlation of log returns at common times, newest `window`; None below 5 returns or without variance."""
    other = dict(b)
    common = [(x, other[ts]) for ts, x in a if ts in other][-(window + 1) :]
    return pearson(moves([(0, x) for x, _ in common]), moves([(0, y) for _, y in common]))


def moves(closes: Closes) -> Moves:
    """Of closes > 0, oldest first."""
    returns = [log(y / x) for (_, x), (_, y) in pairwise(closes)]
    mean = sum(returns) / len(returns) if returns else 0.0
    deviations = [each - mean for each in returns]
    return Moves([ts for ts, _ in closes], deviations, sum([each**2 for each in deviations]))


def pearson(a: Moves, b: Moves) -> float | None:
    """Correlation of moves at the same times; None below 5 of them or without variance."""
    if len(a.deviations) < 5 or a.squares <= 0 or b.squares <= 0:
        return None
    result = sum(map(mul, a.deviations, b.deviations)) / sqrt(a.squares * b.squares)
    return max(-1.0, min(1.0, result)) if isfinite(result) else None


@lru_cache(maxsize=4096, typed=True)  # mostly of settings
def exact(value: float) -> Decimal:
    """The decimal that the float is written as."""
    return Decimal(repr(value))
