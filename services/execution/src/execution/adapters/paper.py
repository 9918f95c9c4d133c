"""The paper venue: where, when and how much an order would have traded. Pure arithmetic.

Buys pay the ask and sells get the bid where the data has quotes, else the open of the next bar and the instrument's half
spread; a close-only series trades at its next close. Never the price that made the decision (EXE-04).
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from hashlib import blake2b
from math import log, sqrt
from typing import Final, NamedTuple, assert_never

from common.messages.market_data import Bar, Quote
from common.messages.orders import Order
from common.model.enums import AssetClass, OrderType, Side
from common.model.instrument import Instrument
from execution.costs import impact_bps

_CENT_OF_A_BP: Final = Decimal("0.000001")
_PARKINSON: Final = sqrt(4 * log(2))


class Market(NamedTuple):
    """What an order can meet in one slice: the price at which it arrives, and the range seen after that. Floats in the
    instrument's price; `half` is half the spread. `range` is the logarithm of the whole bar's high over its low, 0 of a quote.
    """

    first: float
    high: float
    low: float
    half: float
    volume: float
    range: float = 0.0


class Match(NamedTuple):
    """`px` None: nothing trades. `triggered`: the stop was reached; the order goes on as a market order or a limit."""

    px: Decimal | None
    triggered: bool = False
    maker: bool = False


class Slippage(NamedTuple):
    """What fills that take liquidity pay beyond the spread: `bps` flat, and the factor Y of market impact."""

    bps: float
    impact: float


def market_of_bar(bar: Bar, instrument: Instrument, opened_ns: int, sent_ns: int) -> Market:
    """A bar that opened before the order was sent offers only its close: the rest of it lies in the order's past."""
    only_close = instrument.close_only or opened_ns < sent_ns
    spread = bar.spread_close if only_close else bar.spread_open
    half = float(instrument.half_spread) if spread is None else spread / 2
    swing = log(bar.high / bar.low)
    if only_close:
        return Market(bar.close, bar.close, bar.close, half, bar.volume, swing)
    return Market(bar.open, bar.high, bar.low, half, bar.volume, swing)


def market_of_quote(quote: Quote, side: Side) -> Market:
    """A quote offers one price and its size."""
    mid = (quote.bid + quote.ask) / 2
    return Market(mid, mid, mid, (quote.ask - quote.bid) / 2, quote.ask_size if side is Side.BUY else quote.bid_size)


def match(order: Order, triggered: bool, market: Market, instrument: Instrument, *, resting: bool = False) -> Match:
    """Where `order` trades against `market`. A limit that is only touched waits: others stood before it in the queue. A
    post-only order that rests already is never the one to cross: it trades at its limit.
    """
    sign = order.side.sign
    first = market.first + sign * market.half
    best, worst = (market.low, market.high) if sign > 0 else (market.high, market.low)
    best, worst = best + sign * market.half, worst + sign * market.half
    match order.order_type:
        case OrderType.MARKET:
            return Match(_round(first, order.side, instrument))
        case OrderType.LIMIT:
            if order.post_only and resting:
                return _rest(order, best)
            return _limit(order, first, best, instrument)
        case OrderType.STOP:
            if triggered:
                return Match(_round(first, order.side, instrument), triggered=True)
            return _stop(order, first, worst, instrument)
        case OrderType.STOP_LIMIT:
            if triggered:
                return _limit(order, first, best, instrument)
            reached = _stop(order, first, worst, instrument).px is not None
            return Match(None, triggered=reached)  # a limit from the next bar on: when inside this one is not known
        case _:
            assert_never(order.order_type)


def fillable(
    wanted: Decimal, market: Market, instrument: Instrument, participation: float, cap: Decimal | None
) -> Decimal:
    """How much of `wanted` (> 0) trades in this slice, rounded down to the quantity increment."""
    bounds = [wanted]
    if participation and market.volume > 0:
        bounds.append(instrument.round_qty(participation * market.volume))
    if cap is not None:
        bounds.append(instrument.round_qty(cap))
    return min(bounds)


def moved(px: Decimal, qty: Decimal, order: Order, market: Market, instrument: Instrument, extra: Slippage) -> Decimal:
    """`px` after what taking `qty` of liquidity does to it, never beyond the order's limit.

    The square-root law Y σ √(Q/V) (Almgren, Thum, Hauptmann and Li 2005; Tóth et al. 2011 find Y about 1) holds for any
    horizon, σ growing with √t and V with t: here it is that of the very bar, σ from its range (Parkinson 1980). Nobody has
    measured it beyond Q = V, where it stays. Volumes of currency pairs are counts of ticks, not quantities: they have none.
    """
    sigma_bps = market.range / _PARKINSON * 10_000
    volume = 0.0 if instrument.asset_class is AssetClass.FX else market.volume
    bps = extra.bps + impact_bps(extra.impact, sigma_bps, min(float(qty), volume), volume)
    if not bps:
        return px
    worse = _round(float(px) * (1 + order.side.sign * bps / 10_000), order.side, instrument)
    if worse <= 0:
        return px
    if order.limit_px is None:
        return worse
    return min(worse * order.side.sign, order.limit_px * order.side.sign) * order.side.sign


def commission(qty: Decimal, px: Decimal, bps: float) -> Decimal:
    """Fee in the quote currency, >= 0, rounded to a millionth."""
    return (qty * px * Decimal(str(bps)) / 10_000).quantize(_CENT_OF_A_BP)


def rejects(client_order_id: str, seed: int, rate: float) -> bool:
    """Whether the venue rejects this order: the same answer for the same id and seed."""
    if rate <= 0:
        return False
    draw = int.from_bytes(blake2b(f"{seed}:{client_order_id}".encode(), digest_size=8).digest(), "big")
    return draw < rate * 2**64


def _limit(order: Order, first: float, best: float, instrument: Instrument) -> Match:
    assert order.limit_px is not None
    sign, limit = order.side.sign, float(order.limit_px)
    if sign * (first - limit) <= 0:
        return Match(min(_round(first, order.side, instrument) * sign, order.limit_px * sign) * sign)
    if sign * (best - limit) < 0:
        return Match(order.limit_px, maker=True)
    return Match(None)


def _rest(order: Order, best: float) -> Match:
    assert order.limit_px is not None
    through = order.side.sign * (best - float(order.limit_px)) < 0
    return Match(order.limit_px, maker=True) if through else Match(None)


def _stop(order: Order, first: float, worst: float, instrument: Instrument) -> Match:
    assert order.stop_px is not None
    sign, stop = order.side.sign, float(order.stop_px)
    if sign * (first - stop) >= 0:
        return Match(_round(first, order.side, instrument), triggered=True)
    if sign * (worst - stop) >= 0:
        return Match(order.stop_px, triggered=True)
    return Match(None)


def _round(px: float, side: Side, instrument: Instrument) -> Decimal:
    """To the increment, against the trader."""
    exact = instrument.round_price(px)
    slack = Decimal(repr(px)) - exact
    if abs(slack) * 1_000_000 < instrument.price_increment:
        return exact  # a binary fraction, not a price
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    return Decimal(repr(px)).quantize(instrument.price_increment, rounding=rounding)
