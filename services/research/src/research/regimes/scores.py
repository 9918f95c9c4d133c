"""How good a verdict on regimes is, against known labels. A label or verdict below 0 is none, a probability NaN none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.quant.kernel import Floats, Ints
from research.regimes.markets import Codes

Bools = NDArray[np.bool_]
REPLICATIONS: Final = 1_000
BINS: Final = 10


class Interval(msgspec.Struct, frozen=True):
    """A figure with the 95 % of resampled ones around it; None where there is one block only, and so nothing to resample."""

    value: float
    low: float | None
    high: float | None


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """How long after a change of the label the verdict is the new one, in bars, as long as the label lasts."""

    changes: int
    found: float | None  # share of them
    median: float | None  # of those found
    p90: float | None


class Reliability(msgspec.Struct, frozen=True, kw_only=True):
    """Forecasts of about the same size: what they said on average, how often it came true, how many there were."""

    forecast: float
    observed: float
    count: int


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """`brier` is the mean squared error of a probability, `skill` 1 - brier over that of always saying the base rate."""

    brier: float
    skill: float | None
    base_rate: float
    count: int
    reliability: tuple[Reliability, ...]


class Flagged(msgspec.Struct, frozen=True, kw_only=True):
    """Shifts with an alarm in the hours before. `false_alarms` is the share of quiet bars with one (a bar is quiet where nothing
    changes within those hours), `by_chance` the share of equally long stretches of quiet bars with at least one: what an alarm
    that knows nothing would seem to flag.
    """

    shifts: int
    share: float | None
    by_chance: float | None
    false_alarms: float | None


class Verdicts(NamedTuple):
    """Labels and what was said of them on one stretch, in order of time."""

    truth: Codes
    said: Codes


def confusion(pairs: Sequence[Verdicts], classes: int) -> Ints:
    """int64[classes, classes + 1]: rows are labels, columns verdicts, the last of them none. Bars without a label do not count."""
    table = np.zeros((classes, classes + 1), np.int64)
    for truth, said in pairs:
        known = truth >= 0
        np.add.at(table, (truth[known], np.where(said[known] < 0, classes, said[known])), 1)
    return table


def accuracy(table: Ints) -> float | None:
    """Share of bars whose verdict is the label; no verdict is a wrong one. None without bars."""
    total = int(table.sum())
    return float(np.trace(table)) / total if total else None


def balanced_accuracy(table: Ints) -> float | None:
    """Mean over the labels that occur of the share found: one half, one third where nothing is known."""
    rows = table.sum(axis=1)
    there = rows > 0
    return float(np.mean(np.diagonal(table)[there] / rows[there])) if there.any() else None


def best_constant(table: Ints) -> float | None:
    """Accuracy of always saying the label that is most frequent in these very data."""
    total = int(table.sum())
    return float(table.sum(axis=1).max()) / total if total else None


def accuracy_interval(pairs: Sequence[Verdicts], block: int, rng: np.random.Generator) -> Interval | None:
    """Accuracy with its interval by resampling blocks of `block` bars (Carlstein 1986, Annals of Statistics 14)."""
    sums = [
        (float(np.count_nonzero(said[part] == truth[part])), float(part.size))
        for truth, said in pairs
        for part in np.array_split(np.flatnonzero(truth >= 0), max(1, int((truth >= 0).sum()) // block))
        if part.size
    ]
    return ratio_interval(np.array(sums), rng) if sums else None


def ratio_interval(sums: Floats, rng: np.random.Generator) -> Interval:
    """Sum of the first column over that of the second, float64[blocks, 2], blocks resampled."""
    total = sums.sum(axis=0)
    value = float(total[0] / total[1])
    if len(sums) == 1:
        return Interval(value, None, None)
    drawn = sums[rng.integers(len(sums), size=(REPLICATIONS, len(sums)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    return Interval(value, float(low), float(high))


def delay(pairs: Sequence[Verdicts]) -> Delay:
    """Of changes from one known label to another."""
    waited: list[int] = []
    count = 0
    for truth, said in pairs:
        known = truth >= 0
        starts = np.flatnonzero(known[1:] & known[:-1] & (truth[1:] != truth[:-1])) + 1
        ends = np.append(np.flatnonzero(truth[1:] != truth[:-1]) + 1, truth.size)
        count += starts.size
        for begin in starts.tolist():
            end = int(ends[np.searchsorted(ends, begin, side="right")])
            right = said[begin:end] == truth[begin]
            if right.any():
                waited.append(int(np.argmax(right)))
    if not waited:
        return Delay(changes=count, found=0.0 if count else None, median=None, p90=None)
    median, p90 = np.quantile(waited, (0.5, 0.9))
    return Delay(changes=count, found=len(waited) / count, median=float(median), p90=float(p90))


def calibration(forecasts: Floats, happened: Floats) -> Calibration | None:
    """Of probabilities, where both are known. None where nothing is."""
    known = ~(np.isnan(forecasts) | np.isnan(happened))
    said, came = forecasts[known], happened[known]
    if not said.size:
        return None
    base = float(came.mean())
    brier = float(np.mean((said - came) ** 2))
    spread = base * (1.0 - base)
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    bins = tuple(
        Reliability(
            forecast=float(said[place == i].mean()),
            observed=float(came[place == i].mean()),
            count=int((place == i).sum()),
        )
        for i in range(BINS)
        if (place == i).any()
    )
    skill = 1.0 - brier / spread if spread else None
    return Calibration(brier=brier, skill=skill, base_rate=base, count=int(said.size), reliability=bins)


def threshold_at(scores: Sequence[Floats], quiet: Sequence[Bools], rate: float) -> float:
    """The least alarm level that not more than a share `rate` of quiet bars reaches; infinite where there is no quiet bar."""
    calm = np.concatenate([score[where & ~np.isnan(score)] for score, where in zip(scores, quiet, strict=True)])
    if not calm.size:
        return float("inf")
    calm.sort()
    allowed = int(rate * calm.size)
    return float(np.nextafter(calm[-allowed - 1], np.inf))


def flagged(
    scores: Sequence[Floats], shifts: Sequence[Ints], quiet: Sequence[Bools], horizon: int, threshold: float
) -> Flagged:
    """Alarms are scores from `threshold` on. A shift in the first `horizon` bars after scores begin does not count."""
    count = hit = noisy = quiet_bars = lucky = windows = 0
    for score, all_shifts, calm in zip(scores, shifts, quiet, strict=True):
        alarm, known = score >= threshold, ~np.isnan(score)
        judged = all_shifts[all_shifts >= int(np.argmax(known)) + horizon]
        count += judged.size
        hit += int(np.count_nonzero(_any_before(alarm, judged, horizon)))
        noisy += int(np.count_nonzero(alarm & calm & known))
        quiet_bars += int(np.count_nonzero(calm & known))
        ends = np.arange(horizon, score.size + 1)
        undisturbed = ends[~_any_before(~(calm & known), ends, horizon)]
        windows += undisturbed.size
        lucky += int(np.count_nonzero(_any_before(alarm, undisturbed, horizon)))
    return Flagged(
        shifts=count,
        share=hit / count if count else None,
        by_chance=lucky / windows if windows else None,
        false_alarms=noisy / quiet_bars if quiet_bars else None,
    )


def _any_before(marks: Bools, ends: Ints, horizon: int) -> Bools:
    """Whether a mark is among the `horizon` bars before each of `ends`."""
    counted = np.concatenate(([0], np.cumsum(marks)))
    return np.asarray(counted[ends] > counted[np.maximum(0, ends - horizon)])
