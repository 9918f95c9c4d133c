"""Which adapter answers to which name."""

from __future__ import annotations

from common.runtime.tape import Fence
from execution.adapters.rest import RestVenue
from execution.adapters.venue import Venue
from execution.venue_settings import PAPER, VenueSettings, check_venue


def make(name: str, settings: VenueSettings, fence: Fence) -> Venue | None:
    """None for the paper venue, which is part of the core. Raises ConfigError for what is not built or not allowed."""
    check_venue(name, settings)
    return None if name == PAPER else RestVenue(settings, fence)
