"""Section `[risk_guardian.limits]`: bounds on orders and positions. The defaults are those of the profile `fx`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec


class Session(StrEnum):
    ALWAYS = "always"
    FX_WEEK = "fx_week"  # Sunday 17:00 to Friday 17:00 in New York
    US_EQUITIES = "us_equities"  # shares: 9:30 to 16:00 on the days of the New York Stock Exchange; the rest always


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds on orders and positions. Fractions are of equity; what exceeds them is cut to fit, or denied. Where 0 means no
    limit, the description says so.
    """

    # --- size of an order, and what it makes of the book
    max_order_qty: Annotated[float, msgspec.Meta(gt=0, description="units in one order")] = 10_000_000.0
    max_order_notional: Annotated[float, msgspec.Meta(gt=0, description="one order, fraction of equity")] = 1.0
    max_position: Annotated[float, msgspec.Meta(gt=0, description="one instrument, fraction of equity")] = 1.5
    max_gross_exposure: Annotated[float, msgspec.Meta(gt=0, description="all positions, fraction of equity")] = 4.0
    max_net_exposure: Annotated[
        float, msgspec.Meta(gt=0, description="purchases less sales of all positions, fraction of equity")
    ] = 4.0
    max_leverage: Annotated[
        float, msgspec.Meta(gt=0, description="all positions, multiple of equity; no ladder shrinks it")
    ] = 5.0
    max_deployed: Annotated[
        float,
        msgspec.Meta(
            ge=0, description="put to work in positions, at the prices paid, fraction of equity; 0: no such limit"
        ),
    ] = 0.0
    max_volume_share: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="one order, share of the average daily volume; 0: no such limit")
    ] = 0.0
    require_volume: Annotated[
        bool, msgspec.Meta(description="deny where `max_volume_share` is set and no daily volume is known")
    ] = False
    resize: Annotated[bool, msgspec.Meta(description="cut an order to its limit instead of denying it")] = True

    # --- positions that hang together
    max_currency: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            description="net, in one currency or coin through all its pairs, fraction of equity; the account's own and dollar "
            "stablecoins are free; 0: no such limit",
        ),
    ] = 0.0
    max_strategy_type: Annotated[
        float,
        msgspec.Meta(ge=0, description="positions held for one type of strategy, fraction of equity; 0: no such limit"),
    ] = 0.0
    strategy_types: Annotated[
        dict[str, str],
        msgspec.Meta(description="type by beginning of the strategy's id, the longest wins; others are their own type"),
    ] = msgspec.field(default_factory=dict)
    max_sector: Annotated[
        float, msgspec.Meta(ge=0, description="positions in one sector, fraction of equity; 0: no such limit")
    ] = 0.0
    sectors: Annotated[
        dict[str, str], msgspec.Meta(description="sector by symbol; symbols that are not here are sectors of their own")
    ] = msgspec.field(default_factory=dict)
    max_correlated: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            description="an instrument together with those it correlates with (PFL-06), fraction of equity; 0: no such limit",
        ),
    ] = 0.5

    # --- risk of the book after the order
    max_var_95_1d: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="95 % one-day value at risk, fraction of equity; 0: no such limit")
    ] = 0.0
    max_es_95_1d: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="95 % one-day expected shortfall; 0: no such limit")
    ] = 0.0
    max_stress_loss: Annotated[
        float, msgspec.Meta(ge=0, description="loss in the worst stress scenario, fraction of equity; 0: no such limit")
    ] = 0.0
    require_var: Annotated[
        bool, msgspec.Meta(description="deny new risk while there is too little history for a measure that is limited")
    ] = False
    max_heat: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="lost when every stop is hit, fraction of equity; 0: no such limit")
    ] = 0.0
    max_daily_loss: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=1, description="lost since the last step of the UTC day before, fraction; 0: no such limit"
        ),
    ] = 0.0
    max_drawdown: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="fallen from the peak, fraction; 0: no such limit")
    ] = 0.0

    # --- prices, time, session
    price_collar: Annotated[
        float, msgspec.Meta(gt=0, le=1, description="limit, stop and arrival prices this close to the guardian's own")
    ] = 0.02
    stale_after_bars: Annotated[
        float,
        msgspec.Meta(
            gt=0, description="a price, a quote or a decision older than so many of its instrument's bars is stale"
        ),
    ] = 4.0
    require_quote: Annotated[
        bool,
        msgspec.Meta(description="market orders need a quote even where the data never had one"),
    ] = False
    max_clock_jump_hours: Annotated[
        float, msgspec.Meta(ge=0, description="a slice further ahead of the one before is a clock jump; 0: never")
    ] = 336.0
    session: Annotated[Session, msgspec.Meta(description="when new risk may be taken")] = Session.ALWAYS
    restricted: Annotated[
        tuple[str, ...], msgspec.Meta(description="symbols or instrument ids in which only exits are allowed")
    ] = ()

    # --- messages: an automat gone wild
    orders_per_minute: Annotated[int, msgspec.Meta(ge=1, description="approvals in a minute of data time")] = 120
    strategy_orders_per_minute: Annotated[int, msgspec.Meta(ge=1, description="the same, of one strategy")] = 120
    cancels_per_minute: Annotated[
        int, msgspec.Meta(ge=1, description="new risk waits while more orders than that were canceled in a minute")
    ] = 240
    strategy_cancels_per_minute: Annotated[int, msgspec.Meta(ge=1, description="the same, of one strategy")] = 120
    notional_per_minute: Annotated[
        float, msgspec.Meta(gt=0, description="new risk approved in a minute, multiple of equity")
    ] = 20.0
    max_open_orders: Annotated[int, msgspec.Meta(ge=1, description="orders that work at the same time")] = 500
    duplicate_window_s: Annotated[
        float,
        msgspec.Meta(ge=0, description="the same order again within so many seconds is a duplicate; 0: never"),
    ] = 1.0
    max_repeats: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            description="new risk by one strategy in one instrument within `repeat_window_minutes`; one more halts that strategy "
            "there until a person lifts it",
        ),
    ] = 60
    repeat_window_minutes: Annotated[
        float, msgspec.Meta(gt=0, le=1440, description="in which repeats are counted, of data time")
    ] = 10.0
