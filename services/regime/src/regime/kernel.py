"""All indicators of a regime reading, one compiled call for all bars of a slice."""

from __future__ import annotations

from typing import Final

import numpy as np

from common.quant.kernel import NAN, Floats, Ints, kernel
from common.quant.trend import ADX_STATE, CHOP_STATE, adx_step, chop_step
from common.quant.volatility import (
    ATR_STATE,
    RANK_STATE,
    STD_STATE,
    VOL_RATIO_STATE,
    atr_step,
    bollinger_width_step,
    percent_rank_step,
    true_range,
    vol_ratio_step,
)
from regime.settings import Settings

# Columns of the values, in the order of `rules.Values`.
COLUMNS: Final = 9
# Where each indicator's words begin in a row of state; the windowed ones follow.
ADX_AT: Final = 0
ATR_AT: Final = ADX_AT + ADX_STATE
VOL_AT: Final = ATR_AT + ATR_STATE
WINDOWS_AT: Final = VOL_AT + VOL_RATIO_STATE


def periods(settings: Settings) -> Ints:
    """The parameters of `advance`."""
    s = settings
    return np.array(
        [
            s.adx_period,
            s.chop_period,
            s.atr_period,
            s.atr_window,
            s.bb_period,
            s.vol_current,
            s.vol_normal,
            s.vol_warmup,
        ]
    )


def width(settings: Settings) -> int:
    """Words of state per instrument and timeframe."""
    windows = CHOP_STATE + 3 * settings.chop_period + STD_STATE + settings.bb_period + RANK_STATE + settings.atr_window
    return WINDOWS_AT + windows


@kernel
def advance(state: Floats, rows: Ints, prices: Floats, periods: Ints, deviations: float, out: Floats) -> None:
    """One bar each of `rows` of `state` (float64[any, width]). `prices` is float64[bars, 3]: high, low, close.

    `out`, float64[bars, 9], receives ADX, +DI, -DI, choppiness, ATR, its percentile, true range over the ATR before
    it, Bollinger width, volatility ratio; NaN until warm or where undefined.
    """
    for i in range(rows.size):
        _reading(state[rows[i]], prices[i, 0], prices[i, 1], prices[i, 2], periods, deviations, out[i])


@kernel
def _reading(
    state: Floats, high: float, low: float, close: float, periods: Ints, deviations: float, out: Floats
) -> None:
    chop_at = WINDOWS_AT
    bb_at = chop_at + CHOP_STATE + 3 * periods[1]
    rank_at = bb_at + STD_STATE + periods[4]
    atr_state = state[ATR_AT:VOL_AT]
    prev_close, prev_atr = atr_state[1], atr_state[2]
    atr_known = atr_state[0] > periods[2] and prev_atr > 0.0
    atr = atr_step(atr_state, high, low, close, periods[2])
    out[0], out[1], out[2] = adx_step(state[ADX_AT:ATR_AT], high, low, close, periods[0])
    out[3] = chop_step(state[chop_at:bb_at], high, low, close, periods[1])
    out[4] = atr
    out[5] = percent_rank_step(state[rank_at:], atr, periods[3])
    out[6] = true_range(high, low, prev_close) / prev_atr if atr_known else NAN
    out[7] = bollinger_width_step(state[bb_at:rank_at], close, periods[4], deviations)
    out[8] = vol_ratio_step(state[VOL_AT:WINDOWS_AT], high, low, close, periods[5], periods[6], periods[7])


@kernel
def readings(prices: Floats, periods: Ints, deviations: float, words: int) -> Floats:
    """The values of `advance` for a whole series: float64[bars, 9]. `words` is `width(settings)`."""
    state, out = np.zeros(words), np.empty((prices.shape[0], COLUMNS))
    for i in range(prices.shape[0]):
        _reading(state, prices[i, 0], prices[i, 1], prices[i, 2], periods, deviations, out[i])
    return out


def warm() -> None:
    """Compiles both drivers, and what comes after them."""
    from regime import history, market_kernel, model_kernel, rules  # history drives this module

    settings = Settings()
    prices, out = np.ones((1, 3)), np.empty((1, COLUMNS))
    advance(np.zeros((1, width(settings))), np.zeros(1, np.int64), prices, periods(settings), 2.0, out)
    readings(prices, periods(settings), 2.0, width(settings))
    rules.warm()
    history.warm()
    market_kernel.warm()
    model_kernel.warm()
