"""Lattice-free MMI against brute force, and what its gradient must be."""

from __future__ import annotations

import naive_chain as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factored_asr.errors import OptionError
from factored_asr.training.chain.mmi import ChainGraph, denominator, mmi, numerator

N_PDFS = 5


def random_graph(rng: np.random.Generator, n: int, windows: int = 0) -> ChainGraph:
    """A graph of n nodes, every third arc missing; windows: of so many frames, at random."""
    pairs = np.array([(a, b) for a in range(n) for b in range(n) if rng.random() < 0.67])
    source, target = pairs.reshape(-1, 2).T
    start, end = rng.normal(-1, 1, n), rng.normal(-1, 1, n)
    start[rng.random(n) < 0.3] = -np.inf
    first = rng.integers(0, windows, n) if windows else np.zeros(0)
    last = first + rng.integers(1, windows + 1, n) if windows else np.zeros(0)
    return ChainGraph(
        rng.integers(0, N_PDFS, n), rng.integers(0, N_PDFS, n), source, target,
        rng.normal(-1, 1, len(source)), start, end, first, last, rng.dirichlet(np.ones(n)),
    )


seeds = st.integers(0, 10_000)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 3), st.integers(1, 5), st.integers(0, 4))
def test_numerators_are_those_of_all_paths(seed: int, n: int, n_frames: int, windows: int) -> None:
    rng = np.random.default_rng(seed)
    graph, scores = random_graph(rng, n, windows), rng.normal(0, 2, (n_frames, N_PDFS))
    expected, posteriors = naive.path_sum(scores, graph)
    found = numerator(scores, graph)
    assert found.log_sum == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(found.posteriors, posteriors, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 3), st.integers(1, 4), st.sampled_from([0.0, 1e-5, 0.3]))
def test_denominators_are_those_of_all_paths(
    seed: int, n: int, n_frames: int, leak: float
) -> None:
    rng = np.random.default_rng(seed)
    graph, scores = random_graph(rng, n), rng.normal(0, 2, (n_frames, N_PDFS))
    expected, posteriors = naive.path_sum(scores, graph, leak)
    found = denominator(scores, graph, leak)
    assert found.log_sum == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(found.posteriors, posteriors, atol=1e-5)


def test_the_gradient_is_that_of_the_objective() -> None:
    rng = np.random.default_rng(1)
    everything, scores = random_graph(rng, 4), rng.normal(0, 1, (12, N_PDFS)).astype(np.float32)
    said = random_graph(rng, 3)
    found, step = mmi(scores, said, everything, 0.1), 1e-2
    assert found.objective == pytest.approx(
        numerator(scores, said).log_sum - denominator(scores, everything, 0.1).log_sum)
    for t, pdf in ((0, 0), (5, 2), (11, 4)):
        up, down = scores.copy(), scores.copy()
        up[t, pdf] += step
        down[t, pdf] -= step
        change = mmi(up, said, everything, 0.1).objective - mmi(
            down, said, everything, 0.1).objective
        assert found.gradient[t, pdf] == pytest.approx(change / (2 * step), abs=1e-3)
    np.testing.assert_allclose(found.gradient.sum(axis=1), 0, atol=1e-5)


def test_long_sounds_neither_vanish_nor_overflow() -> None:
    rng = np.random.default_rng(2)
    graph, scores = random_graph(rng, 3), rng.normal(0, 15, (3000, N_PDFS))
    both = numerator(scores, graph), denominator(scores, graph, 0.0)
    assert np.isfinite(both[0].log_sum)
    assert both[0].log_sum == pytest.approx(both[1].log_sum, rel=1e-6)
    np.testing.assert_allclose(both[0].posteriors, both[1].posteriors, atol=1e-4)


def test_what_cannot_be_said_changes_nothing() -> None:
    none, zero = np.zeros(0), np.zeros(2)
    two = ChainGraph(np.array([0, 1]), np.array([0, 1]), np.array([0]), np.array([1]),
                     np.zeros(1), np.array([0, -np.inf]), np.array([-np.inf, 0]))
    free = ChainGraph(np.array([0, 1]), np.array([0, 1]), none, none, none, zero, zero)
    found = mmi(np.zeros((1, 2)), two, free)  # two nodes, one frame
    assert found.objective == -np.inf and not found.gradient.any()
    assert np.isfinite(mmi(np.zeros((2, 2)), two, free).objective)


def test_wrong_arguments() -> None:
    none, zero = np.zeros(0), np.zeros(2)
    graph = ChainGraph(np.array([0, 7]), np.array([0, 1]), none, none, none, zero, zero)
    with pytest.raises(OptionError, match=r"\(n_frames, at least 8\)"):
        numerator(np.zeros((3, 2)), graph)
    with pytest.raises(OptionError, match="leak must be at least 0, got -1"):
        denominator(np.zeros((3, 8)), graph, -1)
    with pytest.raises(OptionError, match=r"join nodes 0\.\.1"):
        ChainGraph(np.array([0, 1]), np.array([0, 1]), np.array([0]), np.array([2]), np.zeros(1),
                   zero, zero)
    with pytest.raises(OptionError, match="arrays of as many"):
        ChainGraph(np.array([0, 1]), np.array([0]), none, none, none, zero, zero)
