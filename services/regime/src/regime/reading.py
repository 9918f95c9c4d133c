"""The message on one bar."""

from __future__ import annotations

from collections.abc import Sequence

from common.messages.regime import RegimeReading
from common.model.enums import Regime, VolState
from common.model.time import Timeframe


def make_reading(
    instrument_id: str,
    timeframe: Timeframe,
    values: Sequence[float],
    *,
    regime: Regime,
    candidate: Regime,
    since_ns: int,
    confidence: float,
    vol_state: VolState,
    override: str = "",
) -> RegimeReading:
    """`values` are nine, in the order of `rules.Values`; what is NaN there is None here."""
    shown = [value if value == value else None for value in values]
    return RegimeReading(
        instrument_id=instrument_id,
        timeframe=timeframe,
        regime=regime,
        candidate=candidate,
        since_ns=since_ns,
        confidence=confidence,
        vol_state=vol_state,
        adx=shown[0],
        plus_di=shown[1],
        minus_di=shown[2],
        chop=shown[3],
        atr=shown[4],
        atr_percentile=shown[5],
        atr_ratio=shown[6],
        bb_width=shown[7],
        vol_ratio=shown[8],
        override=override,
    )
