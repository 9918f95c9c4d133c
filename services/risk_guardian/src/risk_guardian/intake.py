"""What the guardian takes in: instruments, prices, fills, and whether the venue can be used."""

from __future__ import annotations

from common.messages.control import InstrumentsDefined
from common.messages.market_data import MarketSlice
from common.messages.orders import FinancingCharged, OrderFilled, VenueHealth
from common.model.account import Account
from risk_guardian.state import State


def define(state: State, message: InstrumentsDefined, account: Account) -> None:
    """The first time also the cash to begin with."""
    state.book = message.book
    state.instruments = {instrument.instrument_id: instrument for instrument in message.instruments}
    state.base_timeframe = dict(zip(state.instruments, message.base_timeframes, strict=True))
    if not state.ledger.cash:
        state.ledger.credit(account.currency, account.starting_cash)
        state.peak_equity = account.starting_cash


def take_prices(state: State, message: MarketSlice) -> None:
    """Of base bars, and of quotes where there are: those are the better prices."""
    quoted = {quote.instrument_id for quote in message.quotes}
    for bar in message.bars:
        if bar.base and bar.instrument_id not in quoted:
            state.last_px[bar.instrument_id] = state.instruments[bar.instrument_id].round_price(bar.close)
            state.last_px_ns[bar.instrument_id] = message.ts_event
    for quote in message.quotes:
        mid = (quote.bid + quote.ask) / 2
        state.last_px[quote.instrument_id] = state.instruments[quote.instrument_id].round_price(mid)
        state.last_px_ns[quote.instrument_id] = message.ts_event
    state.step, state.ts = message.step, message.ts_event


def book(state: State, message: OrderFilled | FinancingCharged) -> None:
    """Money and positions; of a fill also what of its order still works."""
    if isinstance(message, FinancingCharged):
        state.ledger.credit(message.currency, message.amount)
        return
    instrument = state.instruments[message.instrument_id]
    state.ledger.apply_fill(instrument, message.signed_qty, message.last_px, message.commission)
    working = state.working.get(message.client_order_id)
    if working is not None:
        working.signed_leaves_qty -= message.signed_qty
        if message.leaves_qty == 0:
            del state.working[message.client_order_id]


def on_venue(state: State, message: VenueHealth) -> None:
    if message.usable:
        state.venue_down_ns = None
    elif state.venue_down_ns is None:
        state.venue_down_ns = state.ts
