"""Limits, halt and resume: by orders that must not pass.

The order that is tried is one that a working guardian never lets through, and that would not trade if it did: a limit to buy at
half the price (where we are short, to sell at twice as much: getting out always passes). Should it pass, it is canceled at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, Final, NamedTuple

from ballast_cli import operator, orders
from ballast_cli.readiness.evidence import Evidence, not_here, seconds
from ballast_cli.readiness.system import System, order_id, until
from common import messages as m
from common.errors import BallastError, TapeError
from common.model.enums import DenyCode, Side, TradingState
from common.model.instrument import Instrument
from common.model.money import ZERO
from execution.admission import is_flattening

REASON: Final = "ballast readiness"
HALT_WITHIN_S: Final = 1.0
STILL_S: Final = 2.0
STEP_WITHIN_S: Final = 10.0
_FIND_WITHIN_S: Final = 10.0
_HALF: Final = Decimal("0.5")
_DOUBLE: Final = Decimal(2)
_TIMES: Final = 3
_RESET: Final = (
    "drawdown",
    "daily_loss",
)  # ladders whose measure a resume begins anew; the others stand again at the next step


class Verdict(NamedTuple):
    """Of the order that was tried: `code` is empty where it passed, `reached` what is on the tape of its way to the venue."""

    code: str
    said: str
    reached: tuple[str, ...]


def limit_breach(system: System) -> Evidence:
    """The price collar, because nothing below it may be cut to fit instead of denied."""
    if system.trading_state() is TradingState.HALTED:
        return not_here("trading is halted: every order is refused for that, whatever its limits")
    tried = try_order(system)
    wanted = tried.code == DenyCode.PRICE_COLLAR and not tried.reached
    return Evidence(
        passed=wanted,
        did="proposed by hand one lot, to buy at half the last price or to sell at twice as much",
        saw=_in_words(tried),
        limit=f"denied with {DenyCode.PRICE_COLLAR}, nothing on its way to the venue",
    )


def halt(system: System) -> Evidence:
    """Confirmed in time; then no order goes out, and one by hand is denied."""
    if why := _why_not(system):
        return not_here(why)
    with _halted(system) as answer:
        if not answer["confirmed"]:
            saw, good = f"the guardian did not confirm within {operator.ANSWER_WITHIN_S:g} s", False
        else:
            tried = try_order(system)
            until(lambda: False, STILL_S)
            later = _sent_after(system)
            quick = answer["took_ms"] <= HALT_WITHIN_S * 1000
            good = quick and not later and tried.code == DenyCode.TRADING_HALTED and not tried.reached
            out = f"{len(later)} orders sent afterwards" if later else f"no order decided on in {STILL_S:g} s"
            saw = f"confirmed after {answer['took_ms']:.0f} ms; {out}; by hand: {_in_words(tried)}"
    return Evidence(
        passed=good,
        did="halted, tried an order by hand, looked for orders that were sent after the halt, resumed",
        saw=saw,
        limit=f"confirmed within {HALT_WITHIN_S:g} s, no order after it, by hand {DenyCode.TRADING_HALTED}",
    )


def resume(system: System) -> Evidence:
    """After a halt: confirmed, orders are judged by their limits again, and the next step is an active one."""
    if why := _why_not(system):
        return not_here(why)
    with _halted(system):
        answer = asyncio.run(operator.resume(system.home, REASON))
        active = answer["confirmed"] and system.trading_state() is TradingState.ACTIVE
        tried = try_order(system) if active else None
        took = until(lambda: _steps(system, answer["seq"]), STEP_WITHIN_S) if active else None
    judged = tried is not None and tried.code not in ("", DenyCode.TRADING_HALTED)
    step = "no step since" if took is None else f"an active step after {seconds(took)}"
    return Evidence(
        passed=bool(active and judged and took is not None),
        did="halted, resumed, tried an order by hand, waited for the next step",
        saw=f"confirmed after {answer['took_ms']:.0f} ms; by hand: {_in_words(tried)}; {step}"
        if tried
        else "the guardian did not resume",
        limit=f"confirmed within {operator.ANSWER_WITHIN_S:g} s, orders judged again, a step within {STEP_WITHIN_S:g} s",
    )


def try_order(system: System, times: int = _TIMES) -> Verdict:
    """Proposes the order that must not pass; whatever of it has passed is canceled. Where the position has turned meanwhile, so that it
    became a way out, which must pass, it is tried again.
    """
    instrument, px = _instrument(system)
    side = Side.SELL if _held(system, instrument.instrument_id) < 0 else Side.BUY
    tried = _try(system, instrument, px, side)
    if tried.code or times == 1 or _held(system, instrument.instrument_id) * side.sign >= 0:
        return tried
    return try_order(system, times - 1)


def _try(system: System, instrument: Instrument, px: Decimal, side: Side) -> Verdict:
    before, far = system.end(), instrument.round_price(px * (_HALF if side is Side.BUY else _DOUBLE))
    prices, lot = orders.Prices(limit=f"{far:f}", ref=f"{px:f}"), f"{instrument.qty_increment:f}"
    proposed = orders.order(system.home, instrument.instrument_id, side, lot, prices, reduce_only=False, post_only=True)
    said = asyncio.run(proposed)
    if not said["confirmed"]:
        return Verdict("", f"the guardian did not answer within {operator.ANSWER_WITHIN_S:g} s", ())
    ((name, verdict),) = said["orders"].items()
    if verdict["verdict"] == "APPROVED":
        asyncio.run(orders.cancel(system.home, name, REASON))
    return Verdict(verdict.get("code", ""), verdict["verdict"], _way_of(system, name, before))


def _held(system: System, instrument_id: str) -> Decimal:
    """Signed, as of the newest step."""
    step = system.newest(m.ExecutionStep)
    held = {each.instrument_id: each.signed_qty for each in step.positions} if step else {}
    return held.get(instrument_id, ZERO)


def _in_words(tried: Verdict) -> str:
    way = f", and it went on: {', '.join(tried.reached)}" if tried.reached else ", nothing sent to the venue"
    return f"{tried.said} {tried.code}".strip() + way


def _instrument(system: System) -> tuple[Instrument, Decimal]:
    """The first with a price in the newest slice, and that price. Raises TapeError when there is none for seconds."""
    found: list[tuple[Instrument, Decimal]] = []

    def look() -> bool:
        defined, newest = system.newest(m.InstrumentsDefined), system.newest(m.MarketSlice)
        if defined is None or newest is None:
            return False
        known = {each.instrument_id: each for each in defined.instruments}
        prices = {quote.instrument_id: (quote.bid + quote.ask) / 2 for quote in newest.quotes}
        prices |= {bar.instrument_id: bar.close for bar in newest.bars if bar.base}
        found.extend((known[name], known[name].round_price(px)) for name, px in prices.items() if name in known)
        return bool(found)

    if until(look, _FIND_WITHIN_S) is None:
        raise TapeError("no instrument has a price yet, so no order can be tried")
    return found[0]


def _way_of(system: System, name: str, after: int) -> tuple[str, ...]:
    kinds = (m.OrderApproved, m.OrderSubmitted, m.OrderAccepted, m.OrderFilled)
    said = (each.message for each in system.said(*kinds, after=after))
    return tuple(type(each).__name__ for each in said if order_id(each) == name)


def _sent_after(system: System) -> list[str]:
    """Orders that execution decided to send once it could know of the newest halt. What it had decided before follows the halt on the
    tape by a few messages, and the guardian's own way out passes every halt.
    """
    asked = system.said(m.HaltTrading)[-1].seq
    return [
        order_id(each.message)
        for each in system.said(m.OrderSubmitted, after=asked)
        if isinstance(each.message, m.OrderSubmitted)
        and not 0 <= each.envelope.cause_seq < asked
        and not is_flattening(each.message.order)
    ]


def _steps(system: System, after: int) -> bool:
    said = system.said(m.RiskStep, after=after)
    return any(isinstance(e.message, m.RiskStep) and e.message.trading_state is TradingState.ACTIVE for e in said)


def _why_not(system: System) -> str:
    """A resume begins new episodes: where a loss has raised a ladder, or somebody has halted, that is a person's decision."""
    state = system.trading_state()
    if state is not TradingState.ACTIVE:
        return f"trading is {state}: to resume it is a person's decision"
    levels: dict[str, int] = {}
    for each in system.said(m.LadderChanged):
        if isinstance(each.message, m.LadderChanged):
            levels[each.message.ladder] = each.message.level
    up = [name for name in _RESET if levels.get(name)]
    return f"ladders stand ({', '.join(up)}), which a resume would release" if up else ""


@contextmanager
def _halted(system: System) -> Iterator[dict[str, Any]]:
    """Asked to be active again at the end, whatever happens in between; whether it is, the last look at the system tells."""
    answer: dict[str, Any] = {"confirmed": False}
    try:
        answer = asyncio.run(operator.halt(system.home, REASON, flatten=False))
        yield answer
    finally:
        with suppress(BallastError):
            if not answer["confirmed"] or system.trading_state() is not TradingState.ACTIVE:
                asyncio.run(operator.resume(system.home, REASON))
