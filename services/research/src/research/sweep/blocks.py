"""All kernels of a sweep over the blocks of a series: features, opinions, books.

They are compiled into one, whose cache on disk would not notice that one of them has changed: so what is older than any of their
files is thrown away on import.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.quant import averages, trend, volatility
from common.quant.kernel import Floats, Ints, kernel
from research.sweep import book, opinions
from research.sweep import features as feature_kernels
from research.sweep.book import Flags, trade_block
from research.sweep.features import feature_block
from research.sweep.opinions import Codes, by_bar, say_block
from signals import features as signal_features


@kernel
def blocks(
    edges: Ints,
    bars_at: Ints,
    lines: Ints,
    words: Floats,
    warm_at: Ints,
    bars: Floats,
    features: Floats,
    numbers: Ints,
    widths: Floats,
    stops: Floats,
    tracks: Ints,
    own_stops: Floats,
    codes: Codes,
    events: Ints,
    event_stops: Floats,
    order: Ints,
    first: Ints,
    prices: Floats,
    depth: Floats,
    rolls: Floats,
    marks: Flags,
    signal_at: Ints,
    constants: Floats,
    books: Floats,
    finished: Floats,
    pending: Ints,
    flags: Flags,
    samples: Floats,
    done: Ints,
    log: Floats,
) -> None:
    """A block after the other; `edges` are their rows and `bars_at` their bars. In one call, as handing over thirty arrays takes
    as long as a tenth of a block.
    """
    closes = bars[2]
    for k in range(edges.size - 1):
        low, high = bars_at[k], bars_at[k + 1]
        feature_block(lines, words, warm_at, bars, low, high, features)
        before = np.empty(high - low + 1)
        before[0] = closes[low - 1] if low else np.nan
        before[1:] = closes[low:high]
        found = say_block(
            numbers, widths, stops, tracks, own_stops, warm_at, before, features, low, high, codes, events, event_stops
        )
        by_bar(events, found, low, high, order, first)
        trade_block(
            prices,
            depth,
            rolls,
            marks,
            signal_at,
            closes,
            edges[k],
            edges[k + 1],
            low,
            events,
            event_stops,
            order,
            first,
            constants,
            books,
            finished,
            pending,
            flags,
            samples,
            done,
            log,
        )
        features[:, 0] = features[:, high - low]


def _forget_older() -> None:
    parts = (averages, trend, volatility, signal_features, book, feature_kernels, opinions)
    newest = max(Path(str(part.__file__)).stat().st_mtime for part in parts)
    cache = Path(blocks.stats.cache_path)  # type: ignore[attr-defined]
    for source in (__file__, str(feature_kernels.__file__)):  # those that take kernels of other files in
        for index in cache.glob(f"{Path(source).stem}.*.nbi"):
            if index.stat().st_mtime < newest:
                index.unlink(missing_ok=True)


_forget_older()
