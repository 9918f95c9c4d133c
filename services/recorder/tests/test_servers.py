"""What the recorder says of servers that do not answer."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from common.runtime import metrics, redis
from common.runtime.postgres import Postgres
from recorder.servers import ANSWER_WITHIN_S, Servers

pytestmark = pytest.mark.req("MON-01")


def look(host: str, port: int, home: Path) -> CollectorRegistry:
    async def once() -> None:
        client, postgres = redis.client(f"redis://{host}:{port}/0"), Postgres(f"postgresql://u:p@{host}:{port}/db")
        try:
            await Servers(lambda: None, client, postgres, home).look()
        finally:
            await postgres.close()
            await client.aclose()

    registry = CollectorRegistry()
    metrics.export("recorder", registry)
    metrics.REDIS_MEMORY.set(7)
    metrics.STREAM_BYTES.labels("TAPE").set(7)
    asyncio.run(once())
    return registry


def test_servers_that_refuse_are_down_and_nobody_knows_their_sizes(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        registry = look(*taken.getsockname(), tmp_path)
    assert [registry.get_sample_value(f"ballast_{name}_up") for name in ("nats", "redis", "postgres")] == [0, 0, 0]
    memory = registry.get_sample_value("ballast_redis_memory_bytes")
    assert memory is not None
    assert memory != memory  # NaN
    assert registry.get_sample_value("ballast_nats_stream_bytes", {"stream": "TAPE"}) is None
    assert (registry.get_sample_value("ballast_disk_free_bytes", {"path": str(tmp_path)}) or 0) > 0


def test_servers_that_hang_are_down_and_all_of_them_together_cost_one_wait(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        registry = look(*silent.getsockname(), tmp_path)
    assert time.monotonic() - started < 1.5 * ANSWER_WITHIN_S
    assert [registry.get_sample_value(f"ballast_{name}_up") for name in ("redis", "postgres")] == [0, 0]
