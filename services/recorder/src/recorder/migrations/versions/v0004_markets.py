"""Bars, what fitted models and the market as a whole say, feeds, the economic calendar, overrides (MKT, REG)."""

from __future__ import annotations

from alembic import op

revision = "v0004"
down_revision = "v0003"
branch_labels = None
depends_on = None

_BARS = """
CREATE TABLE market_bars (
    seq bigint NOT NULL,
    item integer NOT NULL,
    ts_event bigint NOT NULL,
    instrument_id text NOT NULL,
    timeframe text NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    base boolean NOT NULL,
    PRIMARY KEY (seq, item)
);
CREATE INDEX market_bars_of ON market_bars (instrument_id, timeframe, ts_event);

ALTER TABLE market_regimes ADD COLUMN override text NOT NULL DEFAULT '';
"""

_REGIMES = """
CREATE TABLE regime_models (
    seq bigint NOT NULL,
    item integer NOT NULL,
    ts_event bigint NOT NULL,
    step bigint NOT NULL,
    instrument_id text NOT NULL,
    timeframe text NOT NULL,
    bull double precision,
    bear double precision,
    sideways double precision,
    high_volatility double precision,
    forecast_vol double precision,
    change_24h double precision,
    change_48h double precision,
    PRIMARY KEY (seq, item)
);
CREATE INDEX regime_models_of ON regime_models (instrument_id, timeframe, seq);

CREATE TABLE market_stress (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    step bigint NOT NULL,
    crisis boolean NOT NULL,
    breakdown boolean NOT NULL,
    stress_score double precision,
    mean_correlation double precision,
    correlation_shift double precision,
    volatility double precision,
    drawdown_speed double precision,
    spread double precision,
    liquidity double precision
);

CREATE TABLE regime_overrides (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    book text NOT NULL,
    instrument_id text NOT NULL,
    regime text,
    expires_ns bigint NOT NULL,
    author text NOT NULL,
    reason text NOT NULL
);
"""

_FEEDS = """
CREATE TABLE feed_changes (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    book text NOT NULL,
    instrument_id text NOT NULL,
    feed text NOT NULL,
    active boolean NOT NULL,
    score double precision NOT NULL,
    reason text NOT NULL
);

CREATE TABLE economic_events (
    seq bigint NOT NULL,
    item integer NOT NULL,
    ts_event bigint NOT NULL,
    ts_scheduled bigint NOT NULL,
    ts_until bigint NOT NULL,
    currency text NOT NULL,
    impact text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (seq, item)
);
COMMENT ON COLUMN economic_events.ts_until IS 'The last event of the same message: up to there it replaces what was said before';
CREATE INDEX economic_events_scheduled ON economic_events (ts_scheduled);
"""

_HYPERTABLES = """
DO $$
DECLARE grown text;
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        FOREACH grown IN ARRAY ARRAY['market_bars', 'regime_models', 'market_stress'] LOOP
            PERFORM create_hypertable(grown, 'seq', chunk_time_interval => 1000000);
        END LOOP;
    END IF;
END $$;
"""


def upgrade() -> None:
    for part in (_BARS, _REGIMES, _FEEDS, _HYPERTABLES):
        op.execute(part)


def downgrade() -> None:
    for table in (
        "market_bars",
        "regime_models",
        "market_stress",
        "regime_overrides",
        "feed_changes",
        "economic_events",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE market_regimes DROP COLUMN override")
