"""What `ballast regime fit` and `ballast regime show` print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.table import Table

from common.errors import ConfigError, DataError
from common.model.time import NS_PER_DAY, Timeframe, iso
from common.quant.kernel import Floats, Ints
from common.runtime.settings import section
from regime.history import History, look_back
from regime.market import crisis_by_slice
from regime.models import Models, load_models
from regime.models_history import look_back as look_back_at_models
from regime.rules import REGIMES, VOL_STATES
from regime.settings import Settings
from research.fast.market import Series, load_market

_HOUR_NS = NS_PER_DAY // 24


def written(models: Models, path: Path) -> dict[str, Any]:
    """Writes the file, and says what is in it. Raises ConfigError where it cannot be written."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(models), indent=1) + b"\n")
    except OSError as error:
        raise ConfigError(f"--write {path}: {error.strerror}") from None
    names = [f"{model.instrument_id} {model.timeframe}" for model in models.models]
    return {"file": str(path), "fitted_on": models.fitted_on, "models": names}


def views(config: Mapping[str, Any], timeframes: Sequence[Timeframe]) -> dict[str, Any]:
    """Every series at its last bar; hours are of data time. Raises DataError."""
    settings, market = section(config, "regime", Settings), load_market(config)
    if market is None or not len(market.ts):
        raise DataError("expected prices as bars")
    models = load_models(settings.models)
    base = [(one.instrument_id, one.bars.step, _prices(one)) for one in market.contents.series if one.is_base]
    crisis = crisis_by_slice(market.ts, base, settings)
    there = [one for one in market.contents.series if one.timeframe in timeframes and one.bars.close.size]
    if not there:
        raise DataError(f"timeframe {', '.join(timeframes)}: no bars in this data")
    return {
        "until": iso(int(market.ts[-1])),
        "crisis_share": None if crisis is None else round(float(np.mean(crisis > 0.0)), 5),
        "fitted_on": models.fitted_on or None,
        "series": [_series(one, market.ts, crisis, models, settings) for one in there],
    }


def _series(one: Series, ts: Ints, crisis: Floats | None, models: Models, settings: Settings) -> dict[str, Any]:
    prices, times = _prices(one), ts[one.bars.step]
    history = look_back(prices, times, settings, None if crisis is None else crisis[one.bars.step])
    last = times.size - 1
    place = models.find(one.instrument_id, one.timeframe)
    said = look_back_at_models(prices, times, models.models[place], one.bars.volume) if place >= 0 else None
    return {
        "instrument": one.instrument_id,
        "timeframe": one.timeframe,
        "regime": REGIMES[history.stable[last]],
        "since": iso(int(history.since_ns[last])),
        "confidence": round(float(history.confidence[last]), 3),
        "vol_state": VOL_STATES[history.vol_states[last]],
        "models": None if said is None else {k: _shown(v[last]) for k, v in said._asdict().items()},
        "persistence": _persistence(history, times),
    }


def _persistence(history: History, times: Ints) -> dict[str, dict[str, float]]:
    """By regime: episodes, their mean length in hours, and the share of time; the last one counts as far as it has gone."""
    begins = np.flatnonzero(np.diff(history.stable, prepend=-1))
    ends = np.append(times[begins[1:]], times[-1])
    held, codes = (ends - times[begins]) / _HOUR_NS, history.stable[begins]
    total = float(held.sum())
    return {
        REGIMES[code]: {
            "episodes": int(np.sum(codes == code)),
            "mean_hours": round(float(held[codes == code].mean()), 1),
            "share": round(float(held[codes == code].sum()) / total, 4) if total else 0.0,
        }
        for code in np.unique(codes).tolist()
    }


def _prices(one: Series) -> Floats:
    return np.ascontiguousarray(np.column_stack((one.bars.high, one.bars.low, one.bars.close)))


def _shown(value: float) -> float | None:
    return round(float(value), 5) if value == value else None


def tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """The same for people."""
    now = Table(title=f"at {result['until']}")
    for head in (
        "series",
        "regime",
        "since",
        "volatility",
        "bull",
        "bear",
        "sideways",
        "next day",
        "change 24h",
        "48h",
    ):
        now.add_column(head)
    lasting = Table(title="how long regimes last")
    for head in ("series", "regime", "episodes", "mean hours", "share"):
        lasting.add_column(head)
    for one in result["series"]:
        name, models = f"{one['instrument']} {one['timeframe']}", one["models"] or {}
        keys = ("bull", "bear", "sideways", "forecast_vol", "change_24h", "change_48h")
        chances = ["-" if models.get(key) is None else f"{models[key]:.1%}" for key in keys]
        now.add_row(name, one["regime"], one["since"][:16], one["vol_state"], *chances)
        for regime, held in one["persistence"].items():
            hours = f"{held['mean_hours']:,.1f}"
            lasting.add_row(name, regime, str(held["episodes"]), hours, f"{held['share']:.1%}")
    yield now
    yield lasting
