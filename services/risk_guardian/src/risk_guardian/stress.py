"""What the book would lose in every scenario (RSK-10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from common.messages.risk import ScenarioResult
from common.model.instrument import Instrument
from risk_guardian.scenarios import Scenario

Floats = NDArray[np.float64]


class Stress:
    """The scenarios as matrices over the instruments of the book. Weights are signed fractions of equity, `sigma` daily
    deviations as fractions (NaN: unknown), both float64[instruments]. A loss is a positive fraction of equity, a gain negative.
    """

    def __init__(
        self, scenarios: Mapping[str, Scenario], instruments: Mapping[str, Instrument], account_currency: str
    ) -> None:
        self.names = tuple(scenarios)
        self._ids = tuple(instruments)
        self._scenarios = tuple(scenarios.values())
        moves = [[each.move(i, account_currency) for i in instruments.values()] for each in self._scenarios]
        shape = (len(self._scenarios), len(instruments), 2)
        table = np.array(moves, dtype=np.float64).reshape(shape)
        self._signed, self._against = -table[:, :, 0], np.ascontiguousarray(table[:, :, 1])
        self._any_against = bool(np.any(self._against))
        self._sized = np.flatnonzero([each.venue is None for each in self._scenarios])
        self._limits = [(n, each.limit) for n, each in enumerate(self._scenarios) if each.limit is not None]
        self.limited = bool(self._limits)
        self._both = np.array([each.both_ways for each in self._scenarios], dtype=bool)
        self._sigmas = {
            number: np.array([each.joint.sigma.get(i.asset_class, 0.0) for i in instruments.values()])
            for number, each in enumerate(self._scenarios)
            if each.joint
        }
        self._seen: Floats | None = None
        self._filled: dict[int, Floats] = {}
        self._venues = {
            number: _members(each.venue.venues, self._ids) for number, each in enumerate(self._scenarios) if each.venue
        }

    def losses(self, weights: Floats, sigma: Floats) -> Floats:
        """Of each scenario, in the order of `names`."""
        total, size = self.of_positions(weights, sigma), np.abs(weights)
        for number in self._venues:
            total[number] += np.add.reduce(self._venue(number, size))
        return total

    def of_positions(self, weights: Floats, sigma: Floats) -> Floats:
        """The same without what is lost at a venue that fails."""
        total: Floats = np.add.reduce(self._signed * weights, axis=1)
        np.copyto(total, np.abs(total), where=self._both)
        size = np.abs(weights)
        if self._any_against:
            total += np.add.reduce(self._against * size, axis=1)
        for number in self._sigmas:
            total[number] += np.add.reduce(self._joint(number, size, sigma))
        return total

    def worst(self, weights: Floats, sigma: Floats) -> tuple[str, float] | None:
        """The scenario that costs most; None without scenarios. Not a venue's failure: it costs the same however large the
        positions there are, so that neither a cut nor a refused order would change it. A limit of its own counts in `breach`.
        """
        if not self._sized.size:
            return None
        return self.worst_of(self.of_positions(weights, sigma))

    def worst_of(self, losses: Floats) -> tuple[str, float] | None:
        """As `worst`, of what `of_positions` gave."""
        if not self._sized.size:
            return None
        number = int(self._sized[np.argmax(losses[self._sized])])
        return self.names[number], float(losses[number])

    def breach(self, weights: Floats, sigma: Floats) -> tuple[str, float, float] | None:
        """(scenario, loss, limit) of the first scenario whose own limit is exceeded."""
        return self.breach_of(weights, self.of_positions(weights, sigma)) if self._limits else None

    def breach_of(self, weights: Floats, losses: Floats) -> tuple[str, float, float] | None:
        """As `breach`, of what `of_positions` gave for `weights`."""
        for number, limit in self._limits:
            loss = float(losses[number])
            if number in self._venues:
                loss += float(np.add.reduce(self._venue(number, np.abs(weights))))
            if loss > limit:
                return self.names[number], loss, limit
        return None

    def results(self, weights: Floats, sigma: Floats) -> tuple[ScenarioResult, ...]:
        """All of it, by instrument held; every scenario's parts add up to its loss exactly."""
        parts, size = self._signed * weights, np.abs(weights)
        turned = self._both & (np.add.reduce(parts, axis=1) < 0)
        parts[turned] = -parts[turned]
        if self._any_against:
            parts += self._against * size
        for number in self._sigmas:
            parts[number] += self._joint(number, size, sigma)
        for number in self._venues:
            parts[number] += self._venue(number, size)
        held = np.flatnonzero(weights)
        ids = [self._ids[row] for row in held]
        return tuple(self._result(number, ids, row) for number, row in enumerate((parts[:, held] + 0.0).tolist()))

    def _result(self, number: int, ids: Sequence[str], parts: Sequence[float]) -> ScenarioResult:
        loss, limit = sum(parts), self._scenarios[number].limit
        return ScenarioResult(
            scenario=self.names[number],
            loss=loss,
            by_instrument=dict(zip(ids, parts, strict=True)),
            limit=limit,
            breached=limit is not None and loss > limit,
        )

    def _joint(self, number: int, size: Floats, sigma: Floats) -> Floats:
        """Each position's share of the joint loss (Euler): k sqrt((1 - r) sum a^2 + r (sum a)^2) with a = |w| sigma."""
        joint = self._scenarios[number].joint
        assert joint is not None
        if self._seen is not sigma:  # an array that is made once a day
            self._seen, self._filled = sigma, {}
        if number not in self._filled:
            self._filled[number] = np.where(np.isnan(sigma), self._sigmas[number], sigma)
        alone = size * self._filled[number]
        total, r = float(np.add.reduce(alone)), joint.correlation
        together = sqrt((1.0 - r) * float(np.add.reduce(alone * alone)) + r * total * total)
        if not together > 0:
            return np.zeros_like(alone)
        shares: Floats = joint.sigmas / together * alone * ((1.0 - r) * alone + r * total)
        return shares

    def _venue(self, number: int, size: Floats) -> Floats:
        """Equity lies at the venues as the gross exposure does; what lies at the one that fails is lost but for the recovery."""
        failure, gross = self._scenarios[number].venue, float(np.add.reduce(size))
        assert failure is not None
        worst = np.zeros_like(size)
        if gross > 0:
            lost = max((size * at for at in self._venues[number]), key=np.add.reduce, default=worst)
            worst = (1.0 - failure.recovery) / gross * lost
        return worst


def _members(patterns: tuple[str, ...], ids: tuple[str, ...]) -> tuple[Floats, ...]:
    """For each venue that fits, 1 where an instrument trades there."""
    venue_of = [instrument_id.rpartition(".")[2] for instrument_id in ids]
    names = dict.fromkeys(venue for venue in venue_of if any(fnmatchcase(venue, each) for each in patterns))
    return tuple(np.array([float(venue == name) for venue in venue_of]) for name in names)
