"""Settings of market data: section `[market_data]` of a profile."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from common.model.time import DayClose, Timeframe
from market_data.live.settings import FeedSettings, HealthSettings, LiveSettings


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    book: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_-]+$", description="Name of the book; a token of every subject.")
    ] = "fx"
    symbols: Annotated[
        tuple[str, ...],
        Meta(description="Instruments to take from the feed, as EUR-USD, EUR_USD or EURUSD; empty takes all."),
    ] = ()
    timeframes: Annotated[
        tuple[Timeframe, ...],
        Meta(description="Bars to build, where coarser than what the feed delivers."),
    ] = tuple(Timeframe)
    day_close: Annotated[
        DayClose,
        Meta(description="End of daily and weekly bars built from finer ones; a daily feed keeps its own days."),
    ] = DayClose.UTC
    max_jump: Annotated[
        float,
        Meta(gt=0, le=10, description="A move from the last close of up to this fraction is never an outlier."),
    ] = 0.10
    jump_moves: Annotated[
        float,
        Meta(ge=1, le=1000, description="Nor is one of up to this many recent mean absolute moves."),
    ] = 20.0
    half_spreads: Annotated[
        dict[str, Decimal],
        Meta(description="Half spread in price units by symbol, where data has no quotes; overrides the rule."),
    ] = msgspec.field(default_factory=dict)
    corporate_actions: Annotated[
        str,
        Meta(
            description="Table of price and split factors by which raw prices of shares are adjusted; empty takes the one beside"
            " the data, if there is one."
        ),
    ] = ""
    economic_calendar: Annotated[
        str,
        Meta(
            description="Scheduled economic events: a csv file with timestamp, currency, impact and event; empty: none are said."
        ),
    ] = ""
    seed: Annotated[int, Meta(ge=0, description="Seed of synthetic markets.")] = 1
    feeds: Annotated[
        tuple[FeedSettings, ...], Meta(description="Where live prices come from, of a run with `--data live`.")
    ] = ()
    live: LiveSettings = LiveSettings()
    health: HealthSettings = HealthSettings()
