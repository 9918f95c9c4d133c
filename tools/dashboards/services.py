"""Every process: its rate, errors and durations, and how much it uses of its machine; by service, then by instance."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from tools.dashboards import board
from tools.dashboards.board import Row, Variable, to_instance, to_traces
from tools.dashboards.panels import Series, above, chart, limit, number, quantile, rate, red_from, timeline

SERVICE = 'service=~"$service"'
CHOSEN = f'{{job="ballast", {SERVICE}, instance=~"$instance"}}'
ONE = "{{service}} {{instance}}"
BY = ("service", "instance")
LINKS = (to_instance(), to_traces())


def services() -> Dashboard:
    return board.board(
        board.SERVICES,
        "Ballast / Services",
        "Rate, errors, durations, and use of the machine, by service and instance.",
        (_who(), _work(), _use(), _api()),
        (Variable("service", 'up{job="ballast"}'), Variable("instance", f'up{{job="ballast", {SERVICE}}}')),
    )


def _who() -> Row:
    return Row(
        "Who",
        (
            timeline(
                "Ready",
                "No: /health/ready of that address names what it waits for. A gap: the process does not answer Prometheus; see whether "
                "it runs, and its last log lines.",
                Series(f"ballast_ready{CHOSEN}", ONE),
                links=LINKS,
                width=10,
            ),
            timeline(
                "Leader",
                "Who of two instances speaks for guardian and execution. Changes often: the lease is lost again and again; look at loop "
                "lag and at NATS.",
                Series(f"ballast_leader{CHOSEN}", ONE),
                links=LINKS,
                width=10,
            ),
            number(
                "Builds that run",
                units.NoUnit,
                "More than one: an upgrade is half done, and services that differ refuse each other. Finish it or roll back; see "
                "docs/runbooks/version-mismatch.md.",
                Series("count(count by (build, contracts) (ballast_build_info))", "builds"),
                bound=red_from(2),
            ),
        ),
    )


def _work() -> Row:
    return Row(
        "Work: rate, errors, durations",
        (
            chart(
                "Messages handled, by type",
                units.MessagesPerSecond,
                "What is read from the tape. Zero while others work: stuck or cut off from NATS, restart it; a type that floods: look "
                "who says it.",
                Series(rate(f"ballast_messages_handled_total{CHOSEN}", "service", "type"), "{{service}} {{type}}"),
                links=(to_traces(),),
            ),
            chart(
                "Messages said, by type",
                units.MessagesPerSecond,
                "What is put on the tape. Handles but says nothing: a step misses one of its inputs; follow its trace to the service "
                "that is silent.",
                Series(rate(f"ballast_messages_said_total{CHOSEN}", "service", "type"), "{{service}} {{type}}"),
                links=(to_traces(),),
            ),
            chart(
                "Dead letters and rebuilds, a second",
                units.NoUnit,
                "Messages nobody can read, and processes started over. Dead letters: two versions run, or somebody writes to the tape; "
                "rebuilds: see the server it names.",
                Series(rate(f"ballast_dead_letters_total{CHOSEN}", "service"), "dead letters {{service}}"),
                Series(rate(f"ballast_rebuilds_total{CHOSEN}", "service", "reason"), "rebuilds {{service}} {{reason}}"),
                bound=above(0.001, 0.1),
                links=(to_traces(),),
            ),
            chart(
                "Time in the core, 99 %",
                units.Seconds,
                "Per message; a millisecond is the aim. Rises with the length of the run: state grows, report it; rises at once: the "
                "machine is busy.",
                Series(quantile(0.99, "ballast_handle_seconds", *BY, where=CHOSEN), ONE),
                limit("vector(0.001)"),
                bound=above(0.001, 0.01),
                links=LINKS,
            ),
            chart(
                "Hops, 99 %",
                units.Seconds,
                "From a message said until the answer to it is said, by type of the answer. The longest hop is where a slow step loses "
                "its time.",
                Series(f"service_type:ballast_hop_seconds:p99_rate5m{{{SERVICE}}}", "{{service}} {{type}}"),
                bound=above(0.05, 0.5),
                links=(to_traces(),),
            ),
            chart(
                "Behind the tape",
                units.NoUnit,
                "Messages not read yet. Grows and does not fall: too slow for its load, or stuck; compare with its processor time below.",
                Series(f"ballast_tape_lag_messages{CHOSEN}", ONE),
                bound=above(100, 1000),
                links=LINKS,
            ),
        ),
    )


def _use() -> Row:
    return Row(
        "Use: processor, memory, descriptors, event loop",
        (
            chart(
                "Processor",
                units.PercentUnit,
                "Share of one core. Near one: the service is at its end; give it a faster core, or slow the replay down.",
                Series(f"rate(process_cpu_seconds_total{CHOSEN}[$__rate_interval])", ONE),
                limit("vector(1)", "of one core"),
                bound=above(0.8, 1),
                links=LINKS,
                width=6,
            ),
            chart(
                "Memory",
                units.BytesIEC,
                "Resident. The limit is that of docker-compose.yml. Climbs without end: restart at a quiet hour and report it with "
                "this chart.",
                Series(f"process_resident_memory_bytes{CHOSEN}", ONE),
                limit("vector(384 * 1024 * 1024)", "of the container"),
                bound=above(300 * 2**20, 384 * 2**20),
                links=LINKS,
                width=6,
            ),
            chart(
                "Open files and sockets",
                units.NoUnit,
                "Climbs without end: connections leak, restart and report it. The limit is the process's own.",
                Series(f"process_open_fds{CHOSEN}", ONE),
                limit(f"min(process_max_fds{CHOSEN})"),
                links=LINKS,
                width=6,
            ),
            chart(
                "Event loop comes late, 99 %",
                units.Seconds,
                "How late the loop came to a tick. Late: something blocks it, or the machine has no time for it; heartbeats and leases "
                "suffer first.",
                Series(quantile(0.99, "ballast_loop_lag_seconds", *BY, where=CHOSEN), ONE),
                bound=above(0.05, 0.5),
                links=LINKS,
                width=6,
            ),
        ),
    )


def _api() -> Row:
    return Row(
        "The gateway's interface, and traces",
        (
            chart(
                "Requests, by status",
                units.RequestsPerSecond,
                "Server errors: read the gateway's log, PostgreSQL or NATS is often missing. Many 401: somebody tries passwords. "
                "Many 429: a client asks too often.",
                Series(rate("ballast_http_requests_total", "status"), "{{status}}"),
                links=(to_traces("gateway"),),
                stacked=True,
            ),
            chart(
                "Answers by route, 99 %",
                units.Seconds,
                "Half a second is promised. A slow route reads PostgreSQL: look at its connections and the recorder's commits on the "
                "servers dashboard.",
                Series("route:ballast_http_request_seconds:p99_rate5m", "{{route}}"),
                limit("vector(0.5)"),
                bound=above(0.25, 0.5),
                links=(to_traces("gateway"),),
            ),
            chart(
                "Spans",
                units.NoUnit,
                "A second; only where traces are on. Dropped: the collector is away or too slow; trading does not wait for it. "
                "Start it again or lower the share of steps that is traced.",
                Series(rate(f"ballast_spans_exported_total{CHOSEN}", "service"), "exported {{service}}"),
                Series(rate(f"ballast_spans_dropped_total{CHOSEN}", "service", "reason"), "{{reason}} {{service}}"),
                links=(to_traces(),),
            ),
        ),
    )
