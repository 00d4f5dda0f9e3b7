"""Smaller language models: what may go, and what the rest then says."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import naive_language as naive
import numpy as np
import pytest

from factored_asr.errors import OptionError
from factored_asr.language import (
    NGramModel,
    prune,
    prune_improbable,
    prune_to,
    read_arpa,
    restrict,
    truncate,
)


def model_of(ngrams: naive.Ngrams, folder: Path) -> NGramModel:
    naive.write_arpa(ngrams, folder / "lm.arpa")
    return read_arpa(folder / "lm.arpa")


@pytest.fixture
def trigrams(tmp_path: Path) -> NGramModel:
    return model_of(naive.random_ngrams(1, 8, 3), tmp_path)


def totals(model: NGramModel, history_length: int) -> np.ndarray:
    """The sum of all words' probabilities after every history of a length."""
    words = np.arange(1, len(model.words))
    sums = []
    for history in itertools.product(words, repeat=history_length):
        ngrams = [[*history, w] for w in words]
        sums.append(np.exp(model.log_probs(np.array(ngrams))).sum())
    return np.array(sums)


def assert_histories_are_kept(model: NGramModel) -> None:
    found = naive.ngrams_of(model)
    assert all(g[:-1] in found for g in found if len(g) > 1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [1e-5, 1e-3, 1e-2])
def test_pruning_equals_the_naive_twin(tmp_path: Path, seed: int, threshold: float) -> None:
    ngrams = naive.random_ngrams(seed, 5, 3)
    expected = naive.prune(ngrams, 3, threshold)
    found = naive.ngrams_of(prune(model_of(ngrams, tmp_path), threshold))
    assert found.keys() == expected.keys()
    for g, (log_prob, backoff) in expected.items():
        assert found[g] == pytest.approx((log_prob, backoff), abs=2e-5)


def test_pruning_of_four_grams_equals_the_naive_twin(tmp_path: Path) -> None:
    ngrams = naive.random_ngrams(7, 4, 4)
    expected = naive.prune(ngrams, 4, 1e-3)
    found = naive.ngrams_of(prune(model_of(ngrams, tmp_path), 1e-3))
    assert found.keys() == expected.keys() and len(expected) < len(ngrams)
    for g in expected:
        assert found[g] == pytest.approx(expected[g], abs=2e-5)


@pytest.mark.parametrize("threshold", [1e-4, 1e-3, 1e-2, 1.0])
def test_probabilities_sum_to_one_after_pruning(trigrams: NGramModel, threshold: float) -> None:
    np.testing.assert_allclose(totals(trigrams, 2), 1, atol=1e-5)  # before
    smaller = prune(trigrams, threshold)
    for length in (0, 1, 2):
        np.testing.assert_allclose(totals(smaller, length), 1, atol=1e-5)


def test_a_larger_threshold_keeps_fewer_ngrams(trigrams: NGramModel) -> None:
    sizes = [sum(prune(trigrams, t).counts) for t in (0.0, 1e-4, 1e-3, 1e-2, 0.1)]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) > 3
    assert prune(trigrams, 10.0).counts == trigrams.counts[:1]


def test_the_history_of_a_kept_ngram_is_kept(trigrams: NGramModel) -> None:
    for threshold in (1e-4, 1e-3, 1e-2):
        assert_histories_are_kept(prune(trigrams, threshold))


def test_what_says_nothing_new_goes_first(tmp_path: Path) -> None:
    ngrams = naive.random_ngrams(2, 6, 2)
    history = next(g[:1] for g in ngrams if len(g) == 2)
    for g in [g for g in ngrams if g[:-1] == history]:
        ngrams[g] = (ngrams[g[1:]][0], 0.0)  # as the unigram has it
    naive.reweigh(ngrams, 1)
    found = naive.ngrams_of(prune(model_of(ngrams, tmp_path), 1e-6))
    assert not [g for g in found if g[:-1] == history]
    assert [g for g in found if len(g) == 2]


@pytest.mark.parametrize("n_ngrams", [10, 11, 25, 60, 10_000])
def test_pruning_to_a_size_reaches_it(trigrams: NGramModel, n_ngrams: int) -> None:
    smaller = prune_to(trigrams, n_ngrams)
    whole = sum(trigrams.counts)
    assert min(n_ngrams, whole) - 3 <= sum(smaller.counts) <= n_ngrams
    assert_histories_are_kept(smaller)
    np.testing.assert_allclose(totals(smaller, 2), 1, atol=1e-5)


def test_pruning_to_fewer_than_the_unigrams_is_refused(trigrams: NGramModel) -> None:
    with pytest.raises(OptionError, match="9 n-grams are fewer than the 10 unigrams"):
        prune_to(trigrams, 9)
    with pytest.raises(OptionError, match="0 or more, got -1"):
        prune(trigrams, -1)
    with pytest.raises(OptionError, match="0 or more, got nan"):
        prune(trigrams, math.nan)


def test_improbable_ngrams_go(trigrams: NGramModel) -> None:
    smaller = prune_improbable(trigrams, 0.2)
    found = naive.ngrams_of(smaller)
    for g, (log_prob, _) in found.items():
        needed = any(longer[: len(g)] == g for longer in found if len(longer) > len(g))
        assert len(g) == 1 or needed or math.exp(log_prob) >= 0.2
    assert sum(smaller.counts) < sum(trigrams.counts)
    np.testing.assert_allclose(totals(smaller, 2), 1, atol=1e-5)
    with pytest.raises(OptionError, match="0 to 1, got 2"):
        prune_improbable(trigrams, 2)


def test_a_truncated_model_is_the_lower_orders(trigrams: NGramModel) -> None:
    bigrams = truncate(trigrams, 2)
    assert bigrams.counts == trigrams.counts[:2]
    np.testing.assert_allclose(totals(bigrams, 1), 1, atol=1e-5)
    assert bigrams.log_prob("w1", ["w0", "w2"]) == trigrams.log_prob("w1", ["w2"])
    with pytest.raises(OptionError, match="1 to 3, got 4"):
        truncate(trigrams, 4)


def test_restricting_the_words_keeps_what_can_still_be_said(trigrams: NGramModel) -> None:
    smaller = restrict(trigrams, {"w5", "w0", "w3", "elsewhere"})
    assert smaller.vocabulary == ("<s>", "</s>", "w0", "w3", "w5")
    assert_histories_are_kept(smaller)
    for words in itertools.product(["w0", "w3", "w5"], repeat=3):
        assert smaller.score_sentence(words) == pytest.approx(trigrams.score_sentence(words))
    assert (totals(smaller, 1) < 0.9).all()  # the deficit of the words dropped
    with pytest.raises(OptionError, match="no word of the vocabulary"):
        restrict(NGramModel.from_ngrams(("<eps>", "a"), [([[1]], [0.0], [0.0])]), ["b"])


def test_pruning_keeps_a_deficit_as_it_is(trigrams: NGramModel) -> None:
    words = restrict(trigrams, {"w0", "w1", "w2", "w3", "w4"})
    smaller = prune(words, 2e-3)
    assert sum(smaller.counts) < sum(words.counts)
    history = len(smaller.orders[0])
    before, after = totals(words, 1), totals(smaller, 1)
    followed = np.isin(np.arange(history), smaller.orders[1].parent)
    np.testing.assert_allclose(after[followed], before[followed], atol=1e-5)
