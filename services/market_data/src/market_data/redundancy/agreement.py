"""Whether a price agrees with what the other feeds say, and who is wrong where it does not."""

from __future__ import annotations

from math import log
from statistics import median
from typing import Final

from common.model.time import NS_PER_MINUTE, NS_PER_SECOND
from market_data.live.settings import HealthSettings
from market_data.redundancy import rows
from market_data.redundancy.state import SILENT, FeedState, GroupState

CLOSELY: Final = 1 / 3  # of the distance allowed: what counts as agreement for later
PLAINLY: Final = 1.5  # so many times farther from what was agreed is who is wrong of two
AGREED_FOR_NS: Final = NS_PER_MINUTE
STUCK_NS: Final = 10 * NS_PER_SECOND  # who is frozen for longer, with the certainty below, is no witness any more
CERTAINLY: Final = 3.0  # times the evidence that a freeze takes: or the one that moves may be the one that is wrong


def believe(group: GroupState, place: int, mid: float, now: int, limits: HealthSettings) -> bool:
    """Whether `mid` of the feed at `place` is believed; marks who contradicts.

    Of three and more the median decides. Of two that contradict each other the one is wrong that has left the price on which
    both agreed, until they agree again; while that cannot be told neither is believed, until the agreement is forgotten.
    """
    feed = group.feeds[place]
    others = [other for at, other in enumerate(group.feeds) if at != place and _counts(other, now, limits)]
    if not others:
        feed.away_ns = 0
        return True
    voices = [other.mid for other in others]
    among = voices[0] if len(others) == 1 else median([mid, *voices])
    distance, allowed = abs(mid / among - 1.0), limits.drift_bps * 1e-4
    if distance <= allowed:
        _agree(group, feed, others, (mid + among) / 2, now, closely=distance <= allowed * CLOSELY)
        return True
    if _stuck(feed, now, limits):
        return False
    if len(others) > 1:
        feed.away_ns = feed.away_ns or now
        return False
    return _who_left(group, feed, others[0], mid, now, limits)


def middle(group: GroupState, feed: FeedState, now: int, limits: HealthSettings) -> float:
    """Median of the last prices of the others that are believed; 0 where there are none."""
    voices = [
        other.mid for other in group.feeds if other is not feed and not other.away_ns and _counts(other, now, limits)
    ]
    return median(voices) if voices else 0.0


def _counts(other: FeedState, now: int, limits: HealthSettings) -> bool:
    """Whether its last price stands: a quote does until the next one, as long as the feed lives and is not stuck."""
    lives = (
        other.connected and not _stuck(other, now, limits) and now - other.event_ns <= limits.fresh_s * NS_PER_SECOND
    )
    return lives and other.price_ns > 0 and other.reason != SILENT


def _stuck(feed: FeedState, now: int, limits: HealthSettings) -> bool:
    if not feed.frozen_ns or now - feed.frozen_ns <= STUCK_NS:
        return False
    return rows.stillness(feed) > CERTAINLY * log(limits.freeze_odds)


def _agree(group: GroupState, feed: FeedState, others: list[FeedState], mid: float, now: int, *, closely: bool) -> None:
    feed.away_ns = 0
    if len(others) == 1:
        others[0].away_ns = 0
    if closely:
        group.agreed, group.agreed_ns = mid, now


def _who_left(
    group: GroupState, feed: FeedState, other: FeedState, mid: float, now: int, limits: HealthSettings
) -> bool:
    if other.away_ns:
        return True
    if feed.away_ns and now - max(other.change_ns, feed.away_ns) <= limits.fresh_s * NS_PER_SECOND:
        return False
    if feed.away_ns:  # the other one lives, but has not moved for too long to be a witness
        feed.away_ns, group.agreed = 0, 0.0
    forgotten = now - group.agreed_ns > AGREED_FOR_NS and other.change_ns > group.agreed_ns
    if not group.agreed or forgotten:
        return True  # nothing to judge by: whoever is active stays so
    own, its = abs(mid - group.agreed), abs(other.mid - group.agreed)
    if own > PLAINLY * its:
        feed.away_ns = now
    elif its > PLAINLY * own:
        other.away_ns = now
        return True
    return False
