"""Section `[gateway]`."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may choose."""

    hosts: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="names besides localhost under which the page is called, without port; others are refused"
        ),
    ] = ()
    stream_hz: Annotated[
        float, msgspec.Meta(ge=0.5, le=50, description="how often a WebSocket client hears of each topic, at most")
    ] = 10.0
    max_streams: Annotated[int, msgspec.Meta(ge=1, le=1000, description="WebSocket clients at the same time")] = 200
