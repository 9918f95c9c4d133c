"""What a metric is, before anybody exports it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from prometheus_client import Counter, Gauge, Histogram

T = TypeVar("T", Counter, Gauge, Histogram)


class Metric(NamedTuple):
    """`services` export it. `unit` is for people, empty where the name says what is counted. Facts `of_leader` are those that
    only whoever speaks for the service knows.
    """

    name: str
    kind: str  # counter, gauge or histogram
    help: str
    labels: tuple[str, ...]
    unit: str
    services: tuple[str, ...]
    of_leader: bool
    collector: Counter | Gauge | Histogram

    def clear(self) -> None:
        """Of a gauge: nobody knows it any more."""
        if self.labels:
            self.collector.clear()
        elif isinstance(self.collector, Gauge):
            self.collector.set(math.nan)


class Catalogue:
    """Makes metrics that no registry knows yet, and keeps them in the order in which they were made."""

    def __init__(self) -> None:
        self.metrics: list[Metric] = []

    def counter(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        of: tuple[str, ...],
        unit: str = "",
        values: Iterable[str] = (),
    ) -> Counter:
        """`values` of its one label begin at 0: of a series that begins at 1 nobody sees that it has risen."""
        made = Counter(name, text, labels, registry=None)
        for value in values:
            made.labels(value)
        return self._keep(made, name, "counter", text, labels, unit, of)

    def gauge(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        of: tuple[str, ...],
        unit: str = "",
        of_leader: bool = True,
    ) -> Gauge:
        """Those of a leader are NaN, or not there, until somebody knows; the others begin at 0."""
        made = Gauge(name, text, labels, registry=None)
        if of_leader and not labels:
            made.set(math.nan)
        return self._keep(made, name, "gauge", text, labels, unit, of, of_leader=of_leader)

    def histogram(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        of: tuple[str, ...],
        buckets: Sequence[float],
        unit: str = "seconds",
    ) -> Histogram:
        made = Histogram(name, text, labels, buckets=buckets, registry=None)
        return self._keep(made, name, "histogram", text, labels, unit, of)

    def _keep(
        self,
        made: T,
        name: str,
        kind: str,
        text: str,
        labels: Sequence[str],
        unit: str,
        of: tuple[str, ...],
        *,
        of_leader: bool = False,
    ) -> T:
        self.metrics.append(Metric(name, kind, text, tuple(labels), unit, of, of_leader, made))
        return made
