"""All metrics of all services: `ballast_<noun>_<unit>[_total]`, base units, bounded labels.

A metric is exported only by the services that own it (`export`): else every process would show everybody's zeros. A gauge that
is not known is NaN or not there, never 0.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics

from common.contracts import FEATURED, INPUTS, LEASED
from common.messages.market_data import QuarantineReason
from common.messages.orders import BreakKind
from common.model.enums import DenyCode
from common.runtime.catalogue import Catalogue
from common.version import BUILD, CONTRACTS

SERVICES: Final = tuple(name for name in INPUTS if name != "operator")
CORES: Final = tuple(name for name in SERVICES if name not in ("market_data", "recorder", "gateway"))
MARKET_DATA: Final = ("market_data",)
REGIME: Final = ("regime",)
SIGNALS: Final = ("signals",)
PORTFOLIO: Final = ("portfolio",)
GUARDIAN: Final = ("risk_guardian",)
EXECUTION: Final = ("execution",)
RECORDER: Final = ("recorder",)
GATEWAY: Final = ("gateway",)
OUTCOMES: Final = ("filled", "canceled", "rejected", "expired")  # of an order

# Bounds of buckets, around what is promised: a core 1 ms, a tick to its order 50 ms, a page 0.5 s, a step 1 s.
_FAST: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_HOP: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ANSWER: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
_BPS: Final = (-50.0, -20.0, -10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)

_all: Final = Catalogue()
_counter, _gauge, _histogram = _all.counter, _all.gauge, _all.histogram

# --- every service ---------------------------------------------------------------------------------------------------

BUILD_INFO: Final = _gauge(
    "ballast_build_info",
    "1; which code runs and which messages it speaks",
    ["build", "contracts"],
    of=SERVICES,
    of_leader=False,
)
READY: Final = _gauge("ballast_ready", "1 when the service is ready", of=SERVICES, of_leader=False)
LEADER: Final = _gauge(
    "ballast_leader", "1 while this instance holds the lease of its service", of=LEASED, of_leader=False
)
LEASE_TAKEN: Final = _counter("ballast_lease_taken_total", "Times this instance took the lease", of=LEASED)
LOOP_LAG: Final = _histogram(
    "ballast_loop_lag_seconds", "How late the event loop came to a tick", of=SERVICES, buckets=_HOP
)
MESSAGES_IN: Final = _counter(
    "ballast_messages_handled_total",
    "Messages read from the tape",
    ["type"],
    of=(*CORES, "recorder", "gateway"),
)
MESSAGES_OUT: Final = _counter(
    "ballast_messages_said_total", "Messages put on the tape", ["type"], of=(*CORES, "market_data", "gateway")
)
HANDLE_SECONDS: Final = _histogram("ballast_handle_seconds", "Time in the core per message", of=CORES, buckets=_FAST)
HOP_SECONDS: Final = _histogram(
    "ballast_hop_seconds",
    "From a message said until this service said its answer to it, by the type of the answer; not while it recovers",
    ["type"],
    of=CORES,
    buckets=_HOP,
)
LAG: Final = _gauge(
    "ballast_tape_lag_messages",
    "Messages on the tape that this service has not read yet",
    of=(*CORES, "recorder", "gateway"),
    unit="messages",
    of_leader=False,
)
LAST_SEQ: Final = _gauge(
    "ballast_tape_last_seq",
    "Tape sequence of the last message read",
    of=(*CORES, "recorder", "gateway"),
    of_leader=False,
)
DEAD_LETTERS: Final = _counter(
    "ballast_dead_letters_total",
    "Messages set aside because they cannot be understood",
    of=(*CORES, "recorder"),
)
SNAPSHOT_BYTES: Final = _gauge(
    "ballast_snapshot_bytes", "Size of the last snapshot", of=(*CORES, "market_data"), unit="bytes", of_leader=False
)
REBUILDS: Final = _counter(
    "ballast_rebuilds_total",
    "Times the service started over from its snapshot, by the server that broke the one before",
    ["reason"],
    of=tuple(name for name in SERVICES if name != "gateway"),
)
FEATURE_ENABLED: Final = _gauge(
    "ballast_feature_enabled",
    "1 while a feature that has failed works, 0 when it failed too often and is off; those that never failed are not there",
    ["feature"],
    of=FEATURED,
)

SPANS_EXPORTED: Final = _counter("ballast_spans_exported_total", "Spans the collector has taken", of=SERVICES)
SPANS_DROPPED: Final = _counter(
    "ballast_spans_dropped_total",
    "Spans that were not exported: trading does not wait for it",
    ["reason"],
    of=SERVICES,
    values=("queue_full", "not_exported"),
)

# --- market data, regime, signals, portfolio ---------------------------------------------------------------------------

SLICES: Final = _counter("ballast_slices_total", "Market slices said", of=MARKET_DATA)
LAST_SLICE: Final = _gauge(
    "ballast_last_slice_timestamp_seconds", "Wall clock of the last slice", of=MARKET_DATA, unit="unix seconds"
)
LAST_PRICE: Final = _gauge(
    "ballast_instrument_last_price_timestamp_seconds",
    "Wall clock of the last slice that had a price of the instrument",
    ["instrument"],
    of=MARKET_DATA,
    unit="unix seconds",
)
ROWS_QUARANTINED: Final = _counter(
    "ballast_rows_quarantined_total",
    "Rows of a feed refused before anybody saw them",
    ["reason"],
    of=MARKET_DATA,
    values=QuarantineReason,
)
FEED_HEALTHY: Final = _gauge(
    "ballast_feed_healthy",
    "1 while the feed gives what it has, 0 when it is broken",
    ["feed"],
    of=MARKET_DATA,
    of_leader=False,
)
FEED_ENDED: Final = _gauge(
    "ballast_feed_ended", "1 when recorded data is over: no slice will follow", ["feed"], of=MARKET_DATA
)
REGIME_NOW: Final = _gauge(
    "ballast_regime",
    "1 for the regime that the instrument is in; the others are not there",
    ["instrument", "timeframe", "regime"],
    of=REGIME,
)
REGIME_CHANGES: Final = _counter(
    "ballast_regime_changes_total",
    "Times an instrument went into another regime",
    ["instrument", "timeframe"],
    of=REGIME,
)
SIGNALS_SAID: Final = _counter("ballast_signals_total", "Opinions that changed", ["strategy"], of=SIGNALS)
ORDERS_PROPOSED: Final = _counter(
    "ballast_orders_proposed_total", "Orders proposed to the guardian", ["strategy"], of=PORTFOLIO
)

# --- risk guardian -----------------------------------------------------------------------------------------------------

_MONEY: Final = "money of the account"
_OF_EQUITY: Final = "fraction of equity"
EQUITY: Final = _gauge(
    "ballast_equity", "Equity; NaN while a position has no price", ["book"], of=GUARDIAN, unit=_MONEY
)
DRAWDOWN: Final = _gauge(
    "ballast_drawdown_ratio", "Fallen from the peak, positive", ["book"], of=GUARDIAN, unit="fraction of the peak"
)
GROSS_EXPOSURE: Final = _gauge(
    "ballast_gross_exposure",
    "Positions without their signs, as large as working orders can make them",
    ["book"],
    of=GUARDIAN,
    unit=_MONEY,
)
GROSS_EXPOSURE_RATIO: Final = _gauge(
    "ballast_gross_exposure_ratio",
    "Positions without their signs, as large as working orders can make them",
    ["book"],
    of=GUARDIAN,
    unit=_OF_EQUITY,
)
VAR: Final = _gauge(
    "ballast_var_ratio", "95 % value at risk of one day, positive", ["book"], of=GUARDIAN, unit=_OF_EQUITY
)
EXPECTED_SHORTFALL: Final = _gauge(
    "ballast_expected_shortfall_ratio",
    "95 % expected shortfall of one day, positive",
    ["book"],
    of=GUARDIAN,
    unit=_OF_EQUITY,
)
HEAT: Final = _gauge("ballast_heat_ratio", "Lost when every stop is hit", ["book"], of=GUARDIAN, unit=_OF_EQUITY)
POSITION_EXPOSURE: Final = _gauge(
    "ballast_position_exposure_ratio",
    "Position, long is positive",
    ["instrument"],
    of=GUARDIAN,
    unit=_OF_EQUITY,
)
STRESS_LOSS: Final = _gauge(
    "ballast_stress_loss_ratio",
    "What the scenario would cost, as last tested",
    ["scenario"],
    of=GUARDIAN,
    unit=_OF_EQUITY,
)
LIMIT: Final = _gauge(
    "ballast_limit_ratio",
    "Limits as configured; those that are off are not there",
    ["limit"],
    of=GUARDIAN,
    unit=_OF_EQUITY,
)
TRADING_STATE: Final = _gauge(
    "ballast_trading_state", "1 for the state trading is in, 0 for the others", ["state"], of=GUARDIAN
)
LADDER_LEVEL: Final = _gauge(
    "ballast_ladder_level", "Level a risk ladder stands at, 0 is none", ["ladder"], of=GUARDIAN
)
SCOPES_HALTED: Final = _gauge("ballast_scopes_halted", "Strategies and instruments that take no new risk", of=GUARDIAN)
ORDERS_APPROVED: Final = _counter("ballast_orders_approved_total", "Orders approved", ["strategy"], of=GUARDIAN)
ORDERS_DENIED: Final = _counter(
    "ballast_orders_denied_total",
    "Orders refused by us, by reason",
    ["code"],
    of=(*GUARDIAN, *EXECUTION),
    values=DenyCode,
)
ALERTS_RAISED: Final = _counter(
    "ballast_alerts_raised_total",
    "Alerts of the guardian, by their run-book; said again is counted again",
    ["code", "severity"],
    of=GUARDIAN,
)
ALERTS_OPEN: Final = _gauge(
    "ballast_alerts_unacknowledged", "Alerts that nobody has acknowledged", ["severity"], of=GUARDIAN
)
OLDEST_ALERT: Final = _gauge(
    "ballast_alert_oldest_unacknowledged_timestamp_seconds",
    "Wall clock since when this process has known the oldest alert that nobody has acknowledged; not there when there is none",
    ["severity"],
    of=GUARDIAN,
    unit="unix seconds",
)
LAST_STEP: Final = _gauge(
    "ballast_last_step_timestamp_seconds",
    "Wall clock of the last step that was closed",
    of=GUARDIAN,
    unit="unix seconds",
)
STEP_SECONDS: Final = _histogram(
    "ballast_step_seconds", "From a slice said until its step is closed", of=GUARDIAN, buckets=_HOP
)

# --- execution ---------------------------------------------------------------------------------------------------------

ORDERS_SUBMITTED: Final = _counter("ballast_orders_submitted_total", "Orders given to the venue", of=EXECUTION)
ORDERS_ENDED: Final = _counter(
    "ballast_orders_ended_total",
    "Orders that are over: filled, canceled, rejected, expired",
    ["outcome"],
    of=EXECUTION,
    values=OUTCOMES,
)
FILLS: Final = _counter("ballast_fills_total", "Executions", ["strategy"], of=EXECUTION)
WORKING_ORDERS: Final = _gauge("ballast_working_orders", "Orders that can still trade", of=EXECUTION)
ORDER_ROUNDTRIP: Final = _histogram(
    "ballast_order_roundtrip_seconds",
    "From an order submitted until the venue accepted or rejected it",
    of=EXECUTION,
    buckets=_HOP,
)
TICK_TO_ORDER: Final = _histogram(
    "ballast_tick_to_order_seconds", "From a slice said until its order is submitted", of=EXECUTION, buckets=_HOP
)
SLIPPAGE: Final = _histogram(
    "ballast_slippage_bps",
    "Fills against the price at the decision, positive is worse; without a sum, which could fall",
    of=EXECUTION,
    buckets=_BPS,
    unit="basis points",
)
SLIPPAGE_SUM: Final = _counter(
    "ballast_slippage_sum_bps_total",
    "Fills against the price at the decision, worse and better ones by themselves: the mean is their difference over the fills",
    ["direction"],
    of=EXECUTION,
    unit="basis points",
    values=("worse", "better"),
)
COSTS: Final = _counter(
    "ballast_costs_total",
    "Money paid: commission, financing; and what was received for holding positions: financing_received",
    ["kind", "currency"],
    of=EXECUTION,
    unit="money",
)
BREAKS: Final = _counter(
    "ballast_reconciliation_breaks_total",
    "Differences found between our book and the venue's",
    ["kind"],
    of=EXECUTION,
    values=BreakKind,
)
BREAKS_OPEN: Final = _gauge(
    "ballast_reconciliation_breaks_open", "Differences to the venue's book as of the last comparison", of=EXECUTION
)
LAST_RECONCILIATION: Final = _gauge(
    "ballast_last_reconciliation_timestamp_seconds",
    "Wall clock of the last comparison with the venue",
    of=EXECUTION,
    unit="unix seconds",
)
VENUE_HEALTHY: Final = _gauge("ballast_venue_healthy", "1 while new risk may go to the venue", ["venue"], of=EXECUTION)
GUARDIAN_AGE: Final = _gauge(
    "ballast_guardian_heartbeat_age_seconds",
    "Since execution last heard the guardian, or since it started to listen",
    of=EXECUTION,
    unit="seconds",
)

# --- recorder: itself, and the servers, to all of which it is connected ----------------------------------------------------

ROWS: Final = _counter("ballast_recorder_rows_total", "Rows committed", ["table"], of=RECORDER)
BATCH_SECONDS: Final = _histogram("ballast_recorder_batch_seconds", "Time per commit", of=RECORDER, buckets=_ANSWER)
NATS_UP: Final = _gauge("ballast_nats_up", "1 when NATS answered the last question", of=RECORDER)
STREAM_MESSAGES: Final = _gauge(
    "ballast_nats_stream_messages", "Messages in the stream", ["stream"], of=RECORDER, unit="messages"
)
STREAM_BYTES: Final = _gauge("ballast_nats_stream_bytes", "Size of the stream", ["stream"], of=RECORDER, unit="bytes")
REDIS_UP: Final = _gauge("ballast_redis_up", "1 when Redis answered the last question", of=RECORDER)
REDIS_MEMORY: Final = _gauge("ballast_redis_memory_bytes", "Memory in use", of=RECORDER, unit="bytes")
REDIS_KEYS: Final = _gauge("ballast_redis_keys", "Keys in the database", of=RECORDER)
POSTGRES_UP: Final = _gauge("ballast_postgres_up", "1 when PostgreSQL answered the last question", of=RECORDER)
POSTGRES_BYTES: Final = _gauge("ballast_postgres_database_bytes", "Size of the database", of=RECORDER, unit="bytes")
POSTGRES_CONNECTIONS: Final = _gauge("ballast_postgres_connections", "Connections to the database", of=RECORDER)
POSTGRES_COMMITS: Final = _counter(
    "ballast_postgres_commits_total", "Transactions committed in the database, since the recorder looks", of=RECORDER
)
DISK_FREE: Final = _gauge(
    "ballast_disk_free_bytes", "Free space where the recorder's home lies", ["path"], of=RECORDER, unit="bytes"
)

# --- gateway -------------------------------------------------------------------------------------------------------------

HTTP_REQUESTS: Final = _counter(
    "ballast_http_requests_total", "Requests answered", ["route", "method", "status"], of=GATEWAY
)
HTTP_SECONDS: Final = _histogram(
    "ballast_http_request_seconds", "Time until the whole answer was sent", ["route"], of=GATEWAY, buckets=_ANSWER
)
WEBSOCKET_CLIENTS: Final = _gauge(
    "ballast_websocket_clients", "Listeners to the stream of news", of=GATEWAY, of_leader=False
)

METRICS: Final = tuple(_all.metrics)


def export(service: str, registry: CollectorRegistry = REGISTRY) -> None:
    """From here on `/metrics` of this process has what `service` owns."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # when a counter began: more series, and nobody asks
    for metric in METRICS:
        if service in metric.services:
            with suppress(ValueError):  # exported already
                registry.register(metric.collector)
    BUILD_INFO.labels(BUILD, CONTRACTS).set(1)


def forget(service: str) -> None:
    """Whoever no longer speaks for `service` no longer knows the facts it tells; what this process is, it still knows."""
    for metric in METRICS:
        if metric.kind == "gauge" and metric.of_leader and service in metric.services:
            metric.clear()
