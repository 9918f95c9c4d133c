"""The gateway's SQL about markets: bars, regimes, sessions, what is scheduled. Every query is bounded."""

from __future__ import annotations

from typing import Final

BARS: Final = """
    SELECT ts_event, open, high, low, close, volume FROM market_bars
    WHERE instrument_id = $1 AND timeframe = $2 ORDER BY ts_event DESC, seq DESC LIMIT $3
"""

LABELS: Final = """
    SELECT ts_event, regime, override FROM market_regimes
    WHERE instrument_id = $1 AND timeframe = $2 ORDER BY seq DESC LIMIT $3
"""

MODELS: Final = """
    SELECT ts_event, bull, bear, sideways, high_volatility, forecast_vol, change_24h, change_48h FROM regime_models
    WHERE instrument_id = $1 AND timeframe = $2 ORDER BY seq DESC LIMIT $3
"""

STRESS: Final = "SELECT * FROM market_stress WHERE ($1::bigint IS NULL OR seq < $1) ORDER BY seq DESC LIMIT $2"

OVERRIDES: Final = "SELECT * FROM regime_overrides WHERE ($1::bigint IS NULL OR seq < $1) ORDER BY seq DESC LIMIT $2"

FEED_CHANGES: Final = """
    SELECT * FROM feed_changes
    WHERE ($1::text IS NULL OR instrument_id = $1) AND ($2::bigint IS NULL OR seq < $2) ORDER BY seq DESC LIMIT $3
"""

# Scheduled after $1 and not replaced: no later message speaks of a span that holds the event.
EVENTS: Final = """
    SELECT e.seq, e.ts_scheduled, e.currency, e.impact, e.name FROM economic_events e
    WHERE e.ts_scheduled > $1 AND ($2::text IS NULL OR e.impact = $2) AND ($3::text IS NULL OR e.currency IN ($3, 'ALL'))
      AND NOT EXISTS (
          SELECT FROM economic_events AS later
          WHERE later.seq > e.seq AND later.ts_event <= e.ts_scheduled AND later.ts_until >= e.ts_scheduled
      )
    ORDER BY e.ts_scheduled, e.seq, e.item LIMIT $4
"""

# Mean |close / open - 1| of whole hours, in basis points, by hour UTC at which they began, over $2 ns before the newest bar.
# Each instrument by the coarsest of its timeframes that fits into an hour.
MOVES: Final = """
    WITH newest AS (
        SELECT ts_event FROM market_bars ORDER BY seq DESC LIMIT 1
    ), chosen AS (
        SELECT instrument_id, (
            SELECT timeframe FROM unnest(ARRAY['1h', '30m', '15m', '5m', '1m']) WITH ORDINALITY AS fits (timeframe, rank)
            WHERE EXISTS (
                SELECT FROM market_bars b WHERE b.instrument_id = name.instrument_id AND b.timeframe = fits.timeframe
            )
            ORDER BY rank LIMIT 1
        ) AS timeframe
        FROM unnest($1::text[]) AS name (instrument_id)
    ), hours AS (
        SELECT b.instrument_id, (b.ts_event - 1) / 3600000000000 AS number,
            (array_agg(b.open ORDER BY b.ts_event))[1] AS open, (array_agg(b.close ORDER BY b.ts_event DESC))[1] AS close
        FROM chosen, newest, LATERAL (
            SELECT * FROM market_bars
            WHERE instrument_id = chosen.instrument_id AND timeframe = chosen.timeframe
              AND ts_event > newest.ts_event - $2::bigint
        ) AS b
        GROUP BY 1, 2
    )
    SELECT instrument_id, (number % 24)::int AS hour, count(*) AS hours,
        avg(abs(close / NULLIF(open, 0) - 1)) * 10000 AS mean_move_bps
    FROM hours GROUP BY 1, 2 ORDER BY 1, 2
"""

# The newest $1 fills, oldest first, with what was held before the oldest of them.
FILLS: Final = """
    WITH recent AS (
        SELECT * FROM fills ORDER BY seq DESC LIMIT $1
    ), held AS (
        SELECT account, instrument_id, sum(CASE WHEN side = 'BUY' THEN last_qty ELSE -last_qty END) AS qty FROM fills
        WHERE seq < (SELECT min(seq) FROM recent) GROUP BY account, instrument_id
    )
    SELECT recent.ts_event, account, instrument_id, side, last_qty, last_px, commission,
        COALESCE(held.qty, 0) AS held
    FROM recent LEFT JOIN held USING (account, instrument_id) ORDER BY recent.seq
"""

# Volume by bins of $5 in the logarithm of the typical price, over the newest $3 hours that have bars and are over, of the finest
# of the timeframes $2 that reaches as far back as the hours do: what is finer than an hour is kept for some days only. They lie
# within its newest $4 bars.
BINS: Final = """
    WITH needed AS (
        SELECT min(ts_event) AS ts_event FROM (
            SELECT ts_event FROM market_bars
            WHERE instrument_id = $1 AND timeframe = '1h' ORDER BY ts_event DESC LIMIT $3 + 1
        ) AS hours
    ), finest AS (
        SELECT timeframe FROM unnest($2::text[]) WITH ORDINALITY AS fits (timeframe, rank)
        WHERE (
            SELECT min(b.ts_event) <= COALESCE((SELECT ts_event FROM needed), max(b.ts_event)) FROM market_bars b
            WHERE b.instrument_id = $1 AND b.timeframe = fits.timeframe
        )
        ORDER BY rank LIMIT 1
    ), newest AS (
        SELECT b.* FROM finest, LATERAL (
            SELECT *, (ts_event - 1) / 3600000000000 AS hour FROM market_bars
            WHERE instrument_id = $1 AND timeframe = finest.timeframe ORDER BY ts_event DESC LIMIT $4
        ) AS b
    ), placed AS (
        SELECT *, dense_rank() OVER (ORDER BY hour DESC) AS back FROM newest
        WHERE hour < (SELECT max(ts_event) / 3600000000000 FROM newest)
    )
    SELECT timeframe, floor(ln((high + low + close) / 3) / $5)::bigint AS bin, sum(volume) AS volume, count(*) AS bars,
        max(ts_event) AS ts_event
    FROM placed WHERE back <= $3 AND low > 0 GROUP BY 1, 2 ORDER BY 2
"""

# True ranges as fractions of the close before, summed over each of the newest $2 hours that have bars and are over, oldest first; of
# the coarsest timeframe that fits into an hour, which is kept longest. They lie within its newest $3 bars.
TRAVELLED: Final = """
    WITH chosen AS (
        SELECT timeframe FROM unnest(ARRAY['1h', '30m', '15m', '5m', '1m']) WITH ORDINALITY AS fits (timeframe, rank)
        WHERE EXISTS (SELECT FROM market_bars b WHERE b.instrument_id = $1 AND b.timeframe = fits.timeframe)
        ORDER BY rank LIMIT 1
    ), newest AS (
        SELECT b.* FROM chosen, LATERAL (
            SELECT timeframe, ts_event, high, low, close FROM market_bars
            WHERE instrument_id = $1 AND timeframe = chosen.timeframe ORDER BY ts_event DESC LIMIT $3
        ) AS b
    ), followed AS (
        SELECT *, (ts_event - 1) / 3600000000000 AS hour, lag(close) OVER (ORDER BY ts_event) AS before FROM newest
    ), hours AS (
        SELECT timeframe, (hour + 1) * 3600000000000 AS end_ns, count(*) AS bars,
            sum(greatest(high - low, abs(high - before), abs(low - before)) / before ORDER BY ts_event) AS travelled
        FROM followed WHERE before > 0 AND hour < (SELECT max(ts_event) / 3600000000000 FROM newest)
        GROUP BY timeframe, hour ORDER BY end_ns DESC LIMIT $2
    )
    SELECT * FROM hours ORDER BY end_ns
"""
