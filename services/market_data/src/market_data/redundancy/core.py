"""Believes one feed of every instrument at a time, and changes over when another does better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from common.messages.market_data import FeedChanged, QuarantinedRow, QuarantineReason
from common.model.sessions import Calendar, is_open
from common.model.time import NS_PER_SECOND
from market_data.feed import RawTick
from market_data.live.connection import (
    Connected,
    Disconnected,
    FeedEvent,
    Heartbeat,
    Malformed,
    QuoteSeen,
    TradeSeen,
)
from market_data.live.settings import HealthSettings
from market_data.redundancy import rows
from market_data.redundancy.agreement import believe, middle
from market_data.redundancy.rows import Row
from market_data.redundancy.rules import View, recovering, score
from market_data.redundancy.state import FROZEN, NONE, RECOVERING, FeedState, GroupState, State, set_back

Said = RawTick | FeedChanged | QuarantinedRow
SET_BACK_NS: Final = NS_PER_SECOND  # a clock that goes back by more was set


class Member(NamedTuple):
    """A feed of an instrument, and how it calls it. `heartbeat_ns` is 0 where it promises none."""

    feed: str
    symbol: str
    heartbeat_ns: int = 0


class Group(NamedTuple):
    """The feeds of an instrument, the preferred one first, and when it is traded."""

    instrument_id: str
    members: tuple[Member, ...]
    calendar: Calendar = Calendar.ALWAYS


class Redundancy:
    """Same events, same rows and messages. `handle` hands on only sound rows of the active feed; both may change the feed."""

    def __init__(self, book: str, limits: HealthSettings, groups: Sequence[Group]) -> None:
        self._book: Final = book
        self._limits: Final = limits
        self._groups: Final = tuple(groups)
        self._places: Final[Mapping[tuple[str, str], tuple[int, int]]] = {
            (member.feed, member.symbol): (at, place)
            for at, group in enumerate(groups)
            for place, member in enumerate(group.members)
        }
        self._of_feed: Final[dict[str, list[tuple[int, int]]]] = {}
        for (feed, _), where in self._places.items():
            self._of_feed.setdefault(feed, []).append(where)
        self.state = State(groups=[GroupState(feeds=[FeedState() for _ in group.members]) for group in groups])

    def handle(self, feed: str, event: FeedEvent) -> list[Said]:
        """What one event of a feed brings. Symbols that nobody asked for are passed over."""
        self._on_clock(event.ts_received)
        match event:
            case QuoteSeen() | TradeSeen():
                where = self._places.get((feed, event.symbol))
                return self._on_row(*where, event) if where else []
            case Malformed():
                return [said for where in self._meant(feed, event) for said in self._on_malformed(*where, event)]
            case Heartbeat():
                for at, place in self._of_feed.get(feed, ()):
                    rows.lives(self.state.groups[at].feeds[place], event.ts_received)
                return []
            case Connected() | Disconnected():
                return self._on_connection(feed, event)

    def tick(self, now: int) -> list[Said]:
        """Call it several times a second: silence is noticed only here."""
        self._on_clock(now)
        return [said for at in range(len(self._groups)) for said in self._review(at, now)]

    def usable(self, feed: str) -> bool:
        """Whether it is well enough for all its instruments; of one whose market is closed it need only be connected."""
        ours = [(at, self.state.groups[at].feeds[place]) for at, place in self._of_feed.get(feed, ())]
        return all(one.usable or (one.connected and self._closed(at)) for at, one in ours)

    def supplied(self) -> bool:
        """Whether every instrument has a feed that is believed; one whose market is closed, a feed that is connected."""
        return all(
            group.active != NONE or (any(one.connected for one in group.feeds) and self._closed(at))
            for at, group in enumerate(self.state.groups)
        )

    def _closed(self, at: int) -> bool:
        return not is_open(self._groups[at].calendar, self.state.now_ns)

    def _on_clock(self, now: int) -> None:
        state = self.state
        if now < state.now_ns - SET_BACK_NS:
            state.now_ns = now
            for group in state.groups:
                set_back(group, now)
        state.now_ns = max(state.now_ns, now)

    # --- events --------------------------------------------------------------------------------------

    def _on_row(self, at: int, place: int, row: Row) -> list[Said]:
        group, now = self.state.groups[at], row.ts_received
        feed = group.feeds[place]
        rows.lives(feed, now)
        objection = rows.unsound(row)
        if objection is not None or rows.is_price(feed, row):
            rows.count_bad(feed, now, bad=objection is not None)
        if objection is None:
            skew_ns = self._limits.skew_s * NS_PER_SECOND
            rows.compare_clocks(feed, row, skew_ns)
            objection = rows.repeated(feed, row, skew_ns)
            rows.count_repeated(feed, now, self._limits.duplicate_s, again=objection is not None)
        if objection is not None:
            ts = row.ts_venue if rows.names_time(row) else now
            return [*self._refused(at, place, ts, objection), *self._urgent(at, place, now)]
        if isinstance(row, TradeSeen):
            rows.remember(feed, row)
            if feed.quotes:
                group.volume += row.qty if group.active == place else 0.0
                return []
        return self._on_price(at, place, row)

    def _on_price(self, at: int, place: int, row: Row) -> list[Said]:
        group, now, mid = self.state.groups[at], row.ts_received, rows.mid_of(row)
        feed = group.feeds[place]
        first = not feed.price_ns
        changed = rows.take(feed, row, mid)
        if changed:
            feed.others_mid = middle(group, feed, now, self._limits)
        believed = believe(group, place, mid, now, self._limits)
        for other in group.feeds:
            if other is not feed:
                other.others_prices += 1
                other.others_changes += changed
        said = self._review(at, now) if first or not believed else []
        if believed and group.active == place:
            said.append(self._hand_on(self._groups[at].instrument_id, group, row))
        return said

    def _on_malformed(self, at: int, place: int, event: Malformed) -> Iterator[Said]:
        feed = self.state.groups[at].feeds[place]
        rows.lives(feed, event.ts_received)
        rows.count_bad(feed, event.ts_received, bad=True)
        yield from self._refused(at, place, event.ts_received, (QuarantineReason.UNPARSEABLE, event.detail))
        yield from self._urgent(at, place, event.ts_received)

    def _on_connection(self, feed: str, event: Connected | Disconnected) -> list[Said]:
        said: list[Said] = []
        for at, place in self._of_feed.get(feed, ()):
            one = self.state.groups[at].feeds[place]
            one.connected = isinstance(event, Connected)
            one.event_ns, one.price_ns, one.change_ns, one.away_ns = event.ts_received, 0, event.ts_received, 0
            one.others_prices = one.others_changes = one.bad_ns = one.bad_rows = one.frozen_ns = 0
            one.others_mid = 0.0
            said.extend(self._review(at, event.ts_received))
        return said

    def _meant(self, feed: str, event: Malformed) -> Sequence[tuple[int, int]]:
        """Of a message that names no symbol every instrument of the feed may be meant."""
        if not event.symbol:
            return self._of_feed.get(feed, ())
        where = self._places.get((feed, event.symbol))
        return (where,) if where else ()

    def _urgent(self, at: int, place: int, now: int) -> list[Said]:
        """Bad rows of the active feed do not wait for the next tick."""
        return self._review(at, now) if self.state.groups[at].active == place else []

    # --- rows ----------------------------------------------------------------------------------------

    def _hand_on(self, instrument_id: str, group: GroupState, row: Row) -> RawTick:
        """The row at the venue's time where that can be believed, never before the row before it. Where there are quotes a
        trade is no price: its quantity goes with the next quote.
        """
        ts = row.ts_received
        if row.ts_venue and abs(ts - row.ts_venue) <= self._limits.skew_s * NS_PER_SECOND:
            ts = min(ts, row.ts_venue)
        group.ts = max(group.ts, ts)
        if isinstance(row, TradeSeen):
            return RawTick(instrument_id, group.ts, None, row.px, volume=row.qty)
        volume, group.volume = group.volume, 0.0
        sizes = rows.size(row.bid_size), rows.size(row.ask_size)
        return RawTick(instrument_id, group.ts, row.bid, row.ask, *sizes, volume)

    def _refused(
        self, at: int, place: int, ts: int, objection: tuple[QuarantineReason, str]
    ) -> Iterator[QuarantinedRow]:
        """Of the feed that is believed; what is wrong with the others only costs them their score."""
        if self.state.groups[at].active == place:
            of, (reason, detail) = self._groups[at], objection
            detail = f"{of.members[place].feed}: {detail}"
            yield QuarantinedRow(instrument_id=of.instrument_id, ts_row=ts, reason=reason, detail=detail)

    # --- the choice ----------------------------------------------------------------------------------

    def _review(self, at: int, now: int) -> list[Said]:
        group, members, limits = self.state.groups[at], self._groups[at].members, self._limits
        turned = []
        for place, (feed, member) in enumerate(zip(group.feeds, members, strict=True)):
            others_mid = middle(group, feed, now, limits)
            feed.others_mid = feed.others_mid or others_mid  # none had a price when its own last changed
            self._rate(View(feed, now, limits, member.heartbeat_ns, rows.left(feed, others_mid)))
            usable = feed.score >= limits.fail_below
            if usable is not feed.usable:
                feed.usable = usable
                turned.append(place)
        changed = self._choose(group, now)
        told = [*changed, *(place for place in turned if place not in changed)]
        said: list[Said] = [self._change(at, place, now) for place in told]
        if group.active in changed:
            said.extend(self._standing(at, now))
        return said

    def _standing(self, at: int, now: int) -> Iterator[RawTick]:
        """The last quote of the feed that has just become active: it stands, although it was not asked for when it was said."""
        group, fresh = self.state.groups[at], self._limits.fresh_s * NS_PER_SECOND
        feed = group.feeds[group.active]
        if feed.quotes and feed.price_ns and not feed.away_ns and now - feed.price_ns <= fresh:
            group.ts = max(group.ts, feed.price_ns)
            yield RawTick(self._groups[at].instrument_id, group.ts, feed.bid, feed.ask)

    def _rate(self, view: View) -> None:
        """A failure lasts for a while beyond its cause: who comes and goes is gone."""
        feed, limits = view.feed, view.limits
        feed.score, feed.reason = score(view)
        if feed.reason == FROZEN:
            feed.frozen_ns = feed.frozen_ns or view.now
        if feed.score < limits.fail_below:
            if feed.well_ns:
                feed.failed_ns, feed.well_ns = view.now, 0
            elif feed.failed_ns > 0:
                feed.failed_ns = view.now
            return
        if (factor := recovering(view)) < 1.0:
            feed.score, feed.reason = feed.score * factor, RECOVERING
        else:
            feed.well_ns = feed.well_ns or view.now

    def _choose(self, group: GroupState, now: int) -> list[int]:
        """The feed that was active and the one that is now, where that has changed."""
        best = max(
            range(len(group.feeds)), key=lambda place: (_rank(group.feeds[place]), group.feeds[place].score, -place)
        )
        chosen = best if group.feeds[best].score > 0 else NONE
        if group.active != NONE and group.feeds[group.active].score > 0:
            chosen = self._stay_or_leave(group, best, now)
        if chosen == group.active:
            return []
        before, group.active, group.switched_ns = group.active, chosen, now
        return [place for place in (before, chosen) if place != NONE]

    def _stay_or_leave(self, group: GroupState, best: int, now: int) -> int:
        """From a feed that has failed to the best at once; from one that is well only to one that has been so for long."""
        limits, active = self._limits, group.feeds[group.active]
        if active.score < limits.fail_below:
            return best if _rank(group.feeds[best]) > _rank(active) else group.active
        held = now - limits.hold_s * NS_PER_SECOND
        if group.switched_ns > held:
            return group.active
        for place, feed in enumerate(group.feeds):
            gain = feed.score - active.score
            enough = gain > -limits.margin if place < group.active else gain >= limits.margin
            if place != group.active and feed.usable and 0 < feed.well_ns <= held and enough:
                return place
        return group.active

    def _change(self, at: int, place: int, now: int) -> FeedChanged:
        of, feed = self._groups[at], self.state.groups[at].feeds[place]
        return FeedChanged(
            ts_event=now,
            book=self._book,
            instrument_id=of.instrument_id,
            feed=of.members[place].feed,
            active=place == self.state.groups[at].active,
            score=feed.score,
            reason=feed.reason,
        )


def _rank(feed: FeedState) -> int:
    """Who is only recovering is better than who fails at this moment, and worse than who is well."""
    return 2 if feed.usable else int(feed.reason == RECOVERING)
