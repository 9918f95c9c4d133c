"""One line of JSON per event, UTC, to standard error. Secrets are never passed to a logger."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(service: str, build: str) -> structlog.stdlib.BoundLogger:
    """Sets up logging for this process and returns its logger."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=logging.WARNING)
    logging.getLogger("nats").setLevel(logging.CRITICAL)  # its tracebacks; the tape reports every error itself

    def sign(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"service": service, "build": build, **event}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            sign,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger()
    return logger
