"""Gaussian hidden Markov models: filtered bar by bar, never with the future; fitted offline (Baum and others 1970).

Shapes: K states, D features. `start` float64[K], `transition` float64[K, K] (rows are from), `means` float64[K, D],
`covariances` float64[K, D, D].
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from common.quant.kernel import Floats, Ints, kernel

_LEAST_VARIANCE: Final = (
    1e-6  # of a state, in that of all observations: returns of an hour have variances of 1e-6 themselves
)
_PRIOR: Final = 1e-2  # pseudo-observations in every probability, so that none is ever 0


class Gaussian(NamedTuple):
    """A model, and the log likelihood of what it was fitted to."""

    start: Floats
    transition: Floats
    means: Floats
    covariances: Floats
    log_likelihood: float = float("nan")


@kernel
def log_densities(x: Floats, means: Floats, precisions: Floats, offsets: Floats, out: Floats) -> None:
    """Log density of one observation, float64[D], in each state: `out` is float64[K]. `precisions` are inverse covariances,
    `offsets` -(D log 2 pi + log det covariance) / 2.
    """
    features = x.size
    for k in range(means.shape[0]):
        distance = 0.0
        for i in range(features):
            inner = 0.0
            for j in range(features):
                inner += precisions[k, i, j] * (x[j] - means[k, j])
            distance += (x[i] - means[k, i]) * inner
        out[k] = offsets[k] - 0.5 * distance


@kernel
def forward_step(probability: Floats, logs: Floats, start: Floats, transition: Floats) -> float:
    """The filter after one more observation with log densities `logs`, float64[K].

    `probability`, float64[K], is P(state | everything so far), all zeros when fresh, changed in place; it adds up to 1. Returns
    the log likelihood of the observation given those before it.
    """
    states = probability.size
    known = 0.0
    for k in range(states):
        known += probability[k]
    highest = logs[0]
    for k in range(1, states):
        highest = max(highest, logs[k])
    expected = np.empty(states)
    total = 0.0
    for k in range(states):
        ahead = start[k]
        if known > 0.0:
            ahead = 0.0
            for j in range(states):
                ahead += probability[j] * transition[j, k]
        expected[k] = ahead * np.exp(logs[k] - highest)
        total += expected[k]
    for k in range(states):
        probability[k] = expected[k] / total
    return float(highest + np.log(total))


@kernel
def stay(transition: Floats, state: int, bars: float) -> float:
    """Probability that `state` is not left within `bars` bars, which need not be a whole number."""
    return float(transition[state, state] ** bars)


@kernel
def forward(logs: Floats, start: Floats, transition: Floats) -> tuple[Floats, float]:
    """The filter over a whole series: float64[T, K] and the log likelihood. `logs` is float64[T, K]."""
    out, probability, likelihood = np.empty(logs.shape), np.zeros(start.size), 0.0
    for t in range(logs.shape[0]):
        likelihood += forward_step(probability, logs[t], start, transition)
        out[t] = probability
    return out, likelihood


@kernel
def smoothed(logs: Floats, start: Floats, transition: Floats) -> tuple[Floats, Floats, float]:
    """P(state | whole series), float64[T, K], expected number of transitions, float64[K, K], and the log likelihood.

    It knows the future: for fitting and for labels of the past, never for a decision.
    """
    past, likelihood = forward(logs, start, transition)
    count, states = logs.shape
    after, moves, ratio = past.copy(), np.zeros((states, states)), np.empty(states)
    for back in range(count - 1):
        t = count - 2 - back
        for k in range(states):
            ahead = 0.0
            for j in range(states):
                ahead += past[t, j] * transition[j, k]
            ratio[k] = after[t + 1, k] / ahead if ahead > 0.0 else 0.0
        for j in range(states):
            kept = 0.0
            for k in range(states):
                moved = transition[j, k] * ratio[k]
                moves[j, k] += past[t, j] * moved
                kept += moved
            after[t, j] = past[t, j] * kept
    return after, moves, likelihood


def prepared(covariances: Floats) -> tuple[Floats, Floats]:
    """`precisions` and `offsets` of `log_densities`."""
    features = covariances.shape[-1]
    _, log_determinants = np.linalg.slogdet(covariances)
    offsets = -0.5 * (features * np.log(2.0 * np.pi) + log_determinants)
    return np.asarray(np.linalg.inv(covariances)), np.asarray(offsets)


def densities(x: Floats, model: Gaussian) -> Floats:
    """Log densities of all of `x`, float64[T, D], in each state: float64[T, K]."""
    precisions, offsets = prepared(model.covariances)
    away = x[:, None, :] - model.means[None]
    return np.asarray(offsets - 0.5 * np.einsum("tki,kij,tkj->tk", away, precisions, away))


def improve(series: list[Floats], model: Gaussian) -> Gaussian:
    """One step of expectation and maximization over independent series, each float64[T, D]: never less likely than before, but
    for the small prior on probabilities. The result's likelihood is that of `model`.
    """
    found = [smoothed(densities(x, model), model.start, model.transition) for x in series]
    weights = np.concatenate([after for after, _, _ in found])
    start = np.sum([after[0] for after, _, _ in found], axis=0) + _PRIOR
    moves = np.sum([moves for _, moves, _ in found], axis=0) + _PRIOR
    means, covariances = moments(np.concatenate(series), weights, model)
    likelihood = float(sum(likelihood for _, _, likelihood in found))
    return Gaussian(start / start.sum(), moves / moves.sum(axis=1, keepdims=True), means, covariances, likelihood)


def moments(x: Floats, weights: Floats, otherwise: Gaussian) -> tuple[Floats, Floats]:
    """Weighted means and covariances by state; those of `otherwise` where a state has next to no weight."""
    means, covariances, least = otherwise.means.copy(), otherwise.covariances.copy(), _least(x)
    for k, weight in enumerate(weights.T):
        total = float(weight.sum())
        if total < x.shape[1] + 1:
            continue
        means[k] = weight @ x / total
        away = x - means[k]
        covariances[k] = (away * weight[:, None]).T @ away / total + least
    return means, covariances


def _least(x: Floats) -> Floats:
    """What is added to every covariance, so that none is singular: float64[D, D]."""
    return np.asarray(_LEAST_VARIANCE * np.diag(x.var(axis=0)))


def fit(series: list[Floats], first: Gaussian, *, rounds: int = 200, tolerance: float = 1e-6) -> Gaussian:
    """Maximum likelihood from `first` on, until a round gains less than `tolerance` per observation. In other units it is the same
    model in those units. Needs every feature to vary.
    """
    model, count = first, sum(len(x) for x in series)
    before = -np.inf
    for _ in range(rounds):
        better = improve(series, model)
        if better.log_likelihood - before < tolerance * count:
            break
        before, model = better.log_likelihood, better
    return model


def first_guess(x: Floats, order_by: int, states: int) -> Gaussian:
    """Where a fit begins: states are equal parts of `x` in order of the feature `order_by`, each lasting about 50 bars."""
    ranks = np.argsort(np.argsort(x[:, order_by], kind="stable"), kind="stable")
    part = ranks * states // len(x)
    everything = np.cov(x, rowvar=False, ddof=0).reshape(x.shape[1], x.shape[1])
    means = np.array([x[part == k].mean(axis=0) for k in range(states)])
    covariances = np.array([everything + _least(x)] * states)
    leave = 0.02
    transition = np.full((states, states), leave / max(states - 1, 1))
    np.fill_diagonal(transition, 1.0 - leave if states > 1 else 1.0)
    return Gaussian(np.full(states, 1.0 / states), transition, means, covariances)


def ordered(model: Gaussian, order: Ints) -> Gaussian:
    """The same model with its states in another order."""
    start, transition = model.start[order], model.transition[np.ix_(order, order)]
    return Gaussian(start, transition, model.means[order], model.covariances[order], model.log_likelihood)
