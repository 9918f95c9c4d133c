"""Section `[risk_guardian.events]`: the blackout around scheduled economic events (REG-12), and what the guardian keeps of them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from common.messages.market_data import EventsScheduled, Impact
from common.model.time import NS_PER_MINUTE

EVERY_CURRENCY: Final = "ALL"
_IMPACTS: Final = tuple(Impact)
_DAY_MINUTES: Final = 1440


class EventSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Off while both are 0. Both ends of the span belong to it."""

    before_minutes: Annotated[
        float, msgspec.Meta(ge=0, le=_DAY_MINUTES, description="no new risk from so long before an event")
    ] = 0.0
    after_minutes: Annotated[
        float, msgspec.Meta(ge=0, le=_DAY_MINUTES, description="until so long after it; 0 for both: no blackout")
    ] = 0.0
    min_impact: Annotated[Impact, msgspec.Meta(description="events of at least this impact count")] = Impact.HIGH

    @property
    def on(self) -> bool:
        """Whether there is a blackout at all."""
        return self.before_minutes > 0 or self.after_minutes > 0

    def counts(self, impact: Impact) -> bool:
        return _IMPACTS.index(impact) >= _IMPACTS.index(self.min_impact)


OFF: Final = EventSettings()


def learn(times: dict[str, list[int]], settings: EventSettings, message: EventsScheduled) -> None:
    """Puts the events ahead that count in place of what was known of that time; what is over is dropped."""
    if not settings.on:
        return
    now = message.ts_event
    since = now - int(settings.after_minutes * NS_PER_MINUTE)
    found = {currency: [ts for ts in known if since <= ts < now] for currency, known in times.items()}
    for event in message.events:
        if settings.counts(event.impact) and event.ts_event >= since:
            found.setdefault(event.currency, []).append(event.ts_event)
    times.clear()
    times.update({currency: sorted(set(found[currency])) for currency in sorted(found) if found[currency]})
