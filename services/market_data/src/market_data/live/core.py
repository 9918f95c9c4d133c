"""Turns what several live feeds say into the messages of the tape, by a clock that it is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from common.errors import ConfigError
from common.messages.base import Message
from common.messages.control import InstrumentsDefined
from common.messages.market_data import FeedChanged, MarketSlice, QuarantinedRow, RowsQuarantined
from common.model.account import Account
from common.model.instrument import Instrument
from common.model.run import Run
from common.model.time import NS_PER_SECOND, Timeframe, period_close
from market_data import state as slices
from market_data.calendars import CALENDARS
from market_data.core import MarketData, opening
from market_data.events import Schedule
from market_data.feed import RawStep, RawTick
from market_data.instruments import Symbol, define, parse_symbol
from market_data.live.connection import FeedEvent
from market_data.live.settings import FeedSettings
from market_data.live.state import State
from market_data.redundancy.core import SET_BACK_NS, Group, Member, Redundancy, Said
from market_data.settings import Settings

COARSEST_BASE: Final = Timeframe.M15  # quotes are kept until the bar that they make is over
REFUSED_SHOWN: Final = 100  # of the rows refused in a period: one broken feed must not fill the tape


class LiveMarketData:
    """Same events and instants, same messages. Nothing is said before every instrument has a price, or `opening_s` is over."""

    def __init__(
        self, settings: Settings, run: Run, account: Account, config: str, schedule: Schedule | None = None
    ) -> None:
        """Raises ConfigError for feeds that make no sense."""
        self._settings, self._run, self._account, self._config = settings, run, account, config
        self._schedule: Final = schedule
        self._base: Final = _base(settings.live.base_timeframe)
        self._symbols: Final = _symbols(settings.feeds)
        groups = [
            Group(name, _members(name, settings.feeds), CALENDARS[symbol.asset_class])
            for name, symbol in self._symbols.items()
        ]
        self._redundancy: Final = Redundancy(settings.book, settings.health, groups)
        self._first_px: dict[str, float] = {}
        self._rows: list[RawTick] = []
        self._refused: list[QuarantinedRow] = []
        self._refused_more = 0
        self._changes: list[FeedChanged] = []
        self._began_ns = self._now = 0
        self._whole_ns = 0  # from here on periods are whole; rows of before belong to one that is left out
        self._slices: MarketData | None = None
        self.over = False
        self.state = State(slices=slices.State(seen=[]))

    # --- lives ---------------------------------------------------------------------------------------

    def begin(self, now: int) -> None:
        """Once, after `state` was set: time goes on from here."""
        state = self.state
        self._began_ns = now
        state.origin_ns = state.origin_ns or now
        if state.instruments:
            self._go_on(state.instruments, state.slices, now)

    def resume(self, number: int, defined: InstrumentsDefined | None, last: MarketSlice | None) -> None:
        """Where only the tape tells how far the run is: coarser bars begin anew."""
        self.state.number = number
        if defined is not None:
            self.state.instruments = defined.instruments
            self.state.slices = self._made(defined.instruments).state
        if last is not None:
            self.state.slices.step, self.state.slices.ts_event = last.step, last.ts_event

    def _go_on(self, instruments: Sequence[Instrument], known: slices.State, now: int) -> None:
        """Of the period under way a part was missed."""
        self._slices = self._made(instruments)
        self._slices.state = self.state.slices = known
        self._leave_out(now)

    def _leave_out(self, now: int) -> None:
        """The period of `now`, and what was said of it: the first whole one is the next."""
        self.state.cut_ns = self._whole_ns = max(self.state.cut_ns, period_close(now, self._base))
        self._rows = [row for row in self._rows if row.ts > self._whole_ns]

    def _made(self, instruments: Sequence[Instrument]) -> MarketData:
        return MarketData(self._settings, instruments, [self._base] * len(instruments))

    # --- events --------------------------------------------------------------------------------------

    def handle(self, feed: str, event: FeedEvent) -> None:
        """What one feed says. Leads to messages only with `on_time`."""
        self._keep(self._redundancy.handle(feed, event))

    def usable(self, feed: str) -> bool:
        """Whether the feed is well enough for all its instruments whose markets are open."""
        return self._redundancy.usable(feed)

    def supplied(self) -> bool:
        """Whether every instrument whose market is open has a feed that is believed."""
        return self._redundancy.supplied()

    def end(self) -> None:
        """No feed will say anything any more."""
        self.over = True

    def on_time(self, now: int) -> list[Message]:
        """Call it several times a second. Changes of feeds as they happen; a slice for every base period that is over, with what
        arrived in time and whoever has been silent.
        """
        if self._slices is not None and now < self._now - SET_BACK_NS:
            self._leave_out(
                self._now
            )  # said is said: time goes on where it was, and what is heard until then is no minute's
        self._now = now
        self._keep(self._redundancy.tick(now))
        said: list[Message] = []
        if self._slices is None:
            if not self._may_open(now):
                return []
            said.extend(self._open(now))
        said.extend(self._changes)
        self._changes.clear()
        due = now - round(self._settings.live.grace_s * NS_PER_SECOND)
        due -= due % self._base.ns
        if due > self.state.cut_ns:
            said.extend(self._cut(due))
        if self._run.end_ns is not None and self.state.cut_ns >= self._run.end_ns:
            self.over = True
        if self.over and self._slices is not None:
            said.extend(self._slices.finish())
        return said

    def _keep(self, said: Iterable[Said]) -> None:
        for one in said:
            if isinstance(one, RawTick):
                self._first_px.setdefault(one.instrument_id, _px(one))
                if one.ts > self._whole_ns:
                    self._rows.append(one)
            elif isinstance(one, FeedChanged):
                self._changes.append(one)
            elif len(self._refused) < REFUSED_SHOWN:
                self._refused.append(one)
            else:
                self._refused_more += 1

    # --- the opening ---------------------------------------------------------------------------------

    def _may_open(self, now: int) -> bool:
        waited = now - self._began_ns >= self._settings.live.opening_s * NS_PER_SECOND
        return len(self._first_px) == len(self._symbols) or bool(waited and self._first_px)

    def _open(self, now: int) -> list[Message]:
        state = self.state
        state.instruments = tuple(
            define(
                symbol,
                name.rpartition(".")[2],
                first_px=self._first_px.get(name, float("nan")),
                half_spreads=self._settings.half_spreads,
            )
            for name, symbol in self._symbols.items()
        )
        self._go_on(state.instruments, self._made(state.instruments).state, now)
        base = [self._base] * len(state.instruments)
        return opening(self._settings, self._run, self._account, self._config, state.instruments, base, now)

    # --- slices --------------------------------------------------------------------------------------

    def _cut(self, due: int) -> list[Message]:
        """All periods up to `due`. What arrived too late for its own belongs to the first that is not over."""
        assert self._slices is not None
        length, earliest = self._base.ns, self.state.cut_ns + 1
        steps: dict[int, list[RawTick]] = {due: []}
        later = []
        for row in self._rows:
            row.ts = max(row.ts, earliest)
            end = -(-row.ts // length) * length
            if end <= due:
                steps.setdefault(end, []).append(row)
            else:
                later.append(row)
        self._rows, self.state.cut_ns = later, due
        said = self._quarantined(due)
        for end in sorted(steps):
            messages = self._slices.handle_step(RawStep(end, tuple(steps[end])))
            said.extend(messages if self._schedule is None else self._schedule.beside(messages, self._slices.state))
        return said

    def _quarantined(self, due: int) -> list[Message]:
        if not self._refused:
            return []
        assert self._slices is not None
        rows, more = tuple(self._refused), self._refused_more
        if more:
            rows = (*rows[:-1], msgspec.structs.replace(rows[-1], detail=f"{rows[-1].detail}, and {more} more"))
        self._slices.state.quarantined += len(rows) + more
        self._refused.clear()
        self._refused_more = 0
        return [RowsQuarantined(ts_event=due, book=self._settings.book, rows=rows)]


def _base(given: Timeframe) -> Timeframe:
    if given.ns > COARSEST_BASE.ns:
        raise ConfigError(
            f"market_data.live.base_timeframe = {given}: expected {COARSEST_BASE} or finer; coarser bars are made of those"
        )
    return given


def _symbols(feeds: Sequence[FeedSettings]) -> dict[str, Symbol]:
    """By instrument id, in the order in which they are first named."""
    if not feeds:
        raise ConfigError("market_data.feeds: live prices need at least one feed; see docs/market-data.md")
    if len({feed.name for feed in feeds}) < len(feeds):
        raise ConfigError("market_data.feeds: expected another name for every feed")
    found: dict[str, Symbol] = {}
    for feed in feeds:
        for text in feed.symbols:
            symbol = parse_symbol(text)
            if symbol is None or symbol.name != text:
                raise ConfigError(
                    f"market_data.feeds.{feed.name}.symbols = {text!r}: expected BTC-USD, EUR-USD or AAPL"
                )
            found[f"{symbol.name}.{feed.venue}"] = symbol
    return found


def _members(instrument_id: str, feeds: Sequence[FeedSettings]) -> tuple[Member, ...]:
    symbol, _, venue = instrument_id.rpartition(".")
    return tuple(
        Member(feed.name, symbol, round(feed.heartbeat_s * NS_PER_SECOND))
        for feed in feeds
        if feed.venue == venue and symbol in feed.symbols
    )


def _px(tick: RawTick) -> float:
    return tick.ask if tick.bid is None else (tick.bid + tick.ask) / 2
