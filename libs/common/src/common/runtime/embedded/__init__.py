"""NATS, Redis and PostgreSQL from Python wheels, on 127.0.0.1, with everything they keep below one directory."""

from common.runtime.embedded.endpoints import Endpoints
from common.runtime.embedded.process import ProcessSpec
from common.runtime.embedded.servers import EmbeddedServers

__all__ = ["EmbeddedServers", "Endpoints", "ProcessSpec"]
