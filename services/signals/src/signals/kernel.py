"""The framework's part over a whole series, compiled: which volatility is acted in, and what is said when."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.quant.kernel import Ints, kernel

Codes: TypeAlias = NDArray[np.int8]

# Words of a strategy on one bar: the sign of its direction, or one of these.
STANDS: Final = 2  # no new opinion, the last one stands
NOT_HERE: Final = 3  # it does not trade in this volatility
WARMING: Final = 4  # a feature is not known yet

# Why something is said, where the words themselves do not tell.
BY_OPINION: Final = 0
HELD_OUT: Final = 1

# Columns of what is said: the bar; the bar of the opinion that is said (NONE: flat); the bar of the last opinion; why.
BAR, SAID, LATEST, WHY = range(4)
NONE: Final = -1

# `tracking.Track` as numbers, opinions as their bars.
_LATEST, _LATEST_SIGN, _AGREED, _SAID, _SAID_SIGN, _HELD, _SPENT = range(7)
_TRACK: Final = 7


@kernel
def adapt(reported: Codes, worse_after: int, calmer_after: int) -> Codes:
    """`Signals._adapt` over a whole series: the state acted in on each bar. States are their places in VolState."""
    acting = np.empty(reported.size, np.int8)
    state, away = np.int8(0), 0
    for i in range(reported.size):
        distance = reported[i] - state
        if distance == 0:
            away = 0
        else:
            step = 1 if distance > 0 else -1
            away = away + step if away * step > 0 else step
            if away >= worse_after or -away >= calmer_after:
                state, away = reported[i], 0
        acting[i] = state
    return acting


@kernel
def follow(words: Codes, acting: Codes, confirmations: Ints, longest: Ints) -> Ints:
    """The tracking of a strategy over a whole series: int64[signals, 4], a row for each bar on which something is said.

    `words` are what the strategy says on each bar, `acting` the volatility state; `confirmations` and `longest` (bars a
    direction is kept) are by state.
    """
    out, count, said_in = np.empty((words.size, 4), np.int64), 0, 0
    track = np.zeros(_TRACK, np.int64)
    track[_LATEST] = track[_SAID] = NONE
    for i in range(words.size):
        state, before_in, before = acting[i], said_in, track[_SAID_SIGN]
        said_in = state
        why = _hear(track, i, words[i], confirmations[state], longest[state])
        if track[_SAID_SIGN] != before or (track[_SAID] != NONE and said_in != before_in):
            out[count, BAR], out[count, SAID], out[count, LATEST], out[count, WHY] = (
                i,
                track[_SAID],
                track[_LATEST],
                why,
            )
            count += 1
    return out[:count].copy()


@kernel
def _hear(track: Ints, i: int, word: int, confirmations: int, longest: int) -> int:
    """`tracking.silence`, or `listen` and `settle`, with what a strategy says on bar `i`; returns why it is said."""
    if word > STANDS:
        track[:] = 0
        track[_LATEST] = track[_SAID] = NONE
        return word
    track[_AGREED] = track[_AGREED] + 1 if word in (STANDS, track[_LATEST_SIGN]) else 1
    if word != STANDS:
        track[_LATEST], track[_LATEST_SIGN] = i, word
    thinks, says = track[_LATEST_SIGN], track[_SAID_SIGN]
    if thinks != track[_SPENT]:
        track[_SPENT] = 0
    track[_HELD] += says != 0
    if thinks == 0:
        track[_SAID], track[_SAID_SIGN], track[_HELD] = NONE, 0, 0
        return BY_OPINION
    if thinks not in (says, track[_SPENT]) and track[_AGREED] >= confirmations:
        track[_SAID], track[_SAID_SIGN], track[_HELD] = track[_LATEST], thinks, 0
        return BY_OPINION
    if says != 0 and track[_HELD] >= longest:
        track[_SAID], track[_SAID_SIGN], track[_HELD], track[_SPENT] = NONE, 0, 0, says
        return HELD_OUT
    if thinks == says:
        track[_SAID] = track[_LATEST]
    return BY_OPINION


def warm() -> None:
    """Compiles both."""
    word, limits = np.zeros(1, np.int8), np.ones(3, np.int64)
    follow(word, adapt(word, 1, 1), limits, limits)
