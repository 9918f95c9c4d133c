"""A port that is taken: the service says so in one sentence and ends, and is started again until it is free."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from common.runtime.embedded import Endpoints
from common.runtime.service import EXIT_UNAVAILABLE
from common.testing.service_process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.req("PLT-01", "PLT-06")]


@pytest.mark.parametrize("service", ["signals", "recorder", "gateway"])  # the three ways in which services listen
def test_a_service_whose_port_is_taken_ends_with_a_sentence(service: str, servers: Endpoints, tmp_path: Path) -> None:
    process = ServiceProcess(service, servers, tmp_path)
    with socket.create_server(("127.0.0.1", process.port)):
        process.start()
        code = process.wait_end()
    assert code == EXIT_UNAVAILABLE
    (said,) = process.log.read_text().splitlines()
    assert f'"127.0.0.1:{process.port}: cannot listen there: Address already in use' in said
