"""The names of all metrics every service has, in one place: `ballast_<noun>_<unit>[_total]`, base units."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_FAST: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

MESSAGES_IN: Final = Counter("ballast_messages_handled_total", "Messages read from the tape", ["type"])
MESSAGES_OUT: Final = Counter("ballast_messages_said_total", "Messages put on the tape", ["type"])
HANDLE_SECONDS: Final = Histogram("ballast_handle_seconds", "Time in the core per message", buckets=_FAST)
LAG: Final = Gauge("ballast_tape_lag_messages", "Messages on the tape that this service has not read yet")
LAST_SEQ: Final = Gauge("ballast_tape_last_seq", "Tape sequence of the last message read")
DEAD_LETTERS: Final = Counter("ballast_dead_letters_total", "Messages set aside because they cannot be understood")
SNAPSHOT_BYTES: Final = Gauge("ballast_snapshot_bytes", "Size of the last snapshot")
REBUILDS: Final = Counter("ballast_rebuilds_total", "Times the core was rebuilt from its snapshot", ["reason"])
READY: Final = Gauge("ballast_ready", "1 when the service is ready")
LEADER: Final = Gauge("ballast_leader", "1 while this instance holds the lease of its service")
