"""What every configuration says on every bar of its timeframe, independent of any position.

First the strategies' rules over a block of bars, a code a bar; then confirmation and longest holding time as
`signals.tracking` has them, visited only at bars where something may change.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.quant.kernel import Floats, Ints, kernel
from signals.rules import NEAREST_STOP, ROUNDING

Codes: TypeAlias = NDArray[np.int8]
Words: TypeAlias = NDArray[np.uint64]
Track: TypeAlias = tuple[int, int, int, int, int]

SAME = 2  # the strategy says nothing: its last opinion stands


class Family(IntEnum):
    """A rule of the shipped strategies; the columns it needs are in the order of the names."""

    CROSS = 0  # fast, slow
    PRICE = 1  # slow
    SLOPE = 2  # average, atr
    TRIPLE = 3  # fast, middle, slow
    ENVELOPE = 4  # middle, atr
    PULLBACK = 5  # fast, slow


# Rows of a configuration's numbers, int64[rows, configurations].
# `ALSO` is a column that must be warm, though the rule does not look at it.
FAMILY, FIRST, SECOND, THIRD, ALSO, CONFIRMATIONS, LONGEST = range(7)
NUMBER_ROWS = 7
# Rows of what is remembered of it: direction of its last opinion, bar since which that holds, what was said, bar at which it
# was said, the direction given up, first bar at which it may speak.
LATEST, SINCE, SAID, TAKEN, SPENT, START = range(6)
TRACK_ROWS = 6
# Columns of an event.
BAR, CONFIG, DIRECTION = range(3)


@kernel
def _sign(value: float) -> int:
    return 1 if value > 0.0 else -1 if value < 0.0 else 0


@kernel
def _apart(a: float, b: float, price: float) -> float:
    """`signals.rules.significant` of a - b."""
    return a - b if abs(a - b) > ROUNDING * price else 0.0


@kernel
def _cross(closes: Floats, a: Floats, b: Floats, codes: Codes) -> None:
    for i in range(codes.size):
        gap, rounding = a[i + 1] - b[i + 1], ROUNDING * closes[i + 1]
        codes[i] = np.int8(gap > rounding) - np.int8(gap < -rounding)


@kernel
def _price(closes: Floats, slow: Floats, codes: Codes) -> None:
    for i in range(codes.size):
        close = closes[i + 1]
        gap = _apart(close, slow[i + 1], close)
        codes[i] = 0 if gap * _apart(slow[i + 1], slow[i], close) <= 0.0 else _sign(gap)


@kernel
def _slope(closes: Floats, average: Floats, atr: Floats, codes: Codes) -> None:
    for i in range(codes.size):
        slope = _apart(average[i + 1], average[i], closes[i + 1])
        codes[i] = 0 if abs(slope) < 0.05 * atr[i + 1] else _sign(slope)


@kernel
def _triple(closes: Floats, fast: Floats, middle: Floats, slow: Floats, codes: Codes) -> None:
    for i in range(codes.size):
        close = closes[i + 1]
        mixed = _apart(fast[i + 1], middle[i + 1], close) * _apart(middle[i + 1], slow[i + 1], close) <= 0.0
        codes[i] = 0 if mixed else _sign(fast[i + 1] - slow[i + 1])


@kernel
def _envelope(closes: Floats, middle: Floats, atr: Floats, width: float, codes: Codes) -> None:
    for i in range(codes.size):
        close = closes[i + 1]
        gap, band = _apart(close, middle[i + 1], close), width * atr[i + 1]
        if abs(gap) > band > 0.0:
            codes[i] = _sign(gap)
        else:
            codes[i] = 0 if gap * _apart(closes[i], middle[i], close) <= 0.0 else SAME


@kernel
def _pullback(closes: Floats, fast: Floats, slow: Floats, codes: Codes) -> None:
    for i in range(codes.size):
        close = closes[i + 1]
        over, was_over = _apart(close, fast[i + 1], close), _apart(closes[i], fast[i], close)
        above, was_above = _apart(close, slow[i + 1], close), _apart(closes[i], slow[i], close)
        if above * was_above <= 0.0:
            codes[i] = 0
        elif over * was_over <= 0.0 and over * _apart(fast[i + 1], slow[i + 1], close) > 0.0 and over * above > 0.0:
            codes[i] = _sign(over)
        else:
            codes[i] = SAME


@kernel
def _codes(numbers: Ints, c: int, width: float, closes: Floats, features: Floats, codes: Codes) -> None:
    family, a, b = numbers[FAMILY, c], features[numbers[FIRST, c]], features[numbers[SECOND, c]]
    if family == 0:
        _cross(closes, a, b, codes)
    elif family == 1:
        _price(closes, a, codes)
    elif family == 2:
        _slope(closes, a, b, codes)
    elif family == 3:
        _triple(closes, a, b, features[numbers[THIRD, c]], codes)
    elif family == 4:
        _envelope(closes, a, b, width, codes)
    else:
        _pullback(closes, a, b, codes)


@kernel
def _next_change(codes: Codes, words: Words, i: int, end: int, latest: int) -> int:
    """First bar in [i, end) whose opinion is another than `latest`; `end` if none is. `words` are the codes, eight at a time."""
    alike = np.uint64(0x0101010101010101) * np.uint64(latest & 0xFF)
    while i < end:
        if i % 8 == 0:
            while i + 8 <= end and words[i // 8] == alike:
                i += 8
            if i >= end:
                return end
        code = codes[i]
        if code not in (latest, SAME):
            return i
        i += 1
    return end


@kernel
def _due(track: Track, confirmations: int, longest: int, end: int) -> int:
    """Bar at which a track must be visited though its opinion has not changed; `end` if that is later."""
    latest, since, said, taken, spent = track
    if spent not in (0, latest):
        return 0  # the very next bar: it forgets what was given up
    if said != 0:
        end = min(end, taken + longest)
    if latest not in (0, said, spent):
        end = min(end, since + confirmations - 1)
    return end


@kernel
def _visit(track: Track, confirmations: int, longest: int, bar: int, code: int) -> Track:
    """The track after one bar, as `listen` and `settle` do it."""
    latest, since, said, taken, spent = track
    if code not in (SAME, latest):
        latest, since = code, bar
    if latest != spent:
        spent = 0
    if latest == 0:
        return latest, since, 0, taken, spent
    if latest not in (said, spent) and bar - since + 1 >= confirmations:
        return latest, since, latest, bar, spent
    if said != 0 and bar - taken >= longest:
        return latest, since, 0, taken, said
    return latest, since, said, taken, spent


@kernel
def _own_stop(closes: Floats, atr: Floats, width: float, codes: Codes, i: int, otherwise: float) -> float:
    """Stop of an envelope's last opinion up to bar `i` of the block; `otherwise` where that was given before the block."""
    while i >= 0 and (codes[i] == SAME or codes[i] == 0):
        i -= 1
    return otherwise if i < 0 else max(NEAREST_STOP, min(width * atr[i + 1] / closes[i + 1], 0.5))


@kernel
def _start(numbers: Ints, warm_at: Ints, c: int) -> int:
    """First bar at which the configuration may speak: everything it needs has been warm for two. -1 while unknown."""
    start = 0
    for row in range(FIRST, ALSO + 1):
        at = warm_at[numbers[row, c]]
        if at < 0:
            return -1
        start = max(start, at + 1)
    return start


@kernel
def say_block(
    numbers: Ints,
    widths: Floats,
    stops: Floats,
    tracks: Ints,
    own_stops: Floats,
    warm_at: Ints,
    closes: Floats,
    features: Floats,
    begin: int,
    end: int,
    codes: Codes,
    events: Ints,
    event_stops: Floats,
) -> int:
    """Changes of direction in bars `begin` to `end`, by configuration and time; returns how many.

    `closes` and the rows of `features` start with the bar before. `stops` is the usual stop, `own_stops` that of the last
    opinion of an envelope. `events` is int64[any, 3], `event_stops` the stop fraction of each.
    """
    found, size, words = 0, end - begin, codes.view(np.uint64)
    for c in range(numbers.shape[1]):
        if tracks[START, c] < 0:
            tracks[START, c] = tracks[SINCE, c] = _start(numbers, warm_at, c)
        start = tracks[START, c]
        if start < 0 or start >= end:
            continue
        _codes(numbers, c, widths[c], closes, features, codes[:size])
        i = max(0, start - begin)
        codes[:i] = 0
        confirmations, longest = numbers[CONFIRMATIONS, c], numbers[LONGEST, c]
        is_envelope, atr = numbers[FAMILY, c] == 4, features[numbers[SECOND, c]]
        track = (tracks[LATEST, c], tracks[SINCE, c], tracks[SAID, c], tracks[TAKEN, c], tracks[SPENT, c])
        while True:
            due = max(_due(track, confirmations, longest, end) - begin, i)
            i = _next_change(codes, words, i, due, track[0])
            if i >= size:
                break
            before, track = track[2], _visit(track, confirmations, longest, begin + i, codes[i])
            if track[2] != before:
                events[found, BAR], events[found, CONFIG], events[found, DIRECTION] = begin + i, c, track[2]
                event_stops[found] = stops[c]
                if is_envelope:
                    event_stops[found] = _own_stop(closes, atr, widths[c], codes, i, own_stops[c])
                found += 1
            i += 1
        for row in range(START):
            tracks[row, c] = track[row]
        if is_envelope:
            own_stops[c] = _own_stop(closes, atr, widths[c], codes, size - 1, own_stops[c])
    return found


@kernel
def by_bar(events: Ints, found: int, begin: int, end: int, order: Ints, first: Ints) -> None:
    """Counting sort: `order[first[b]:first[b + 1]]` are the events of bar `begin` + b, configurations rising."""
    first[: end - begin + 1] = 0
    for k in range(found):
        first[events[k, BAR] - begin + 1] += 1
    for b in range(end - begin):
        first[b + 1] += first[b]
    for k in range(found):
        b = events[k, BAR] - begin
        order[first[b]] = k
        first[b] += 1
    for b in range(end - begin, 0, -1):
        first[b] = first[b - 1]
    first[0] = 0
