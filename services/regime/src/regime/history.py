"""Every verdict on a whole series at once: what the detector would have said bar by bar, to the bit."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.messages.regime import RegimeReading
from common.model.time import NS_PER_MINUTE, Timeframe
from common.quant.kernel import Floats, Ints, kernel
from regime.kernel import periods, readings, width
from regime.reading import make_reading
from regime.rules import CRISIS, REGIMES, UNCERTAIN, VOL_STATES, thresholds, verdicts
from regime.settings import Settings

Codes: TypeAlias = NDArray[np.int8]


class History(NamedTuple):
    """A row per bar: the values (float64[bars, 9], NaN where not known), what the bar says (`candidates`, `confidence`,
    `vol_states`), and the regime that is stable after it, since when. Codes are places in `rules.REGIMES` and `VOL_STATES`.
    """

    values: Floats
    candidates: Codes
    confidence: Floats
    vol_states: Codes
    stable: Codes
    since_ns: Ints

    def reading(self, i: int, instrument_id: str, timeframe: Timeframe) -> RegimeReading:
        """What the detector says on bar `i`."""
        return make_reading(
            instrument_id,
            timeframe,
            self.values[i].tolist(),
            regime=REGIMES[self.stable[i]],
            candidate=REGIMES[self.candidates[i]],
            since_ns=int(self.since_ns[i]),
            confidence=float(self.confidence[i]),
            vol_state=VOL_STATES[self.vol_states[i]],
        )


def look_back(high_low_close: Floats, ts: Ints, settings: Settings, crisis: Floats | None = None) -> History:
    """The verdicts on a series from its first bar on. `high_low_close` is float64[bars, 3] in C order, `ts` the closes of the
    bars' slices in ns, `crisis` the confidence, slice by slice, that the market as a whole is in one (0: it is not).
    """
    values = readings(high_low_close, periods(settings), settings.bb_deviations, width(settings))
    judged = verdicts(values, high_low_close, thresholds(settings))
    if crisis is not None:
        judged[crisis > 0.0, 0], judged[crisis > 0.0, 1] = CRISIS, crisis[crisis > 0.0]
    candidates = judged[:, 0].astype(np.int8)
    stable, since_ns = hold(candidates, ts, settings.hold_minutes * NS_PER_MINUTE, UNCERTAIN, CRISIS)
    return History(values, candidates, judged[:, 1].copy(), judged[:, 2].astype(np.int8), stable, since_ns)


@kernel
def hold(candidates: Codes, ts: Ints, hold_ns: int, first: int, at_once: int) -> tuple[Codes, Ints]:
    """`holding.observe` over a whole series: the stable regime after each bar, and since when. It is `first` before there is
    one; `at_once` need not hold.
    """
    count = candidates.size
    stable, since_ns = np.empty(count, np.int8), np.empty(count, np.int64)
    held, since, pending, pending_ns = np.int8(first), np.int64(0), np.int8(first), np.int64(0)
    for i in range(count):
        if i == 0:
            since, pending_ns = ts[0], ts[0]
        candidate = candidates[i]
        if candidate != pending:
            pending, pending_ns = candidate, ts[i]
        if candidate != held and (candidate == at_once or ts[i] - pending_ns >= hold_ns):
            held, since = candidate, ts[i]
        stable[i], since_ns[i] = held, since
    return stable, since_ns


def warm() -> None:
    """Compiles it."""
    hold(np.zeros(1, np.int8), np.zeros(1, np.int64), 0, UNCERTAIN, CRISIS)
