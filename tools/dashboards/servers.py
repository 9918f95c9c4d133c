"""NATS, Redis and PostgreSQL as the recorder sees them, and the recorder itself, which writes to all three."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from tools.dashboards import board
from tools.dashboards.board import Row, to_service
from tools.dashboards.panels import GREEN, RED, Series, above, below, chart, number, quantile, rate

UP = {0: ("down", RED), 1: ("up", GREEN)}


def servers() -> Dashboard:
    return board.board(
        board.SERVERS,
        "Ballast / Servers",
        "NATS, Redis and PostgreSQL as the recorder sees them, and the recorder itself.",
        (_up(), _nats(), _stores(), _recorder()),
    )


def _up() -> Row:
    return Row(
        "Do they answer?",
        (
            number(
                "NATS",
                units.NoUnit,
                "Down: nothing is traded, execution stops by itself within two seconds. Start it again; if its data is gone, follow "
                "docs/runbooks/tape-lost.md.",
                Series("max(ballast_nats_up)", "NATS"),
                states=UP,
                width=6,
            ),
            number(
                "Redis",
                units.NoUnit,
                "Down: only the console's quick views are missing. Start it again; the recorder fills it by itself.",
                Series("max(ballast_redis_up)", "Redis"),
                states=UP,
                width=6,
            ),
            number(
                "PostgreSQL",
                units.NoUnit,
                "Down: execution takes no new orders, for it cannot record intents; exits and stops work. Start it again, nothing is "
                "lost: the tape has all.",
                Series("max(ballast_postgres_up)", "PostgreSQL"),
                states=UP,
                width=6,
            ),
            number(
                "Disk left",
                units.BytesIEC,
                "Where the recorder's home lies. Little: archive with `ballast backup`, then make room; a full disk stops the tape and "
                "with it all trading.",
                Series("min(ballast_disk_free_bytes)", "free"),
                bound=below(10 * 2**30, 2 * 2**30),
                width=6,
            ),
        ),
    )


def _nats() -> Row:
    return Row(
        "NATS",
        (
            chart(
                "Messages in the streams",
                units.Short,
                "The tape only grows. Dead letters above zero: somebody says what nobody understands; see the services dashboard.",
                Series("max by (stream) (ballast_nats_stream_messages)", "{{stream}}"),
                width=12,
            ),
            chart(
                "Size of the streams",
                units.BytesIEC,
                "Compare with the disk that is left: at this rate, when is it full? Back up and begin a new run before that.",
                Series("max by (stream) (ballast_nats_stream_bytes)", "{{stream}}"),
                width=12,
            ),
        ),
    )


def _stores() -> Row:
    return Row(
        "Redis and PostgreSQL",
        (
            chart(
                "Redis: memory",
                units.BytesIEC,
                "What the quick views take. It holds newest states only, so a steady climb means keys that nobody removes: flush it, "
                "the recorder fills it again.",
                Series("max(ballast_redis_memory_bytes)", "memory"),
                bound=above(96 * 2**20, 128 * 2**20),
                width=6,
            ),
            chart(
                "Redis: keys",
                units.Short,
                "Bounded by instruments and orders that work. Empty while PostgreSQL grows: the recorder cannot write there; see its log.",
                Series("max(ballast_redis_keys)", "keys"),
                width=6,
            ),
            chart(
                "PostgreSQL: size",
                units.BytesIEC,
                "The history. Faster than the disk allows: shorten the retention, or move old parts away after a `ballast backup`.",
                Series("max(ballast_postgres_database_bytes)", "database"),
                width=6,
            ),
            chart(
                "PostgreSQL: connections and commits",
                units.Short,
                "Near a hundred connections new ones are refused: look who keeps them. No commits while the tape grows: the recorder is "
                "stuck.",
                Series("max(ballast_postgres_connections)", "connections"),
                Series(rate("ballast_postgres_commits_total"), "commits a second"),
                bound=above(80, 100),
                width=6,
            ),
        ),
    )


def _recorder() -> Row:
    links = (to_service(),)
    return Row(
        "Recorder",
        (
            chart(
                "Rows written",
                units.RowsPerSecond,
                "By table. All at zero while slices come: history is not written, the tape keeps it; see PostgreSQL, then the "
                "recorder's log.",
                Series(rate("ballast_recorder_rows_total", "service", "table"), "{{table}}"),
                links=links,
                stacked=True,
            ),
            chart(
                "Time per commit",
                units.Seconds,
                "Slow commits make orders slow too, for intents go the same way: look at the disk and at what else runs on PostgreSQL.",
                Series(quantile(0.5, "ballast_recorder_batch_seconds", "service"), "half of them below"),
                Series(quantile(0.99, "ballast_recorder_batch_seconds", "service"), "99 % below"),
                bound=above(0.1, 1),
                links=links,
            ),
            chart(
                "Size of the snapshots",
                units.BytesIEC,
                "State of each service as last saved. Climbs without end: its state is not bounded; report it with this chart.",
                Series('max by (service) (ballast_snapshot_bytes{job="ballast"})', "{{service}}"),
                bound=above(2**20, 2**23),
                links=links,
            ),
        ),
    )
