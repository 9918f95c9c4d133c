"""How execution talks to a venue outside: `[execution.connection]`, the field `connection` of its settings."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from common.errors import ConfigError

PAPER: Final = "paper"
REFERENCE: Final = "reference"


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Annotated[str, Meta(description="where the reference venue listens; loopback only")] = "http://127.0.0.1:8300"
    request_timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="a request unanswered by then has an unknown outcome, and is void")
    ] = 0.5
    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="no connection by then: the request was not received")
    ] = 0.5
    rate_per_s: Annotated[float, Meta(gt=0, le=10_000, description="requests a second, in the long run")] = 50.0
    burst: Annotated[
        int, Meta(ge=2, le=10_000, description="requests at once; a quarter is kept for cancels and exits")
    ] = 100
    max_in_flight: Annotated[
        int,
        Meta(ge=4, le=1000, description="requests under way; a quarter is kept for cancels and exits"),
    ] = 32
    max_failures: Annotated[int, Meta(ge=1, le=1000, description="failures in a row that open the circuit breaker")] = 5
    cool_down_s: Annotated[
        float, Meta(gt=0, le=600, description="first pause of an open breaker; doubles with each failed probe")
    ] = 1.0
    max_cool_down_s: Annotated[float, Meta(gt=0, le=3600, description="longest pause of an open breaker")] = 30.0
    ping_s: Annotated[
        float, Meta(gt=0, le=60, description="a report stream that does not answer a ping for so long is down")
    ] = 1.0
    reconnect_s: Annotated[float, Meta(gt=0, le=60, description="first pause before the stream is opened again")] = 0.1
    max_reconnect_s: Annotated[float, Meta(gt=0, le=600, description="longest such pause")] = 2.0
    cancel_after_tape_loss_s: Annotated[
        float, Meta(gt=0, le=60, description="without the tape for so long, all orders are canceled at the venue")
    ] = 1.0


def check_venue(name: str, settings: VenueSettings) -> None:
    """Raises ConfigError for every venue that could touch real money: there is no live trading yet (EXE-08)."""
    if name == PAPER:
        return
    if name != REFERENCE:
        raise ConfigError(
            f"execution.venue = {name!r}: expected {PAPER!r} or {REFERENCE!r}; live trading needs an explicit double"
            " confirmation, which is not built yet (EXE-08)"
        )
    if not is_loopback(urlsplit(settings.url).hostname or ""):
        raise ConfigError(
            f"execution.connection.url = {settings.url!r}: expected an address of this machine (127.0.0.1); live"
            " trading needs an explicit double confirmation, which is not built yet (EXE-08)"
        )


def is_loopback(host: str) -> bool:
    """Whether `host` is an address of this machine that no other can reach. Names, localhost too, are not resolved: no."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
