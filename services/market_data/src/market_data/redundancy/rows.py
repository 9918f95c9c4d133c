"""What one row of a feed does to what is known of that feed, and why it is not a price."""

from __future__ import annotations

from math import copysign, exp, inf, isfinite, log1p
from typing import Final

from common.messages.market_data import QuarantineReason
from common.model.time import NS_PER_DAY, NS_PER_SECOND, iso
from market_data.live.connection import QuoteSeen, TradeSeen
from market_data.redundancy.state import FeedState

SHARE_ROWS: Final = 64.0  # rows over which shares are averaged
GAP_EVENTS: Final = 32.0
CHANGES: Final = 64.0  # over which it is learned how often the others change between two changes of a feed
LEAST: Final = 1e-3  # of what is usual there: a feed may be nearly the only one that changes
MOST: Final = 8.0  # so many times what is usual is the most that is learned of one stretch: it may have been a freeze
SKEW_ROWS: Final = 8.0
WILD: Final = 0.3 * SKEW_ROWS  # times the limit: one row whose time is none costs little, five in a row too much
LONGEST_GAP_NS: Final = 10_000_000_000  # a longer one was an outage, or a market that slept
REMEMBERED_TRADES: Final = 64

Row = QuoteSeen | TradeSeen
Objection = tuple[QuarantineReason, str]


def unsound(row: Row) -> Objection | None:
    """Why it can be no price at all, whoever says it."""
    if isinstance(row, TradeSeen):
        if isfinite(row.px) and row.px > 0 and 0 <= row.qty < inf:
            return None
        return QuarantineReason.NOT_POSITIVE, f"price={row.px!r} quantity={row.qty!r}"
    if not isfinite(row.bid + row.ask):
        return QuarantineReason.MISSING_PRICE, f"bid={row.bid!r} ask={row.ask!r}"
    if row.bid <= 0 or row.ask <= 0:
        return QuarantineReason.NOT_POSITIVE, f"bid={row.bid!r} ask={row.ask!r}"
    if row.bid > row.ask:
        return QuarantineReason.CROSSED, f"bid={row.bid!r} ask={row.ask!r}"
    return None


def repeated(feed: FeedState, row: Row, skew_ns: float) -> Objection | None:
    """Why it says nothing new: said before, or older than what was said. Whose clock is off by more than `skew_ns` is not
    judged by its times.
    """
    if isinstance(row, TradeSeen):
        if row.trade_id and row.trade_id in feed.trade_ids:
            return QuarantineReason.DUPLICATE, f"trade {row.trade_id} again"
        return None
    if not names_time(row) or row.ts_venue > feed.venue_ns:
        return None
    if not feed.price_ns and (row.ts_venue, row.bid, row.ask) == (feed.venue_ns, feed.bid, feed.ask):
        return None  # what it says first after a connection: the quote before still stands
    if row.ts_venue < feed.venue_ns and abs(feed.skew) <= skew_ns:
        return QuarantineReason.OUT_OF_ORDER, f"found behind {iso(feed.venue_ns)}"
    if row.ts_venue == feed.venue_ns and row.bid == feed.bid and row.ask == feed.ask:
        return QuarantineReason.DUPLICATE, f"second row for {iso(row.ts_venue)}"
    return None


def lives(feed: FeedState, now: int) -> None:
    """A sign of life."""
    feed.event_gap = _gap(feed.event_gap, feed.event_ns, now)
    feed.event_ns, feed.others_prices = now, 0


def names_time(row: Row) -> bool:
    """Whether the venue's time of it is one. Farther than a day from ours it is none: the year 1 of a field that nobody set."""
    return row.ts_venue != 0 and abs(row.ts_received - row.ts_venue) <= NS_PER_DAY


def compare_clocks(feed: FeedState, row: Row, skew_ns: float) -> None:
    """What lies between its clock and ours, for rows that are told apart by their times and those that are not. The first price
    after a connection may have stood for hours: its age is no skew.
    """
    if not row.ts_venue or not feed.price_ns:
        return
    distance: float = row.ts_received - row.ts_venue
    if not names_time(row):
        distance = copysign(WILD * skew_ns, distance)
    feed.skew += (distance - feed.skew) / SKEW_ROWS


def size(said: float) -> float:
    """Of a quote: 0 where what it says can be none."""
    return said if 0.0 <= said < inf else 0.0


def count_bad(feed: FeedState, now: int, *, bad: bool) -> None:
    feed.bad_share += (bad - feed.bad_share) / SHARE_ROWS
    feed.bad_ns, feed.bad_rows = (feed.bad_ns or now, feed.bad_rows + 1) if bad else (0, 0)


def count_repeated(feed: FeedState, now: int, over_s: float, *, again: bool) -> None:
    share = kept(feed, now, over_s)
    feed.repeated, feed.counted, feed.counted_ns = feed.repeated * share + again, feed.counted * share + 1.0, now


def kept(feed: FeedState, now: int, over_s: float) -> float:
    """Share of what was counted that still counts: rows are forgotten exponentially, by time."""
    return exp(min(0.0, (feed.counted_ns - now) / (over_s * NS_PER_SECOND))) if feed.counted_ns else 0.0


def is_price(feed: FeedState, row: Row) -> bool:
    """A trade is one only where nothing is quoted."""
    return isinstance(row, QuoteSeen) or not feed.quotes


def mid_of(row: Row) -> float:
    return row.px if isinstance(row, TradeSeen) else (row.bid + row.ask) / 2


def remember(feed: FeedState, trade: TradeSeen) -> None:
    """By its id, so that it is not counted twice."""
    if trade.trade_id:
        feed.trade_ids.append(trade.trade_id)
        del feed.trade_ids[:-REMEMBERED_TRADES]


def take(feed: FeedState, row: Row, mid: float) -> bool:
    """Remembers a sound price; whether it is another one than before."""
    now = row.ts_received
    if names_time(row):
        feed.venue_ns = row.ts_venue
    if isinstance(row, QuoteSeen):
        feed.quotes, feed.bid, feed.ask = True, row.bid, row.ask
    changed = mid != feed.mid
    feed.price_ns, feed.mid = now, mid
    if changed:
        feed.change_gap = _gap(feed.change_gap, feed.change_ns, now)
        if not feed.frozen_ns:  # how long it was frozen says nothing about how often it changes
            most = MOST * (1.0 + feed.others_usual)
            feed.others_usual += (min(feed.others_changes, most) - feed.others_usual) / CHANGES
        feed.change_ns, feed.others_changes, feed.frozen_ns = now, 0, 0
    return changed


def left(feed: FeedState, others_mid: float) -> float:
    """How far the others' price has gone since the feed's last change, as a fraction; 0 where they had or have none."""
    return abs(others_mid / feed.others_mid - 1.0) if others_mid and feed.others_mid else 0.0


def stillness(feed: FeedState) -> float:
    """Logarithm of how much likelier a frozen feed makes the others' changes since its own last one than one that is well.

    Of a feed that changes as often as ever the next change of all has a chance of 1 / (1 + usual) to be its own; of a frozen
    one none: the likelihood ratio of Wald (1945).
    """
    return -feed.others_changes * log1p(-1.0 / (1.0 + max(LEAST, feed.others_usual)))


def _gap(average: float, before: int, now: int) -> float:
    if not before:
        return average
    gap = min(max(0, now - before), LONGEST_GAP_NS)
    return average + (gap - average) / GAP_EVENTS if average else float(gap)
