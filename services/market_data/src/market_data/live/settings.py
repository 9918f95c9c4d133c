"""Settings of live prices: the tables `[[market_data.feeds]]`, and `[market_data.live]` and `[market_data.health]`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from common.model.time import Timeframe

Adapter = Literal["recorded", "coinbase", "kraken", "binance", "alpaca", "oanda"]


class Fault(StrEnum):
    SILENCE = "SILENCE"
    DISCONNECT = "DISCONNECT"
    FREEZE = "FREEZE"
    DRIFT = "DRIFT"
    CROSSED = "CROSSED"
    SKEW = "SKEW"
    DUPLICATES = "DUPLICATES"


class FaultSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Annotated[Fault, Meta(description="What goes wrong.")]
    at_s: Annotated[float, Meta(ge=0, description="When, in seconds after the feed's start.")]
    for_s: Annotated[float, Meta(gt=0, description="For how many seconds.")]
    size: Annotated[
        float,
        Meta(description="Basis points of a DRIFT, seconds of a SKEW, copies of each quote of DUPLICATES."),
    ] = 20.0


class FeedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,32}$", description="Of this feed, in messages and metrics.")]
    adapter: Annotated[Adapter, Meta(description="Who is asked; `recorded` plays recorded or made-up quotes.")]
    venue: Annotated[
        str,
        Meta(
            pattern=r"^[A-Z0-9-]{1,16}$",
            description="Its instruments are SYMBOL.VENUE. Feeds of one venue that have a symbol in common supply it redundantly;"
            " the one named first is preferred where both are well.",
        ),
    ]
    symbols: Annotated[tuple[str, ...], Meta(min_length=1, description="As BTC-USD, EUR-USD, AAPL.")]
    url: Annotated[str, Meta(description="Another server than the adapter's own.")] = ""
    key_file: Annotated[str, Meta(description="File with the keys, where the adapter needs any.")] = ""
    account: Annotated[str, Meta(description="Account at OANDA.")] = ""
    heartbeat_s: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="A message of whatever kind comes at least every so many seconds while the feed lives; 0: not known.",
        ),
    ] = 0.0
    data: Annotated[
        str, Meta(description="Of `recorded`: a file of quotes (timestamp, bid, ask); empty: made-up quotes.")
    ] = ""
    start: Annotated[
        str, Meta(description="Of `recorded`: the instant of the data that is played first; empty: its start.")
    ] = ""
    faults: Annotated[tuple[FaultSettings, ...], Meta(description="Of `recorded`: what goes wrong on the way.")] = ()


class LiveSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    base_timeframe: Annotated[
        Timeframe, Meta(description="The bars that are made of what the feeds say, 15m at most.")
    ] = Timeframe.M1
    grace_s: Annotated[
        float,
        Meta(ge=0, le=10, description="What arrives so late after the end of a period still belongs to it."),
    ] = 0.5
    opening_s: Annotated[
        float,
        Meta(
            gt=0,
            le=600,
            description="The run begins with the first price of every instrument, at the latest after this.",
        ),
    ] = 30.0
    patience_s: Annotated[
        float,
        Meta(
            gt=0, le=600, description="A slice waits so long for the step before it to be closed, and then no longer."
        ),
    ] = 20.0
    clock_speed: Annotated[
        float,
        Meta(
            ge=1, le=1000, description="For drills on `recorded` feeds: how much faster than real time everything is."
        ),
    ] = 1.0


class HealthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    silence_s: Annotated[
        float, Meta(gt=0, le=600, description="A feed that says nothing for less than this is not silent.")
    ] = 1.5
    silence_gaps: Annotated[
        float,
        Meta(ge=1, le=100, description="Nor is one that says nothing for less than so many of its usual gaps."),
    ] = 20.0
    freeze_s: Annotated[
        float, Meta(gt=0, le=600, description="A price that stands still for less than this is not frozen.")
    ] = 1.5
    freeze_changes: Annotated[
        int,
        Meta(ge=2, le=1000, description="Nor is one while the other feeds' prices have changed less often than this."),
    ] = 2
    freeze_bps: Annotated[
        float,
        Meta(gt=0, le=1000, description="Nor is one that the others have not left by more basis points than this."),
    ] = 0.5
    freeze_odds: Annotated[
        float,
        Meta(
            gt=1,
            le=1e12,
            description="Nor is one before it is so many times likelier to stand still frozen than well: by how often the "
            "others have changed, against how often they usually do between two changes of this feed.",
        ),
    ] = 1000.0
    drift_bps: Annotated[
        float,
        Meta(
            gt=0, le=1000, description="A price so far from the other feeds' median, in basis points, is not believed."
        ),
    ] = 5.0
    fresh_s: Annotated[
        float,
        Meta(
            gt=0,
            le=600,
            description="The price of a feed that has given no sign of life for longer contradicts nobody.",
        ),
    ] = 60.0
    bad_s: Annotated[
        float,
        Meta(
            gt=0, le=600, description="A feed whose last row is bad (zero, crossed, unreadable) for longer has failed."
        ),
    ] = 1.0
    bad_rows: Annotated[
        int,
        Meta(ge=1, le=1000, description="After so many in a row its last sound price is not used at all any more."),
    ] = 3
    bad_share: Annotated[
        float, Meta(gt=0, le=1, description="So large a share of bad rows among the last hundred or so is a failure.")
    ] = 0.6
    duplicate_share: Annotated[
        float, Meta(gt=0, le=1, description="So large a share of rows said before costs the feed its turn.")
    ] = 0.5
    duplicate_rows: Annotated[
        float, Meta(ge=1, le=10_000, description="That share is counted as if so many more rows had been new.")
    ] = 8.0
    duplicate_s: Annotated[
        float, Meta(gt=0, le=3600, description="And rows are forgotten over so long, exponentially.")
    ] = 5.0
    skew_s: Annotated[
        float, Meta(gt=0, le=600, description="A venue's clock so far from ours costs the feed its turn.")
    ] = 2.0
    fail_below: Annotated[float, Meta(gt=0, lt=1, description="A feed with a lower score has failed.")] = 0.5
    recover_s: Annotated[
        float,
        Meta(gt=0, le=3600, description="A feed that has failed counts as failed for at least this long afterwards."),
    ] = 5.0
    hold_s: Annotated[
        float,
        Meta(
            gt=0, le=86400, description="A feed is gone back to once it has been well for this long, and no more often."
        ),
    ] = 30.0
    margin: Annotated[
        float,
        Meta(
            gt=0, le=1, description="A feed that is not the preferred one is gone to only for a score better by this."
        ),
    ] = 0.2
