"""The gateway's SQL: history, newest first, in pages. `before` is the sequence the next page starts below."""

from __future__ import annotations

from typing import Final

# A step proposes several orders under one sequence: a page ends with the last of them, so that the next one misses none.
ORDERS: Final = """
    SELECT * FROM (
        SELECT * FROM orders
        WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR instrument_id = $2)
          AND ($3::text IS NULL OR strategy_id = $3) AND ($4::bigint IS NULL OR first_seq < $4)
        ORDER BY first_seq DESC FETCH FIRST $5 ROWS WITH TIES
    ) AS page
    ORDER BY first_seq DESC, client_order_id
"""

ORDER: Final = "SELECT * FROM orders WHERE client_order_id = $1"

ORDER_EVENTS: Final = "SELECT * FROM order_events WHERE client_order_id = $1 ORDER BY seq, item"

ORDER_FILLS: Final = "SELECT * FROM fills WHERE client_order_id = $1 ORDER BY seq"

DECISIONS: Final = """
    SELECT e.seq, e.ts_event, e.state AS decision, e.note, o.client_order_id, o.strategy_id, o.instrument_id, o.side,
        o.qty, o.reason, o.rule, o.resized_from, o.deny_code, o.deny_observed, o.deny_limit, o.denied_by
    FROM order_events e JOIN orders o USING (client_order_id)
    WHERE e.state IN ('APPROVED', 'DENIED') AND ($1::text IS NULL OR e.state = $1)
      AND ($2::bigint IS NULL OR e.seq < $2)
    ORDER BY e.seq DESC LIMIT $3
"""

REGIMES: Final = """
    SELECT * FROM market_regimes
    WHERE instrument_id = $1 AND timeframe = $2 AND ($3::bigint IS NULL OR seq < $3)
    ORDER BY seq DESC LIMIT $4
"""

ALERTS: Final = "SELECT * FROM alerts WHERE ($1::bigint IS NULL OR seq < $1) ORDER BY seq DESC LIMIT $2"

RUNS: Final = """
    SELECT seq, ts_event, ts_init, book, profile, data, start_ns, end_ns, lockstep, build FROM runs
    WHERE ($1::bigint IS NULL OR seq < $1) ORDER BY seq DESC LIMIT $2
"""

COSTS: Final = """
    SELECT strategy_id, instrument_id, commission_currency, count(*) AS fills, sum(last_qty) AS qty,
        sum(last_qty * last_px) AS notional, sum(commission) AS commission,
        sum(slippage_bps * last_qty * last_px) / NULLIF(sum(last_qty * last_px), 0) AS slippage_bps,
        sum(CASE WHEN side = 'BUY' THEN last_px - ref_px ELSE ref_px - last_px END * last_qty) AS slippage
    FROM fills
    WHERE ($1::text IS NULL OR instrument_id = $1) AND ($2::text IS NULL OR strategy_id = $2)
    GROUP BY strategy_id, instrument_id, commission_currency ORDER BY strategy_id, instrument_id
"""

ORDER_COSTS: Final = """
    SELECT c.*, p.naive_bps, p.slices, p.reason FROM execution_costs c
    LEFT JOIN LATERAL (
        SELECT * FROM execution_plans WHERE client_order_id = c.client_order_id ORDER BY seq DESC LIMIT 1
    ) AS p ON true
    WHERE ($1::text IS NULL OR c.instrument_id = $1) AND ($2::bigint IS NULL OR c.seq < $2)
    ORDER BY c.seq DESC LIMIT $3
"""

BREAKS: Final = "SELECT * FROM reconciliation_breaks WHERE ($1::bigint IS NULL OR seq < $1) ORDER BY seq DESC LIMIT $2"

MEASURES: Final = "SELECT * FROM risk_measures WHERE ($1::bigint IS NULL OR seq < $1) ORDER BY seq DESC LIMIT $2"

STRESS: Final = "SELECT * FROM stress_results WHERE seq = (SELECT max(seq) FROM stress_results) ORDER BY loss DESC"

# The newest $1 steps; the oldest price first.
PRICES: Final = """
    SELECT bar ->> 'instrument_id' AS instrument_id, array_agg((bar -> 'close')::float8 ORDER BY seq) AS px
    FROM (SELECT seq, data FROM tape WHERE type = 'md.slice.v1' ORDER BY ts_event DESC, seq DESC LIMIT $1) AS slice,
        jsonb_array_elements(data -> 'bars') AS bar
    WHERE (bar -> 'base')::boolean GROUP BY 1 ORDER BY 1
"""

# All while there are no more than $1; else up to $1 of them, evenly spaced on the tape, always with the oldest and the newest. Each is
# looked up: a page asks about once a second, and a year of minutes has half a million.
EQUITY: Final = """
    WITH known AS NOT MATERIALIZED (
        SELECT seq, ts_event, equity, drawdown, trading_state FROM portfolio_risk_metrics WHERE equity IS NOT NULL
    ), few AS (
        SELECT * FROM known ORDER BY seq LIMIT $1::bigint + 1
    ), counted AS (
        SELECT count(*) > $1 AS many FROM few
    ), marks AS (
        SELECT low + (high - low) * i / ($1 - 1) AS seq
        FROM (SELECT min(seq) AS low, max(seq) AS high FROM known) AS ends, counted, generate_series(0, $1 - 1) AS i
        WHERE many
    )
    SELECT few.* FROM few, counted WHERE NOT many
    UNION
    SELECT at.* FROM marks, LATERAL (SELECT * FROM known WHERE known.seq >= marks.seq ORDER BY seq LIMIT 1) AS at
    ORDER BY seq
"""

# The chain of an order: what was said about it, the step that proposed it, the step that set the target it leads to (between two
# rebalancings that is an earlier one, which is looked for in as many steps as a week of minutes has), the steps in which the
# strategies behind it formed their opinions, and the slices it was filled on.
CHAIN: Final = """
    WITH events AS (
        SELECT DISTINCT seq FROM order_events WHERE client_order_id = $1
    ), origin AS (
        SELECT * FROM tape WHERE seq = (SELECT min(seq) FROM events)
    ), ordered AS (
        SELECT instrument_id FROM orders WHERE client_order_id = $1
    ), aimed AS (
        SELECT step.seq, step.correlation_id, step.data FROM ordered, (
            SELECT seq, ts_event, correlation_id, data FROM tape
            WHERE type = (SELECT type FROM origin WHERE type LIKE 'portfolio.step.%')
              AND ts_event <= (SELECT ts_event FROM origin) AND seq <= (SELECT seq FROM origin)
            ORDER BY ts_event DESC, seq DESC LIMIT 10080
        ) AS step
        WHERE step.data -> 'targets' @> jsonb_build_array(jsonb_build_object('instrument_id', ordered.instrument_id))
        ORDER BY step.ts_event DESC, step.seq DESC LIMIT 1
    ), opinions AS (
        SELECT said.seq
        FROM aimed, ordered, jsonb_array_elements(aimed.data -> 'targets') AS target,
            jsonb_array_elements(target -> 'contributions') AS contribution,
            LATERAL (
                SELECT seq FROM strategy_signals AS s
                WHERE s.strategy_id = contribution ->> 'strategy_id' AND s.instrument_id = ordered.instrument_id
                  AND s.timeframe = contribution ->> 'timeframe' AND s.seq < aimed.seq
                ORDER BY s.seq DESC LIMIT 1
            ) AS said
        WHERE target ->> 'instrument_id' = ordered.instrument_id
    ), steps AS (
        SELECT correlation_id FROM origin UNION SELECT correlation_id FROM aimed
        UNION SELECT correlation_id FROM tape WHERE seq IN (SELECT seq FROM opinions)
    ), wanted AS (
        SELECT seq FROM events
        UNION SELECT seq FROM tape
            WHERE correlation_id IN (SELECT correlation_id FROM steps) AND seq <= (SELECT seq FROM origin)
              AND type NOT LIKE 'order.%' AND type NOT LIKE 'execution.%'
        UNION SELECT cause_seq FROM tape WHERE seq IN (SELECT seq FROM events) AND type LIKE 'order.filled.%'
    )
    SELECT seq, ts_init, ts_event, type, source, id, correlation_id, causation_id, cause_seq, cause_index, data
    FROM tape WHERE seq IN (SELECT seq FROM wanted) ORDER BY seq
"""
