"""Who owns how much of the book: opinions become shares, stops and exits end them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from common.messages.market_data import Bar
from common.messages.portfolio import Contribution
from common.messages.regime import RegimeReading
from common.messages.signals import Signal
from common.model.enums import Direction, Tier
from common.model.money import ZERO, Conversion
from common.model.time import NS_PER_HOUR
from portfolio import exits, halts, sizing
from portfolio.exits import Verdict
from portfolio.settings import Settings
from portfolio.sizing import Moves
from portfolio.state import Holding, State


class Shares:
    """The shares of the book for the length of one step. `events` tells by instrument what ended or cut a share."""

    def __init__(self, state: State, settings: Settings, conversion: Conversion, ts: int) -> None:
        self._state = state
        self._settings = settings
        self._conversion = conversion
        self._ts = ts
        self._correlations: dict[tuple[str, str], float | None] = {}
        self._moves: dict[str, Moves] = {}
        self.events: dict[str, list[str]] = {}

    def stop_out(self, bars: Mapping[str, Bar]) -> None:
        """A share whose stop was touched is closed, and its opinion not heard again until it changes."""
        for holding in self._state.holdings.values():
            bar = bars.get(holding.signal.instrument_id)
            if bar is None or holding.contribution is None:
                continue
            signal, sign = holding.signal, holding.signal.direction.sign
            stop_px = signal.ref_px * (1 - sign * signal.stop_fraction * self._state.stop_factor)
            worst = bar.low if sign > 0 else bar.high
            if sign * (worst - stop_px) <= 0:
                holding.contribution, holding.stopped = None, True

    def take_exits(self, verdicts: Iterable[tuple[str, Verdict]]) -> None:
        """Closes or cuts shares as `exits.review` found."""
        for key, verdict in verdicts:
            holding = self._state.holdings[key]
            before, holding.exits = holding.exits, verdict.progress
            if verdict.why:
                self._note(holding.signal, verdict.why)
            if verdict.out:
                holding.contribution, holding.stopped = None, True
            elif before is not None and holding.contribution and verdict.progress.levels > before.levels:
                settings = self._settings.exits
                factor = exits.kept(verdict.progress, settings) / exits.kept(before, settings)
                # Rounded up in its last digit: 4/7 of 4200 are 2400, and not one less.
                holding.contribution = self._cut(holding, holding.contribution, factor.next_plus())

    def listen(self, signal: Signal) -> None:
        """A new opinion, or new parameters for an old one: those are no new idea. A strategy that is halted keeps what it
        has while its opinion stands and opens nothing; its latest opinion is sized at a rebalance after that.
        """
        holdings = self._state.holdings
        key = key_of(signal)
        before = holdings.pop(key, None)
        if signal.direction is Direction.FLAT:
            return
        if before and before.signal.direction is not signal.direction:
            before = None
        if before and before.stopped:
            holdings[key] = Holding(signal=signal, stopped=True)
            return
        holding = Holding(signal=signal, exits=before.exits if before else None)
        holding.contribution = before.contribution if before else None
        if halts.of_strategy(self._state, signal) is None:
            new = self._size(holding, self._room(signal.tier))
            held = before.contribution if before else None
            self._own(holding, held if self._too_weak(signal, new, held) else new)
        holdings[key] = holding

    def rebalance(self) -> None:
        """Sizes every live opinion anew at its interval; what is off by less than the drift band is left alone."""
        state, settings = self._state, self._settings
        interval = settings.rebalance_hours * NS_PER_HOUR
        if self._ts // interval == state.rebalanced_ns // interval:
            return
        state.rebalanced_ns = self._ts
        state.refused.clear()  # by now there may be room
        for holding in state.holdings.values():
            signal, old = holding.signal, holding.contribution
            if holding.stopped or halts.of_strategy(state, signal) is not None:
                continue
            had, risk = (old.signed_qty, old.risk) if old else (ZERO, ZERO)
            new = self._size(holding, self._room(signal.tier) + risk)
            if not new or self._too_weak(signal, new, old):
                continue
            if abs(new.signed_qty - had) > sizing.exact(settings.drift_band) * abs(had):
                self._own(holding, new)

    def respect_total_risk(self) -> None:
        """When equity shrank, all shares shrink with it: the sum of risks never exceeds the maximum (PFL-07)."""
        state = self._state
        if state.equity is None:
            return
        total = self.total_risk()
        allowed = max(state.equity, ZERO) * sizing.exact(self._settings.max_total_risk)
        if total <= allowed:
            return
        state.cut = True
        # A little below the limit, so that the next small loss does not trade the whole book again.
        factor = allowed / total * Decimal("0.95")
        for holding in state.holdings.values():
            if holding.contribution is not None:
                instrument = state.instruments[holding.signal.instrument_id]
                holding.contribution = sizing.scaled(holding.contribution, factor, instrument)

    def total_risk(self) -> Decimal:
        """Lost at all stops at once, in the account currency."""
        return self._at_risk(None)[0]

    # --- sizes ---------------------------------------------------------------------------------------

    def _size(self, holding: Holding, room: Decimal) -> Contribution | None:
        """What the opinion deserves now, less what its partial exits have given up for good."""
        state, signal = self._state, holding.signal
        instrument = state.instruments[signal.instrument_id]
        px = state.last_px.get(signal.instrument_id)
        rate = self._conversion.rate(instrument.quote, state.last_px)
        if px is None or rate is None or state.equity is None:
            return None
        correlation = sizing.mean_correlation(
            signal.instrument_id, signal.direction.sign, state.targets, self._correlation
        )
        full = sizing.contribution(
            signal,
            instrument=instrument,
            equity=state.equity,
            px=px,
            rate=rate,
            correlation=correlation,
            room=room,
            settings=self._settings,
        )
        if full is None or holding.exits is None or not holding.exits.levels:
            return full
        return self._cut(holding, full, exits.kept(holding.exits, self._settings.exits))

    def _cut(self, holding: Holding, share: Contribution, factor: Decimal) -> Contribution | None:
        """What a partial exit leaves of a share, and says so."""
        instrument = self._state.instruments[holding.signal.instrument_id]
        said = exits.note(holding.exits, self._settings.exits) if holding.exits else ""
        return sizing.scaled(share, factor, instrument, f"{holding.signal.reason}; {said}")

    def _own(self, holding: Holding, share: Contribution | None) -> None:
        """The holding owns `share` from here on; with its first one, its exits begin."""
        holding.contribution = share
        if share is not None and holding.exits is None and self._settings.exits.enabled:
            signal = holding.signal
            px = float(self._state.last_px[signal.instrument_id])
            reading = self.reading(signal)
            holding.exits = exits.entered(signal.direction, px, self._ts, reading, self._settings.exits)

    def reading(self, signal: Signal) -> RegimeReading | None:
        """The last one of the opinion's instrument and timeframe."""
        readings = self._state.watch.readings.get(signal.instrument_id)
        return readings.get(signal.timeframe) if readings else None

    def _too_weak(self, signal: Signal, new: Contribution | None, held: Contribution | None) -> bool:
        """Whether `new` would open or grow on an opinion weaker than the guardian asks for just now."""
        had = abs(held.signed_qty) if held else ZERO
        return signal.confidence < self._state.min_confidence and new is not None and abs(new.signed_qty) > had

    def _room(self, tier: Tier) -> Decimal:
        """Risk that a new share of `tier` may take: what the tier and the whole book have left."""
        if self._state.equity is None:
            return ZERO
        budget = self._state.equity * sizing.exact(self._settings.max_total_risk)
        of_tier = budget * sizing.exact(self._settings.allocation.get(tier, 0.0))
        total, taken = self._at_risk(tier)
        return min(of_tier - taken, budget - total)

    def _at_risk(self, tier: Tier | None) -> tuple[Decimal, Decimal]:
        """What all shares lose at their stops, and what those of `tier` do. Asked for every signal, hence one pass."""
        total = taken = ZERO
        for holding in self._state.holdings.values():
            share = holding.contribution
            if share is not None:
                total += share.risk
                if holding.signal.tier is tier:
                    taken += share.risk
        return total, taken

    def _correlation(self, a: str, b: str) -> float | None:
        pair = (a, b) if a < b else (b, a)
        if pair not in self._correlations:
            one, other = self._moves_of(pair[0]), self._moves_of(pair[1])
            if one.times == other.times:  # the common case: what each needs is computed once a step, not once a pair
                self._correlations[pair] = sizing.pearson(one, other)
            else:
                closes, window = self._state.closes, self._settings.correlation_window
                self._correlations[pair] = sizing.return_correlation(
                    closes.get(pair[0], ()), closes.get(pair[1], ()), window
                )
        return self._correlations[pair]

    def _moves_of(self, instrument_id: str) -> Moves:
        if instrument_id not in self._moves:
            newest = self._state.closes.get(instrument_id, ())[-(self._settings.correlation_window + 1) :]
            self._moves[instrument_id] = sizing.moves(newest)
        return self._moves[instrument_id]

    def _note(self, signal: Signal, why: str) -> None:
        self.events.setdefault(signal.instrument_id, []).append(f"{signal.strategy_id} {signal.timeframe}: {why}")


def key_of(signal: Signal) -> str:
    """Of the holding that the signal is about."""
    return f"{signal.strategy_id}|{signal.instrument_id}|{signal.timeframe}"
