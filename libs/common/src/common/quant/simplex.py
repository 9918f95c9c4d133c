"""Minimum of a function of a few numbers without derivatives: Nelder and Mead 1965."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from common.quant.kernel import Floats


def minimize(
    function: Callable[[Floats], float],
    start: Floats,
    *,
    width: float = 0.5,
    tolerance: float = 1e-10,
    rounds: int = 2_000,
) -> tuple[Floats, float]:
    """Where `function` is least, and how little that is, near `start`; `width` is the size of the first simplex.

    Ends when the corners differ by less than `tolerance` in value and by its root in place, or after `rounds`. Where `function`
    is not defined it has to return something large and finite.
    """
    places = np.vstack((start, start + width * np.eye(start.size)))
    values = np.array([function(place) for place in places])
    for _ in range(rounds):
        order = np.argsort(values, kind="stable")
        places, values = places[order], values[order]
        if values[-1] - values[0] < tolerance and np.ptp(places, axis=0).max() < np.sqrt(tolerance):
            break
        places[-1], values[-1] = _moved(function, places, values)
        if values[-1] == np.inf:
            places[1:] = places[0] + 0.5 * (places[1:] - places[0])
            values[1:] = [function(place) for place in places[1:]]
    best = int(np.argmin(values))
    return places[best], float(values[best])


def _moved(function: Callable[[Floats], float], places: Floats, values: Floats) -> tuple[Floats, float]:
    """The worst corner reflected, stretched or pulled in; a value of infinity asks for the whole simplex to shrink."""
    center = places[:-1].mean(axis=0)
    away = center - places[-1]
    reflected = center + away
    value = function(reflected)
    if value < values[0]:
        further = center + 2.0 * away
        stretched = function(further)
        return (further, stretched) if stretched < value else (reflected, value)
    if value < values[-2]:
        return reflected, value
    inside = center + 0.5 * away if value < values[-1] else center - 0.5 * away
    pulled = function(inside)
    return (inside, pulled) if pulled < min(value, values[-1]) else (places[-1], np.inf)
