"""Hidden Markov models: the filter is that of hmmlearn, never knows the future, and is the same bits bar by bar; the fit finds what
made the data.
"""

from __future__ import annotations

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM
from hypothesis import given
from hypothesis import strategies as st

from common.quant import hidden_markov as hmm
from common.quant.hidden_markov import Gaussian

MODEL = Gaussian(
    start=np.array([0.5, 0.3, 0.2]),
    transition=np.array([[0.97, 0.02, 0.01], [0.03, 0.95, 0.02], [0.01, 0.04, 0.95]]),
    means=np.array([[-1.0, 1.0], [0.0, 0.0], [1.0, -0.5]]),
    covariances=np.array([[[0.6, 0.1], [0.1, 0.4]], [[0.5, 0.0], [0.0, 0.3]], [[0.7, -0.2], [-0.2, 0.5]]]),
)


def theirs() -> GaussianHMM:
    model = GaussianHMM(3, covariance_type="full")
    model.startprob_, model.transmat_ = MODEL.start, MODEL.transition
    model.means_, model.covars_ = MODEL.means, MODEL.covariances
    return model


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray, np.ndarray]:
    x, states = theirs().sample(3_000, random_state=5)
    return x, states


@pytest.mark.req("REG-05")
def test_likelihood_and_smoothed_states_are_those_of_hmmlearn(sample: tuple[np.ndarray, np.ndarray]) -> None:
    x, _ = sample
    after, moves, likelihood = hmm.smoothed(hmm.densities(x, MODEL), MODEL.start, MODEL.transition)
    their_likelihood, posteriors = theirs().score_samples(x)
    assert likelihood == pytest.approx(their_likelihood, rel=1e-10)
    np.testing.assert_allclose(after, posteriors, atol=1e-9)
    np.testing.assert_allclose(moves.sum(), len(x) - 1, rtol=1e-9)


@pytest.mark.req("REG-05")
def test_what_the_filter_says_last_is_what_is_said_knowing_everything(sample: tuple[np.ndarray, np.ndarray]) -> None:
    x, _ = sample
    for count in (1, 2, 50, 777):
        filtered, _ = hmm.forward(hmm.densities(x[:count], MODEL), MODEL.start, MODEL.transition)
        np.testing.assert_allclose(filtered[-1], theirs().predict_proba(x[:count])[-1], atol=1e-9)


@pytest.mark.req("REG-05")
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 80))
def test_the_filter_bar_by_bar_is_the_bits_of_the_whole_series_and_knows_no_future(seed: int, cut: int) -> None:
    x = np.random.default_rng(seed).normal(0.0, 1.5, (80, 2))
    precisions, offsets = hmm.prepared(MODEL.covariances)
    logs, probability, streamed = np.empty((80, 3)), np.zeros(3), np.empty((80, 3))
    for t in range(80):
        hmm.log_densities(x[t], MODEL.means, precisions, offsets, logs[t])
        hmm.forward_step(probability, logs[t], MODEL.start, MODEL.transition)
        streamed[t] = probability
        probability = probability.copy()  # as a restart does
    batch, _ = hmm.forward(logs, MODEL.start, MODEL.transition)
    assert batch.tobytes() == streamed.tobytes()
    other = logs.copy()
    other[cut:] += 100.0 * np.random.default_rng(seed + 1).normal(size=other[cut:].shape)
    assert hmm.forward(other, MODEL.start, MODEL.transition)[0][:cut].tobytes() == batch[:cut].tobytes()
    np.testing.assert_allclose(batch.sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.req("REG-05")
def test_a_fit_finds_the_model_that_made_the_data(sample: tuple[np.ndarray, np.ndarray]) -> None:
    x, states = sample
    found = hmm.fit([x], hmm.first_guess(x, 0, 3))
    np.testing.assert_allclose(found.means, MODEL.means, atol=0.15)
    np.testing.assert_allclose(np.diag(found.transition), np.diag(MODEL.transition), atol=0.03)
    assert found.log_likelihood >= theirs().score(x) - 1.0
    after, _, _ = hmm.smoothed(hmm.densities(x, found), found.start, found.transition)
    assert np.mean(np.argmax(after, axis=1) == states) > 0.93


@pytest.mark.req("REG-05")
@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e4])
def test_a_fit_does_not_depend_on_the_unit(sample: tuple[np.ndarray, np.ndarray], unit: float) -> None:
    """Returns of an hour are some 0.001: what is added to a variance of 1e-6 must be small to that."""
    x = sample[0][:1_000]
    found, same = hmm.fit([x * unit], hmm.first_guess(x * unit, 0, 3)), hmm.fit([x], hmm.first_guess(x, 0, 3))
    np.testing.assert_allclose(found.means / unit, same.means, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.covariances / unit**2, same.covariances, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.transition, same.transition, atol=1e-6)


@pytest.mark.req("REG-05")
def test_every_round_of_a_fit_is_at_least_as_likely_as_the_one_before(sample: tuple[np.ndarray, np.ndarray]) -> None:
    x, _ = sample
    model, likelihoods = hmm.first_guess(x, 0, 3), []
    for _ in range(25):
        model = hmm.improve([x[:1_000], x[1_000:]], model)
        likelihoods.append(model.log_likelihood)
    assert np.all(np.diff(likelihoods) > -0.05)  # the prior on probabilities costs next to nothing


@pytest.mark.req("REG-05")
def test_states_in_another_order_are_the_same_model(sample: tuple[np.ndarray, np.ndarray]) -> None:
    x, order = sample[0][:200], np.array([2, 0, 1])
    turned = hmm.ordered(MODEL, order)
    ours, _ = hmm.forward(hmm.densities(x, MODEL), MODEL.start, MODEL.transition)
    other, _ = hmm.forward(hmm.densities(x, turned), turned.start, turned.transition)
    np.testing.assert_allclose(other, ours[:, order], atol=1e-12)


@pytest.mark.req("REG-06")
@given(bars=st.integers(0, 200), state=st.integers(0, 2))
def test_staying_so_many_bars_is_staying_one_so_many_times(bars: int, state: int) -> None:
    assert hmm.stay(MODEL.transition, state, float(bars)) == pytest.approx(MODEL.transition[state, state] ** bars)
