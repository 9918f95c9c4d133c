"""The effective configuration: profile, the user's file and the command line, every section validated, every default filled in."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from common.errors import ConfigError
from common.model.account import Account
from common.model.run import Run, pace
from common.model.time import from_datetime
from common.runtime.settings import load, section
from common.version import BUILD
from execution.settings import Settings as Execution
from gateway.settings import Settings as Gateway
from market_data.settings import Settings as MarketData
from portfolio.settings import Settings as Portfolio
from recorder.settings import Settings as Recorder
from regime.models import BUILTIN, load_models
from regime.settings import Settings as Regime
from risk_guardian.settings import Settings as RiskGuardian
from signals.settings import Settings as Signals

SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "run": Run,
    "account": Account,
    "market_data": MarketData,
    "regime": Regime,
    "signals": Signals,
    "portfolio": Portfolio,
    "risk_guardian": RiskGuardian,
    "execution": Execution,
    "recorder": Recorder,
    "gateway": Gateway,
}
_FROM_FILES: Final = tuple(name for name in SECTIONS if name != "run")  # `run` is what the command line says
_PATHS: Final = (  # relative to the user's file
    ("signals", "strategy_folder"),
    ("risk_guardian", "scenarios_dir"),
    ("market_data", "economic_calendar"),
)
_FEED_PATHS: Final = ("data", "key_file")
_NAMED_DATA: Final = ("builtin", "builtin-h1", "live")


def effective(
    profile: str,
    *,
    override: Path | None = None,
    data: str = "builtin",
    start: str | None = None,
    end: str | None = None,
    speed: str = "max",
    pin: bool = True,
) -> dict[str, Any]:
    """Everything a run needs to know, as plain values. Raises ConfigError naming key, value and expectation, and DataError for a
    calendar that cannot be read. Without `pin` a calendar may change while the configuration stays the same.
    """
    config = load(profile, override)
    for name in config:
        if name not in _FROM_FILES:
            raise ConfigError(f"[{name}]: unknown section; expected one of {', '.join(_FROM_FILES)}")
    config["run"] = {
        "profile": profile,
        "data": _data(data),
        "start_ns": _instant("--from", start),
        "end_ns": _instant("--to", end),
        "speed": _speed(speed),
        "build": BUILD,
    }
    if start and end and config["run"]["start_ns"] >= config["run"]["end_ns"]:
        raise ConfigError(f"--from {start} --to {end}: expected a start before the end")
    plain = {name: msgspec.to_builtins(section(config, name, kind)) for name, kind in SECTIONS.items()}
    for name, key in _PATHS:
        if override and (path := plain[name][key]):
            plain[name][key] = str((override.parent / path).resolve())
    for feed in plain["market_data"]["feeds"]:
        for key in _FEED_PATHS:
            if override and feed[key]:
                feed[key] = str((override.parent / feed[key]).resolve())
    plain["regime"]["models"] = _models(plain["regime"]["models"], override)
    if pin and data != "live" and (calendar := plain["market_data"]["economic_calendar"]):
        plain["market_data"]["economic_calendar"] = _pinned(calendar)
    return plain


def _pinned(calendar: str) -> str:
    """With the digest of its events: another calendar is another run. Of what is live the tape holds every event that was said."""
    from market_data.events import pinned

    return pinned(calendar)


def _models(given: str, override: Path | None) -> str:
    """The content of a file of models, so that a run stays the same whatever becomes of the file; what ships is part of the build.
    Raises ConfigError.
    """
    if given in ("", BUILTIN) or given.startswith("{"):
        return given
    path = str((override.parent / given).resolve()) if override else given
    return msgspec.json.encode(load_models(path)).decode()


def _data(data: str) -> str:
    """A directory becomes absolute, so that every process means the same one; also the one that paths are made after."""
    if drawn := re.fullmatch(r"(paths:[^:]*:[0-9]{1,18}:)(.+)", data):
        return str(drawn[1]) + _data(drawn[2])
    if data in _NAMED_DATA or data.startswith("synthetic:"):
        return data
    path = Path(data)
    if not path.is_dir():
        expected = 'expected a directory, "builtin", "builtin-h1", "live", "synthetic:NAME" or "paths:KIND:SEED:DATA"'
        raise ConfigError(f"--data {data}: no such directory; {expected}")
    return str(path.resolve())


def _speed(text: str) -> str:
    try:
        pace(text)
    except ValueError as error:
        raise ConfigError(f"--speed {text}: {error}") from None
    return text


def _instant(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text}: expected a date or time such as 2017-01-31 or 2017-01-31T14:00") from None
    return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
