"""How markets behave before and after scheduled events (REG-12): against the same hours of other days without one.

For every event and every instrument of its currency: volatility (root mean square of the bars' true ranges, in logarithms of prices),
spread (at the closes, relative to the price) and drift (sum of the log returns, positive where the event's currency gains) in the bars
that close before the event and in those that follow, the first of which holds it. The mean of other days at the same time of day in UTC
is subtracted, of volatility and spread in logarithms: what is left has mean zero where events do nothing. Instruments are averaged
first: what counts as one observation is an instant at which something was published, however many instruments saw it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Final

import msgspec
import numpy as np

from common.errors import DataError
from common.messages.market_data import EconomicEvent, Impact
from common.model.instrument import Instrument
from common.model.money import DOLLARS
from common.model.time import NS_PER_DAY, NS_PER_MINUTE
from common.quant.bootstrap import bootstrap_interval, means
from common.quant.kernel import Floats, Ints
from market_data.events import punctuality
from market_data.feed import RawBar
from market_data.feeds.column_feed import ColumnFeed
from market_data.settings import Settings
from market_data.validation import Rules
from research.event_windows import Measure, Phase, Span, against_other_days, near, sums
from research.fast.market_bars import Timed, believed
from research.truth.ab import holm

EVERY: Final = "ALL"  # currencies; also the currency of events that concern all of them
LEAST_EVENTS: Final = 20  # of fewer, resampling makes intervals that are too narrow
_DOLLAR: Final = "USD"
_IMPACTS: Final = tuple(Impact)


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the report. `estimate` is a ratio to other days, for drift a difference of log returns; `low` to `high` is its 95 %
    interval by block bootstrap over `events` instants, None where those are fewer than `LEAST_EVENTS`. `p_corrected` is Holm's, for
    all rows of the report.
    """

    currency: str
    impact: Impact
    phase: Phase
    measure: Measure
    events: int
    instruments: int
    estimate: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_corrected: float | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`events` are instants in the calendar, `untimed` those at midnight, which are left out: calendars stamp so what lasts all day or
    has no time. `covered` are instants that the data covers and that no stronger event disturbs. `punctual` is `punctuality`
    of the calendar.
    """

    before_minutes: float
    after_minutes: float
    instruments: tuple[str, ...]
    events: int
    untimed: int
    covered: int
    punctual: float | None
    rows: tuple[Behaviour, ...]


Sample = dict[tuple[str, Impact, Phase, Measure], dict[int, list[float]]]  # by instant, a value of each instrument


def behaviour(
    feed: ColumnFeed,
    settings: Settings,
    events: Sequence[EconomicEvent],
    *,
    before_minutes: float = 60.0,
    after_minutes: float = 60.0,
    seed: int = 1,
) -> Report:
    """`feed` holds bars no longer than the shorter span. Raises DataError where nothing can be said."""
    timed = [event for event in events if event.ts_event % NS_PER_DAY]
    sample: Sample = {}
    seen: dict[tuple[str, Impact], set[str]] = {}
    for instrument, base, rows in zip(feed.instruments, feed.base_timeframes, feed.rows, strict=True):
        if rows.kind is not RawBar:
            raise DataError(f"{instrument.instrument_id}: expected bars, got ticks")
        if base.ns > min(before_minutes, after_minutes) * NS_PER_MINUTE:
            raise DataError(
                f"{instrument.instrument_id}: bars of {base.value} are longer than the span before or after an event"
            )
        bars = believed(instrument.instrument_id, rows, Rules(settings.max_jump, settings.jump_moves), {})
        before, after = (ceil(minutes * NS_PER_MINUTE / base.ns) for minutes in (before_minutes, after_minutes))
        span = Span(before, after, base.ns)
        for key in _look(instrument, bars, span, timed, sample):
            seen.setdefault(key, set()).add(instrument.instrument_id)
    if not sample:
        raise DataError("no event of the calendar lies in the data with enough other days around it")
    return Report(
        before_minutes=before_minutes,
        after_minutes=after_minutes,
        instruments=tuple(instrument.instrument_id for instrument in feed.instruments),
        events=len({(event.ts_event, event.currency) for event in events}),
        untimed=len({(event.ts_event, event.currency) for event in events if not event.ts_event % NS_PER_DAY}),
        covered=len({ts for (currency, *_), by in sample.items() if currency == EVERY for ts in by}),
        punctual=punctuality(timed),
        rows=tuple(_rows(sample, seen, seed)),
    )


# --- events against other days ------------------------------------------------------------------------------------------


def _look(
    instrument: Instrument, bars: Timed, span: Span, events: Sequence[EconomicEvent], sample: Sample
) -> Iterator[tuple[str, Impact]]:
    """Enters what the events did to one instrument; says for which currencies and impacts."""
    signs = {_name(instrument.base): 1.0, _name(instrument.quote): -1.0}
    mine = [event for event in events if event.currency in signs or event.currency == EVERY]
    strength = {
        impact: np.unique([e.ts_event for e in mine if e.impact is impact]).astype(np.int64) for impact in Impact
    }
    of = sums(bars, span.base_ns)
    for place, impact in enumerate(_IMPACTS):
        stronger = np.sort(
            np.concatenate([strength[other] for other in _IMPACTS[place + 1 :]] or [np.empty(0, np.int64)])
        )
        as_strong = np.sort(np.concatenate([strength[impact], stronger]))
        chosen = strength[impact][~near(strength[impact], stronger, span)]
        apart = against_other_days(of, chosen, as_strong, span)
        for currency, times in _by_currency(mine, impact, strength[impact]):
            kept = np.isin(chosen, times)
            if _enter(sample, (currency, impact), chosen[kept], {key: a[kept] for key, a in apart.items()}, signs):
                yield currency, impact


def _by_currency(events: Sequence[EconomicEvent], impact: Impact, every: Ints) -> Iterator[tuple[str, Ints]]:
    """Of each currency, and of all together: what two currencies publish at once is one instant."""
    yield EVERY, every
    for currency in sorted({event.currency for event in events} - {EVERY}):
        times = [event.ts_event for event in events if event.currency == currency and event.impact is impact]
        yield currency, np.unique(times).astype(np.int64)


def _enter(
    sample: Sample,
    group: tuple[str, Impact],
    times: Ints,
    apart: Mapping[tuple[Phase, Measure], Floats],
    signs: Mapping[str, float],
) -> bool:
    currency, impact = group
    entered = False
    for (phase, measure), values in apart.items():
        if measure is Measure.DRIFT and currency == EVERY:
            continue  # which side should gain?
        signed = values * signs[currency] if measure is Measure.DRIFT else values
        for ts, value in zip(times.tolist(), signed.tolist(), strict=True):
            if value == value:
                entered = True
                sample.setdefault((currency, impact, phase, measure), {}).setdefault(ts, []).append(value)
    return entered


def _rows(sample: Sample, seen: Mapping[tuple[str, Impact], set[str]], seed: int) -> Iterator[Behaviour]:
    """In order of currency (all first), impact (the highest first), measure and phase."""
    keys = sorted(
        sample,
        key=lambda k: (k[0] != EVERY, k[0], -_IMPACTS.index(k[1]), tuple(Measure).index(k[3]), k[2] != Phase.BEFORE),
    )
    rows = [_row(key, sample[key], len(seen[key[:2]]), seed) for key in keys]
    for row, corrected in zip(rows, holm([row.p_value for row in rows]), strict=True):
        yield msgspec.structs.replace(row, p_corrected=corrected)


def _row(
    key: tuple[str, Impact, Phase, Measure], of: Mapping[int, Sequence[float]], instruments: int, seed: int
) -> Behaviour:
    currency, impact, phase, measure = key
    values = np.array([sum(of[ts]) / len(of[ts]) for ts in sorted(of)])
    found = bootstrap_interval(values, means, np.random.default_rng(seed)) if values.size >= LEAST_EVENTS else None

    def told(value: float) -> float:
        return float(value if measure is Measure.DRIFT else np.exp(value))

    return Behaviour(
        currency=currency,
        impact=impact,
        phase=phase,
        measure=measure,
        events=int(values.size),
        instruments=instruments,
        estimate=told(float(values.mean())),
        low=told(found.low) if found else None,
        high=told(found.high) if found else None,
        p_value=found.p_value if found else None,
    )


def _name(currency: str) -> str:
    """Dollar stablecoins feel what the dollar feels."""
    return _DOLLAR if currency in DOLLARS else currency
