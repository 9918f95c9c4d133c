"""Turns raw feed rows into the slices of the tape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from common.messages.base import Message
from common.messages.control import InstrumentsDefined, RunStarted
from common.messages.market_data import Bar, MarketDataEnded, MarketSlice, QuarantinedRow, Quote, RowsQuarantined
from common.model.account import Account
from common.model.instrument import Instrument
from common.model.run import Run
from common.model.time import Timeframe
from market_data.bars import Plan, absorb, begin, close_due, closed, extend, plan
from market_data.calendars import calendar_of, missing
from market_data.feed import RawBar, RawStep, RawTick
from market_data.settings import Settings
from market_data.state import NEVER, Partial, Seen, State
from market_data.validation import Rules, bar_of_tick, refuse


class _Harvest(msgspec.Struct, gc=False):
    """What one step brings, by instrument index: base bars, bars being built of ticks, last ticks; and refused rows."""

    bars: dict[int, Bar] = msgspec.field(default_factory=dict)
    building: dict[int, Partial] = msgspec.field(default_factory=dict)
    ticks: dict[int, RawTick] = msgspec.field(default_factory=dict)
    refused: list[QuarantinedRow] = msgspec.field(default_factory=list)


class MarketData:
    """Validates rows, builds bars, numbers slices. Same steps, same messages."""

    def __init__(
        self, settings: Settings, instruments: Sequence[Instrument], base_timeframes: Sequence[Timeframe]
    ) -> None:
        self._book: Final = settings.book
        self._plans: Final[list[Plan]] = [
            plan(instrument.instrument_id, base, settings.timeframes, settings.day_close, calendar_of(instrument, base))
            for instrument, base in zip(instruments, base_timeframes, strict=True)
        ]
        self._index: Final = {of.instrument_id: index for index, of in enumerate(self._plans)}
        self._bar_rules: Final = Rules(settings.max_jump, settings.jump_moves)
        self._tick_rules: Final = [
            Rules(settings.max_jump, settings.jump_moves, of.base.ns, ticks=True) for of in self._plans
        ]
        self.state = State(seen=[Seen(partials=[Partial() for _ in of.targets]) for of in self._plans])

    def handle_step(self, raw: RawStep) -> list[Message]:
        """In order of time: a slice for every earlier instant at which bars end, what was refused, the slice of now.

        A step that is not later than the one before is late data: all its rows are refused.
        """
        state, ts = self.state, raw.ts_event
        messages: list[Message] = []
        while state.next_close_ns < ts:
            messages.append(self._slice(state.next_close_ns, _Harvest()))
        harvest = self._admit(raw)
        state.ts_event = max(ts, state.ts_event)
        if harvest.refused:
            state.quarantined += len(harvest.refused)
            messages.append(RowsQuarantined(ts_event=ts, book=self._book, rows=tuple(harvest.refused)))
        if harvest.bars or state.next_close_ns == ts:
            messages.append(self._slice(ts, harvest))
        return messages

    def finish(self) -> list[Message]:
        """The end of recorded data. Bars whose period has not ended by then are not said: nobody knows their close."""
        state = self.state
        return [
            MarketDataEnded(
                ts_event=state.ts_event,
                book=self._book,
                steps=state.step,
                bars=state.bars,
                quarantined=state.quarantined,
                gaps=state.gaps,
            )
        ]

    def _admit(self, raw: RawStep) -> _Harvest:
        harvest, all_seen, ts = _Harvest(), self.state.seen, raw.ts_event
        now = ts if ts > self.state.ts_event else 0
        for row in raw.rows:
            index = self._index[row.instrument_id]
            if isinstance(row, RawBar):
                refused = refuse(row, all_seen[index], now, self._bar_rules)
                if refused is None:
                    harvest.bars[index] = self._base_bar(index, row, ts)
                    continue
            else:
                bar = bar_of_tick(row)
                refused = refuse(bar, all_seen[index], now, self._tick_rules[index])
                if refused is None:
                    _fold(harvest, index, row, bar)
                    continue
            harvest.refused.append(refused)
        for index, partial in harvest.building.items():
            harvest.bars[index] = self._base_bar(index, partial, ts)
        return harvest

    def _base_bar(self, index: int, prices: RawBar | Partial, ts: int) -> Bar:
        """Books a base bar that closes at `ts`: in the bars it is a part of, and in the counts.

        Missing before it count those that the calendar of the market would have had since the last one.
        """
        state, of = self.state, self._plans[index]
        seen = state.seen[index]
        earliest = absorb(of, seen.partials, of.from_base, prices, ts)
        state.next_close_ns = min(state.next_close_ns, earliest)
        if ts - seen.bar_ts > of.base_ns and seen.bar_ts:
            state.gaps += missing(of.calendar, seen.bar_ts, ts, of.base_ns)
        seen.bar_ts = ts
        state.bars += 1
        return closed(prices, of.instrument_id, of.base, base=True)

    def _slice(self, ts: int, harvest: _Harvest) -> MarketSlice:
        """Everything that closes at `ts`, in instrument order, finest first."""
        state, base = self.state, harvest.bars
        state.step += 1
        bars = self._close_all(ts, base) if state.next_close_ns == ts else [base[index] for index in sorted(base)]
        quotes = _quotes(harvest.ticks) if harvest.ticks else ()
        return MarketSlice(ts_event=ts, book=self._book, step=state.step, bars=tuple(bars), quotes=quotes)

    def _close_all(self, ts: int, base: dict[int, Bar]) -> list[Bar]:
        state, bars, next_close_ns = self.state, [], NEVER
        for index, (of, seen) in enumerate(zip(self._plans, state.seen, strict=True)):
            if index in base:
                bars.append(base[index])
            bars.extend(close_due(of, seen.partials, ts))
            for partial in seen.partials:
                if partial.close_ns and partial.close_ns < next_close_ns:
                    next_close_ns = partial.close_ns
        state.next_close_ns = next_close_ns
        return bars


def opening(
    settings: Settings,
    run: Run,
    account: Account,
    config: str,
    instruments: Sequence[Instrument],
    base_timeframes: Sequence[Timeframe],
    ts_event: int,
) -> list[Message]:
    """The run and its instruments: the first two messages of a tape. `config` is the whole configuration as JSON."""
    return [
        RunStarted(
            ts_event=ts_event,
            book=settings.book,
            profile=run.profile,
            data=run.data,
            start_ns=run.start_ns,
            end_ns=run.end_ns,
            config=config,
            build=run.build,
        ),
        InstrumentsDefined(
            ts_event=ts_event,
            book=settings.book,
            account_currency=account.currency,
            instruments=tuple(instruments),
            base_timeframes=tuple(base_timeframes),
        ),
    ]


def _fold(harvest: _Harvest, index: int, tick: RawTick, bar: RawBar) -> None:
    """Adds a believed tick to the base bar of its period."""
    if index in harvest.building:
        extend(harvest.building[index], bar)
    else:
        harvest.building[index] = begin(Partial(), bar)
    harvest.ticks[index] = tick


def _quotes(ticks: dict[int, RawTick]) -> tuple[Quote, ...]:
    """The last believed quote of each instrument; trades have none."""
    return tuple(
        Quote(
            instrument_id=tick.instrument_id,
            bid=tick.bid,
            ask=tick.ask,
            bid_size=tick.bid_size,
            ask_size=tick.ask_size,
        )
        for _, tick in sorted(ticks.items())
        if tick.bid is not None
    )
