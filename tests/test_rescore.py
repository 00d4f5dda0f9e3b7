"""A second pass gives what rescoring the whole sentence of every path gives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import naive_language
import naive_paths as naive
import numpy as np
import pytest

from factored_asr.errors import MissingError, OptionError
from factored_asr.language import (
    KenLMScorer,
    MixedScorer,
    NGramModel,
    NGramScorer,
    WordScorer,
    read_arpa,
    write_arpa,
)
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.nbest import nbest
from factored_asr.lattice.paths import best_path
from factored_asr.lattice.rescore import RescoreOptions, rescore, with_lm

Sentence = Callable[[tuple[str, ...]], float]


def lattice_of(seed: int) -> Lattice:
    lattice = naive.random_lattice(seed, n_words=4, n_arcs=16)
    return dataclasses.replace(lattice, words=("<eps>", "w0", "w1", "w2", "w3"))


def arpa(folder: Path, seed: int, order: int) -> tuple[naive_language.Ngrams, Path]:
    ngrams, path = naive_language.random_ngrams(seed, 4, order), folder / f"{seed}.{order}.arpa"
    naive_language.write_arpa(ngrams, path)
    return ngrams, path


def sentences(ngrams: naive_language.Ngrams, order: int) -> Sentence:
    return lambda words: naive_language.score_sentence(ngrams, words, order)


def assert_same(
    found: Lattice, expected: list[tuple[float, tuple[str, ...]]], tolerance: float = 1e-4
) -> None:
    """Every path is there at its cost, and the best string is the best of all."""
    costs = sorted((cost, naive.words_of(found, arcs)) for arcs, cost in naive.paths(found))
    assert len(costs) == len(expected)
    assert [c for c, _ in costs] == pytest.approx([c for c, _ in expected], abs=tolerance)
    best = best_path(found)
    assert best is not None and best.cost == pytest.approx(expected[0][0], abs=tolerance)
    assert best.words == expected[0][1]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_it_equals_scoring_all_sentences(tmp_path: Path, seed: int, order: int) -> None:
    small, small_path = arpa(tmp_path, seed, 2)
    large, large_path = arpa(tmp_path, seed + 100, order)
    lattice = lattice_of(seed)
    found = rescore(
        lattice, NGramScorer(read_arpa(large_path)),
        RescoreOptions(lm_scale=1.5, word_insertion_penalty=0.25, first_lm_scale=0.75),
        first=NGramScorer(read_arpa(small_path)),
    )
    assert_same(found, naive.rescored(
        lattice, lambda w: 1.5 * sentences(large, order)(w), sentences(small, 2), 1.0, 0.25, 0.75
    ))


@pytest.mark.parametrize("seed", range(4))
def test_kenlm_and_our_own_model_agree(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("kenlm")
    path = tmp_path / "lm.arpa"
    naive_language.write_arpa(naive_language.random_ngrams(seed, 4, 3, closed=True), path)
    write_arpa(read_arpa(path), path)  # KenLM wants tabs
    lattice = lattice_of(seed)
    theirs = rescore(lattice, KenLMScorer(path))
    ours = rescore(lattice, NGramScorer(read_arpa(path)))
    ours_list, theirs_list = nbest(ours, 20), nbest(theirs, 20)
    assert [p.cost for p in ours_list] == pytest.approx([p.cost for p in theirs_list], abs=1e-4)
    assert {p.words for p in ours_list[:5]} == {p.words for p in theirs_list[:5]}


def test_without_a_first_model_arc_lm_is_taken_off(tmp_path: Path) -> None:
    ngrams, path = arpa(tmp_path, 1, 3)
    lattice = lattice_of(1)
    found = rescore(lattice, NGramScorer(read_arpa(path)))
    expected = sorted(
        (cost - lattice.arc_lm[arcs].sum() - sentences(ngrams, 3)(naive.words_of(lattice, arcs)),
         naive.words_of(lattice, arcs))
        for arcs, cost in naive.paths(lattice)
    )
    assert_same(found, expected)


def test_the_model_apart_changes_no_cost(tmp_path: Path) -> None:
    ngrams, path = arpa(tmp_path, 2, 3)
    lattice = lattice_of(2)
    found = with_lm(lattice, NGramScorer(read_arpa(path)), scale=0.5)
    assert_same(found, sorted(
        (cost, naive.words_of(lattice, arcs)) for arcs, cost in naive.paths(lattice)
    ))
    # What backing off cheaply saved the search stays in the rest of the cost.
    for arcs, _ in naive.paths(found):
        origin = found.arc_origin[arcs]
        words = naive.words_of(found, arcs)
        text = ["<s>", *words]
        lm = [-0.5 * naive_language.log_prob(ngrams, text[i], text[max(0, i - 2) : i])
              for i in range(1, len(text))]
        spoken = [a for a in arcs if found.arc_word[a]]
        assert found.arc_lm[spoken] == pytest.approx(lm, abs=1e-4)
        rest = lattice.arc_graph[origin] - found.arc_lm[arcs]
        assert found.arc_graph[arcs] - found.arc_lm[arcs] == pytest.approx(rest, abs=1e-9)


def test_rescoring_twice_is_rescoring_once(tmp_path: Path) -> None:
    """The first new model's costs stand in arc_lm and in the ends, and go again."""
    (_, first), (_, second) = arpa(tmp_path, 3, 2), arpa(tmp_path, 4, 3)
    lattice = lattice_of(3)
    bigram, trigram = NGramScorer(read_arpa(first)), NGramScorer(read_arpa(second))
    once = rescore(lattice, trigram)
    twice = rescore(rescore(lattice, bigram), trigram, first=bigram)
    assert [p.words for p in nbest(once, 10)] == [p.words for p in nbest(twice, 10)]
    assert best_path(once).cost == pytest.approx(best_path(twice).cost, abs=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_interpolation_is_a_mean_of_probabilities(tmp_path: Path, share: float) -> None:
    (a, first), (b, second) = arpa(tmp_path, 5, 2), arpa(tmp_path, 6, 3)
    models = NGramScorer(read_arpa(first)), NGramScorer(read_arpa(second))
    mixed = MixedScorer(models, [share, 1 - share])

    def sentence(words: tuple[str, ...]) -> float:
        text = ["<s>", *words, "</s>"]
        return sum(
            math.log(
                share * math.exp(naive_language.log_prob(a, text[i], text[i - 1 : i]))
                + (1 - share)
                * math.exp(naive_language.log_prob(b, text[i], text[max(0, i - 2) : i]))
            )
            for i in range(1, len(text))
        )

    lattice = lattice_of(5)
    lattice = dataclasses.replace(lattice, arc_lm=np.zeros(lattice.n_arcs))
    assert_same(rescore(lattice, mixed), naive.rescored(lattice, sentence, lambda w: 0.0, 1.0, 0.0))


def test_a_beam_of_zero_leaves_the_best_path(tmp_path: Path) -> None:
    lattice = lattice_of(7)
    scorer = NGramScorer(read_arpa(arpa(tmp_path, 7, 2)[1]))
    old = best_path(lattice)
    only = nbest(rescore(lattice, scorer, RescoreOptions(beam=0.0)), 5)
    assert old is not None and [p.words for p in only] == [old.words]


@pytest.mark.parametrize("seed", range(5))
def test_few_histories_give_a_path_that_is_there(tmp_path: Path, seed: int) -> None:
    lattice = lattice_of(seed)
    scorer = NGramScorer(read_arpa(arpa(tmp_path, 8, 4)[1]))
    whole = rescore(lattice, scorer)
    fewer = rescore(lattice, scorer, RescoreOptions(max_states=1))
    assert fewer.n_nodes <= lattice.n_nodes
    assert best_path(fewer).cost >= best_path(whole).cost - 1e-9


def test_a_scale_of_zero_knows_no_language(tmp_path: Path) -> None:
    lattice = lattice_of(9)
    lattice = dataclasses.replace(lattice, arc_lm=np.zeros(lattice.n_arcs))
    scorer = NGramScorer(read_arpa(arpa(tmp_path, 9, 2)[1]))
    found = rescore(lattice, scorer, RescoreOptions(lm_scale=0.0))
    assert best_path(found).cost == pytest.approx(best_path(lattice).cost)
    assert not found.arc_lm.any()


def test_words_that_the_model_lacks() -> None:
    model = NGramModel.from_ngrams(("<eps>", "w0"), [([[1]], np.array([-1.0]), [0.0])])
    lattice = lattice_of(0)
    with pytest.raises(MissingError, match="is not in the language model"):
        rescore(lattice, NGramScorer(model))
    found = rescore(lattice, NGramScorer(model, unknown_log_prob=-9.0))
    assert set(found.arc_lm.tolist()) == {0.0, 1.0, 9.0}


def test_a_state_is_what_the_model_can_remember(tmp_path: Path) -> None:
    """Two histories that every n-gram forgets are one state, so the lattice stays small."""
    scorer: WordScorer = NGramScorer(read_arpa(arpa(tmp_path, 3, 2)[1]))
    one, _ = scorer.score_word(scorer.score_word(scorer.start(), "w1")[0], "w0")
    two, _ = scorer.score_word(scorer.score_word(scorer.start(), "w2")[0], "w0")
    assert one == two


@pytest.mark.parametrize(("options", "message"), [
    ({"lm_scale": -1.0}, "scales of language models"), ({"max_states": -1}, "number of histories"),
    ({"word_insertion_penalty": math.inf}, "must be finite"), ({"beam": -1.0}, "beam must be 0"),
])
def test_options_are_checked(options: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        RescoreOptions(**options)


def test_weights_of_models_are_checked(tmp_path: Path) -> None:
    scorer = NGramScorer(read_arpa(arpa(tmp_path, 0, 1)[1]))
    with pytest.raises(OptionError, match="2 language models need as many weights"):
        MixedScorer([scorer, scorer], [1.0])
    with pytest.raises(OptionError, match="sum to 1"):
        MixedScorer([scorer, scorer], [0.9, 0.3])
