"""The tape, the history tables of the services that exist, and what recovery needs."""

from __future__ import annotations

from alembic import op

revision = "v0001"
down_revision = None
branch_labels = None
depends_on = None

_TAPE = """
CREATE TABLE tape (
    seq bigint PRIMARY KEY,
    ts_init bigint NOT NULL,
    ts_event bigint NOT NULL,
    type text NOT NULL,
    source text NOT NULL,
    id text NOT NULL,
    correlation_id text NOT NULL,
    causation_id text NOT NULL,
    cause_seq bigint NOT NULL,
    cause_index integer NOT NULL,
    data jsonb NOT NULL
);
CREATE INDEX tape_type_ts_event ON tape (type, ts_event);
CREATE INDEX tape_correlation_id ON tape (correlation_id);

CREATE TABLE recorder_position (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    seq bigint NOT NULL,
    digest text NOT NULL
);
COMMENT ON TABLE recorder_position IS 'How far the tape is recorded, and the digest of the message there';
INSERT INTO recorder_position (seq, digest) VALUES (0, '');

CREATE TABLE hot_state (
    hash text NOT NULL,
    field text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (hash, field)
) WITH (fillfactor = 50);
COMMENT ON TABLE hot_state IS 'What Redis holds; Redis is filled from here when it was wiped';

CREATE TABLE dead_letters (
    seq bigint PRIMARY KEY,
    reason text NOT NULL,
    payload bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE dead_letters IS 'Messages on the tape that this build cannot understand, and holes in it';

CREATE TABLE order_intents (
    client_order_id text PRIMARY KEY,
    ts_event bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    intent jsonb NOT NULL
);
COMMENT ON TABLE order_intents IS 'Written by execution, committed before the venue hears of an order: no projection';
"""

_MARKETS = """
CREATE TABLE runs (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    ts_init bigint NOT NULL,
    book text NOT NULL,
    profile text NOT NULL,
    data text NOT NULL,
    start_ns bigint,
    end_ns bigint,
    lockstep boolean NOT NULL,
    config text NOT NULL,
    build text NOT NULL
);

CREATE TABLE quarantined_rows (
    seq bigint NOT NULL,
    item integer NOT NULL,
    ts_event bigint NOT NULL,
    instrument_id text NOT NULL,
    ts_row bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (seq, item)
);

CREATE TABLE market_regimes (
    seq bigint NOT NULL,
    item integer NOT NULL,
    ts_event bigint NOT NULL,
    step bigint NOT NULL,
    instrument_id text NOT NULL,
    timeframe text NOT NULL,
    regime text NOT NULL,
    candidate text NOT NULL,
    since_ns bigint NOT NULL,
    confidence double precision NOT NULL,
    vol_state text NOT NULL,
    vol_ratio double precision,
    adx double precision,
    plus_di double precision,
    minus_di double precision,
    chop double precision,
    atr double precision,
    atr_percentile double precision,
    atr_ratio double precision,
    bb_width double precision,
    PRIMARY KEY (seq, item)
);
CREATE INDEX market_regimes_of ON market_regimes (instrument_id, timeframe, seq);

CREATE TABLE strategy_signals (
    seq bigint NOT NULL,
    item integer NOT NULL,
    ts_event bigint NOT NULL,
    step bigint NOT NULL,
    strategy_id text NOT NULL,
    tier text NOT NULL,
    instrument_id text NOT NULL,
    timeframe text NOT NULL,
    direction text NOT NULL,
    strength double precision NOT NULL,
    confidence double precision NOT NULL,
    stop_fraction double precision NOT NULL,
    size_factor double precision NOT NULL,
    vol_state text NOT NULL,
    vol_ratio double precision,
    ref_px double precision NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (seq, item)
);
CREATE INDEX strategy_signals_of ON strategy_signals (strategy_id, instrument_id, timeframe, seq);
"""

_BOOK = """
CREATE TABLE portfolio_steps (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    book text NOT NULL,
    step bigint NOT NULL,
    equity numeric,
    gross_exposure numeric NOT NULL,
    net_exposure numeric NOT NULL,
    total_risk numeric NOT NULL
);

CREATE TABLE portfolio_risk_metrics (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    book text NOT NULL,
    step bigint NOT NULL,
    trading_state text NOT NULL,
    equity numeric,
    peak_equity numeric NOT NULL,
    drawdown double precision NOT NULL,
    gross_exposure numeric NOT NULL,
    exposure_factor double precision NOT NULL,
    stop_factor double precision NOT NULL,
    approved bigint NOT NULL,
    denied bigint NOT NULL
);

CREATE TABLE alerts (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    type text NOT NULL,
    severity text NOT NULL,
    title text NOT NULL,
    detail text NOT NULL
);

CREATE TABLE audit_log (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    ts_init bigint NOT NULL,
    source text NOT NULL,
    author text NOT NULL,
    action text NOT NULL,
    reason text NOT NULL,
    flatten boolean NOT NULL,
    previous_hash text NOT NULL,
    hash text NOT NULL
);
"""

_ORDERS = """
CREATE TABLE orders (
    client_order_id text PRIMARY KEY,
    account text,
    strategy_id text,
    instrument_id text,
    side text,
    qty numeric,
    ref_px numeric,
    order_type text,
    limit_px numeric,
    stop_px numeric,
    time_in_force text,
    expire_ns bigint,
    reduce_only boolean,
    reason text,
    state text,
    rule text,
    resized_from numeric,
    deny_code text,
    deny_observed numeric,
    deny_limit numeric,
    denied_by text,
    venue_order_id text,
    cum_qty numeric,
    avg_px numeric,
    end_reason text,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    ts_first bigint NOT NULL,
    ts_last bigint NOT NULL
);
CREATE INDEX orders_first_seq ON orders (first_seq);

CREATE TABLE order_events (
    seq bigint NOT NULL,
    item integer NOT NULL,
    ts_event bigint NOT NULL,
    type text NOT NULL,
    client_order_id text NOT NULL,
    instrument_id text,
    state text,
    note text NOT NULL,
    PRIMARY KEY (seq, item)
);
CREATE INDEX order_events_of ON order_events (client_order_id, seq);
CREATE INDEX order_events_decisions ON order_events (seq) WHERE state IN ('APPROVED', 'DENIED');

CREATE TABLE fills (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    fill_id text NOT NULL,
    client_order_id text NOT NULL,
    venue_order_id text NOT NULL,
    account text NOT NULL,
    strategy_id text NOT NULL,
    instrument_id text NOT NULL,
    side text NOT NULL,
    last_qty numeric NOT NULL,
    last_px numeric NOT NULL,
    cum_qty numeric NOT NULL,
    leaves_qty numeric NOT NULL,
    avg_px numeric NOT NULL,
    commission numeric NOT NULL,
    commission_currency text NOT NULL,
    ref_px numeric NOT NULL,
    slippage_bps double precision NOT NULL
);
CREATE INDEX fills_of ON fills (client_order_id);
"""

# Only where the extension is there; chunks of a million messages. Plain tables do as well, just not for ever.
_HYPERTABLES = """
DO $$
DECLARE grown text;
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        FOREACH grown IN ARRAY ARRAY['tape', 'market_regimes', 'portfolio_steps', 'portfolio_risk_metrics'] LOOP
            PERFORM create_hypertable(grown, 'seq', chunk_time_interval => 1000000);
        END LOOP;
    END IF;
END $$;
"""


def upgrade() -> None:
    for part in (_TAPE, _MARKETS, _BOOK, _ORDERS, _HYPERTABLES):
        op.execute(part)


def downgrade() -> None:
    op.execute("""
        DROP TABLE tape, recorder_position, hot_state, dead_letters, order_intents, runs, quarantined_rows,
            market_regimes, strategy_signals, portfolio_steps, portfolio_risk_metrics, alerts, audit_log, orders,
            order_events, fills
    """)
