"""Section `[risk_guardian.windows]`: hours in which an instrument is traded (REG-12). `ballast sessions learn` writes one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec

from common.model.instrument import Instrument
from common.model.time import to_datetime
from common.model.trading_sessions import CLOSED, TradingSession, session

Hour = Annotated[int, msgspec.Meta(ge=0, le=23)]
EVERY: Final = "*"
_SEPARATORS: Final = str.maketrans("", "", "-_/")
SESSIONS: Final = (*map(str, TradingSession), CLOSED)


class WindowSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An instrument that neither table names, by its id, its symbol (EUR-USD, also EURUSD or eur_usd) or `*`, is traded at all hours."""

    hours: Annotated[
        dict[str, tuple[Hour, ...]],
        msgspec.Meta(description="hours of the day in `zone` by instrument id, symbol or `*`: 13 is 13:00 to 13:59"),
    ] = msgspec.field(default_factory=dict)
    sessions: Annotated[
        dict[str, tuple[str, ...]],
        msgspec.Meta(
            description="sessions by instrument id, symbol or `*`: Sydney, Tokyo, London, New York, Closed; where two overlap the hour "
            "is New York's, then London's, then Tokyo's; with `hours` too, either will do"
        ),
    ] = msgspec.field(default_factory=dict)
    zone: Annotated[str, msgspec.Meta(description="IANA time zone of `hours`")] = "UTC"
    outside_factor: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=1, description="share of a position that may be built up outside its windows; 0: no new risk"
        ),
    ] = 0.0

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (KeyError, OSError, ValueError):
            raise ValueError(
                f"Expected `zone` to be an IANA time zone such as Europe/London, got {self.zone!r}"
            ) from None
        for name in (name for chosen in self.sessions.values() for name in chosen):
            if name not in SESSIONS:
                raise ValueError(f"Expected `sessions` to be of {', '.join(SESSIONS)}, got {name!r}")
        spelled = _spelled(self._keys)
        for key in self._keys:
            if spelled[_plain(key)] != key:
                raise ValueError(f"Expected one spelling of {spelled[_plain(key)]}, got {key} too")

    @property
    def _keys(self) -> tuple[str, ...]:
        return (*self.hours, *self.sessions)

    def admits(self, instrument: Instrument, ts: int) -> bool:
        """Whether `ts` is in a window of the instrument."""
        if not self.hours and not self.sessions:
            return True
        spelled = _spelled(self._keys).get(_plain(instrument.symbol), EVERY)
        names = (instrument.instrument_id, spelled, EVERY)
        key = next((name for name in names if name in self.hours or name in self.sessions), None)
        if key is None or local_hour(self.zone, ts) in self.hours.get(key, ()):
            return True
        return session(ts) in self.sessions.get(key, ())


def local_hour(zone: str, ts: int) -> int:
    """Hour of the day by the clock of `zone`, 0 to 23."""
    return to_datetime(ts).astimezone(_zone(zone)).hour


@lru_cache(maxsize=64)
def _spelled(keys: tuple[str, ...]) -> Mapping[str, str]:
    """The keys by what they have in common with other spellings, the last one of each."""
    return {_plain(key): key for key in keys}


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return name.translate(_SEPARATORS).upper()


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
