"""Section `[risk_guardian]`: limits, ladders, measures, alerts."""

from __future__ import annotations

from typing import Annotated

import msgspec

from risk_guardian.alerts import AlertSettings
from risk_guardian.events import EventSettings
from risk_guardian.limits import Limits
from risk_guardian.measures import MeasureSettings
from risk_guardian.policy import Ladders
from risk_guardian.streaks import StreakSettings
from risk_guardian.windows import WindowSettings


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limits: Limits = msgspec.field(default_factory=Limits)
    ladders: Ladders = msgspec.field(default_factory=Ladders)
    streaks: StreakSettings = msgspec.field(default_factory=StreakSettings)
    alerts: AlertSettings = msgspec.field(default_factory=AlertSettings)
    measures: MeasureSettings = msgspec.field(default_factory=MeasureSettings)
    events: EventSettings = msgspec.field(default_factory=EventSettings)
    windows: WindowSettings = msgspec.field(default_factory=WindowSettings)
    measure_every_minutes: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            description="minutes of data time after which all measures are said again if the book is the same; never sooner than "
            "five steps",
        ),
    ] = 60
    stress_every_minutes: Annotated[
        int,
        msgspec.Meta(
            ge=0, description="minutes of data time between stress tests of a book that holds something; 0: never"
        ),
    ] = 1440
    scenarios_dir: Annotated[
        str, msgspec.Meta(description="folder of stress scenarios of your own, beside those that ship; empty: none")
    ] = ""
