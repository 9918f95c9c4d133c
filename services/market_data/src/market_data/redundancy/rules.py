"""What costs a feed how much of its score: one rule a line, each a factor from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from typing import Final, NamedTuple

from common.model.time import NS_PER_SECOND
from market_data.live.settings import HealthSettings
from market_data.redundancy import rows
from market_data.redundancy.state import FROZEN, SILENT, FeedState

BEATS: Final = 1.5  # so many of its own heartbeats must be missing
SPOKEN: Final = 2  # so often must the others have spoken before silence means something
AWAY_NS: Final = 300_000_000  # who contradicts for no longer may just have been the first to move
NAMED: Final = 0.9  # a factor above costs too little to be called a reason
SOFT: Final = 0.9  # of `fail_below`: what disqualifies a feed, but not where there is no other


class View(NamedTuple):
    """One feed at one instant. `heartbeat_ns` is 0 where it promises none, `left` how far the other feeds' median has gone
    since the feed's last change, as a fraction; 0 where there is none.
    """

    feed: FeedState
    now: int
    limits: HealthSettings
    heartbeat_ns: int
    left: float


Rule = Callable[[View], float]


def disconnected(view: View) -> float:
    return 1.0 if view.feed.connected else 0.0


def no_price_yet(view: View) -> float:
    return 1.0 if view.feed.price_ns else 0.0


def silent(view: View) -> float:
    """Not one sign of life for longer than it promised, or than is usual while the others speak."""
    feed, limits, quiet = view.feed, view.limits, view.now - view.feed.event_ns
    least = limits.silence_s * NS_PER_SECOND
    if view.heartbeat_ns and quiet > max(least, BEATS * view.heartbeat_ns):
        return 0.0
    if feed.others_prices < SPOKEN or quiet <= max(least, limits.silence_gaps * feed.event_gap):
        return 1.0
    return 0.0


def frozen(view: View) -> float:
    """It lives, but the others' prices have moved away and its own stands still, which is too unlikely to be chance. Who is
    frozen is so until the price changes.
    """
    feed, limits = view.feed, view.limits
    if feed.frozen_ns:
        return 0.0
    if view.left <= limits.freeze_bps * 1e-4 or view.now - feed.change_ns <= limits.freeze_s * NS_PER_SECOND:
        return 1.0
    changes = feed.others_changes
    return 0.0 if changes >= limits.freeze_changes and rows.stillness(feed) > log(limits.freeze_odds) else 1.0


def bad_rows(view: View) -> float:
    """Nothing sound for a while, for a quote stands until the next one; or far too many bad ones among the others. One or two
    may be a quote of which only one side has come: its last price is then better than none.
    """
    feed, limits = view.feed, view.limits
    if feed.bad_ns and view.now - feed.bad_ns > limits.bad_s * NS_PER_SECOND:
        return 0.0 if feed.bad_rows >= limits.bad_rows else SOFT * limits.fail_below
    return _graded(feed.bad_share / limits.bad_share, limits)


def drifting(view: View) -> float:
    return 0.0 if view.feed.away_ns and view.now - view.feed.away_ns > AWAY_NS else 1.0


def repeating(view: View) -> float:
    """Share of rows said before, of those of the last while and so many that were new: a few rows alone are no share."""
    feed, limits = view.feed, view.limits
    kept = rows.kept(feed, view.now, limits.duplicate_s)
    share = feed.repeated * kept / (feed.counted * kept + limits.duplicate_rows)
    return _graded(share / limits.duplicate_share, limits)


def skewed(view: View) -> float:
    return _graded(abs(view.feed.skew) / (view.limits.skew_s * NS_PER_SECOND), view.limits)


def recovering(view: View) -> float:
    limits = view.limits
    if view.now - view.feed.failed_ns >= limits.recover_s * NS_PER_SECOND:
        return 1.0
    return SOFT * limits.fail_below


def _graded(of_limit: float, limits: HealthSettings) -> float:
    """1 for none, down to `fail_below` at the limit, and a failure beyond."""
    if of_limit > 1.0:
        return SOFT * limits.fail_below
    return 1.0 - (1.0 - limits.fail_below) * of_limit


# A factor of 0 means: not to be used at all. The first that is lowest gives the reason.
RULES: Final[Sequence[tuple[str, Rule]]] = (
    ("disconnected", disconnected),
    ("no price yet", no_price_yet),
    (SILENT, silent),
    (FROZEN, frozen),
    ("bad rows", bad_rows),
    ("away from the other feeds", drifting),
    ("repeats itself", repeating),
    ("clock skew", skewed),
)


def score(view: View) -> tuple[float, str]:
    """Product of all factors, and which rule cost most; "well" where none cost much."""
    product, lowest, reason = 1.0, NAMED, "well"
    for name, rule in RULES:
        factor = rule(view)
        product *= factor
        if factor < lowest:
            lowest, reason = factor, name
    return product, reason
