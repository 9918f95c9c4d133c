"""What was decided about parameters (RES-06)."""

from __future__ import annotations

from alembic import op

revision = "v0003"
down_revision = "v0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE parameter_history (
            seq bigint NOT NULL,
            item bigint NOT NULL,
            ts_event bigint NOT NULL,
            ts_init bigint NOT NULL,
            book text NOT NULL,
            profile text NOT NULL,
            change_id text NOT NULL,
            plan text NOT NULL,
            action text NOT NULL,
            step bigint NOT NULL,
            steps bigint NOT NULL,
            author text NOT NULL,
            reason text NOT NULL,
            evidence text NOT NULL,
            key text,
            before text,
            after text,
            PRIMARY KEY (seq, item)
        );
        CREATE INDEX parameter_history_of ON parameter_history (plan, seq);
    """)


def downgrade() -> None:
    op.execute("DROP TABLE parameter_history")
