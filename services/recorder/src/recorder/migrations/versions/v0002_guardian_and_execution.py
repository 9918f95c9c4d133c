"""What the guardian measures, and what execution costs and reconciles."""

from __future__ import annotations

from alembic import op

revision = "v0002"
down_revision = "v0001"
branch_labels = None
depends_on = None

_RISK = """
ALTER TABLE portfolio_risk_metrics
    ADD COLUMN min_confidence double precision NOT NULL DEFAULT 0,
    ADD COLUMN var_95_1d double precision,
    ADD COLUMN heat double precision;

CREATE TABLE risk_measures (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    book text NOT NULL,
    step bigint NOT NULL,
    heat double precision,
    concentration double precision,
    liquidity_days double precision,
    var_breaches bigint NOT NULL,
    var_days bigint NOT NULL,
    kupiec_p double precision,
    christoffersen_p double precision,
    var jsonb NOT NULL,
    es jsonb NOT NULL,
    component_var jsonb NOT NULL,
    marginal_var jsonb NOT NULL,
    by_currency jsonb NOT NULL,
    by_sector jsonb NOT NULL,
    by_strategy jsonb NOT NULL
);

CREATE TABLE stress_results (
    seq bigint NOT NULL,
    item bigint NOT NULL,
    ts_event bigint NOT NULL,
    step bigint NOT NULL,
    asked_by text NOT NULL,
    scenario text NOT NULL,
    loss double precision NOT NULL,
    "limit" double precision,
    breached boolean NOT NULL,
    by_instrument jsonb NOT NULL,
    PRIMARY KEY (seq, item)
);
"""

_EXECUTION = """
CREATE TABLE execution_plans (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    client_order_id text NOT NULL,
    account text NOT NULL,
    strategy_id text NOT NULL,
    instrument_id text NOT NULL,
    algorithm text NOT NULL,
    slices bigint NOT NULL,
    end_ns bigint NOT NULL,
    spread_bps double precision NOT NULL,
    fee_bps double precision NOT NULL,
    impact_bps double precision NOT NULL,
    delay_bps double precision NOT NULL,
    expected_bps double precision NOT NULL,
    naive_bps double precision NOT NULL,
    reason text NOT NULL
);

CREATE TABLE execution_costs (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    client_order_id text NOT NULL,
    account text NOT NULL,
    strategy_id text NOT NULL,
    instrument_id text NOT NULL,
    algorithm text NOT NULL,
    filled_qty numeric NOT NULL,
    avg_px numeric NOT NULL,
    arrival_px numeric NOT NULL,
    slippage_bps double precision NOT NULL,
    fee_bps double precision NOT NULL,
    total_bps double precision NOT NULL,
    expected_bps double precision NOT NULL,
    maker_share double precision NOT NULL,
    duration_ns bigint NOT NULL
);

CREATE TABLE reconciliation_breaks (
    seq bigint PRIMARY KEY,
    ts_event bigint NOT NULL,
    book text NOT NULL,
    break_id text NOT NULL,
    kind text NOT NULL,
    instrument_id text NOT NULL,
    ours numeric NOT NULL,
    venue numeric NOT NULL,
    open boolean NOT NULL,
    action text NOT NULL
);
"""


def upgrade() -> None:
    for part in (_RISK, _EXECUTION):
        op.execute(part)


def downgrade() -> None:
    for table in ("risk_measures", "stress_results", "execution_plans", "execution_costs", "reconciliation_breaks"):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE portfolio_risk_metrics DROP COLUMN min_confidence, DROP COLUMN var_95_1d, DROP COLUMN heat")
