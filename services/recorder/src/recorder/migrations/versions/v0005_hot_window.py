"""What the hot window is trimmed by (MKT-06). Only the bars that are trimmed are in it, so it stays as small as they are few."""

from __future__ import annotations

from alembic import op

revision = "v0005"
down_revision = "v0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX market_bars_hot ON market_bars (ts_event) WHERE timeframe IN ('1m', '5m', '15m', '30m')")


def downgrade() -> None:
    op.execute("DROP INDEX market_bars_hot")
