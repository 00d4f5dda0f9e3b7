"""The whole graph of a tiny model, against what its sentences must cost."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from naive_graph import language

from factored_asr.acoustic import AcousticModel, DiagonalMixtures
from factored_asr.decoder import BeamOptions, decode
from factored_asr.errors import MissingError, OptionError
from factored_asr.features import FeatureOptions
from factored_asr.graph import BACKGROUND, Graph, GraphOptions, build_graph
from factored_asr.language import Grammar, NGramModel
from factored_asr.lexicon import Lexicon, Pronunciation

PHONES = ("A", "B", "C", "SIL", "+N+")
LEAVE = np.log(0.5)


@pytest.fixture(scope="module")
def model() -> AcousticModel:
    """Four phones of two states each, no context; leaving a state costs log 2."""
    n = len(PHONES)
    half = np.full((n, 2), LEAVE, np.float32)
    features = FeatureOptions(n_cepstra=2, streams="1s_c", remove_noise=False)
    densities = DiagonalMixtures(
        np.zeros((2 * n, 2)), np.ones((2 * n, 2)), np.ones(2 * n), np.arange(2 * n + 1)
    )
    return AcousticModel(
        PHONES, "SIL", ("SIL", "+N+"), features, densities,
        np.arange(2 * n).reshape(n, 2), np.arange(n), half, half,
        np.zeros((0, 4)), np.zeros(0),
    )  # fmt: skip


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    """``bee`` and ``be`` sound alike; ``a`` has two pronunciations; ``ab`` begins like ``a``."""
    spoken = {"a": ["A", "C A"], "be": ["B"], "bee": ["B"], "ab": ["A B"]}
    return Lexicon({
        word: tuple(Pronunciation(tuple(phones.split()), 1 / len(ways)) for phones in ways)
        for word, ways in spoken.items()
    })  # fmt: skip


@pytest.fixture(scope="module")
def bigrams() -> NGramModel:
    words = ("<eps>", "<s>", "</s>", "a", "be", "bee", "ab")
    unigrams = (np.arange(1, 7)[:, None], np.log([1e-9, 0.2, 0.3, 0.2, 0.2, 0.1]),
                np.log([0.5, 1, 0.4, 0.7, 1, 1]))  # fmt: skip
    pairs = (np.array([[1, 3], [3, 4], [3, 5], [4, 2]]), np.log([0.5, 0.6, 0.05, 0.7]), np.zeros(4))
    return NGramModel.from_ngrams(words, [unigrams, pairs])


def cheapest(bigrams: NGramModel, words: tuple[str, ...]) -> float:
    """Cost of a sentence in a back-off acceptor, which may back off though it need not."""
    table = bigrams.arcs()
    costs = {table.start: 0.0}
    for word in words:
        after: dict[int, float] = {}
        for state, cost in _backed_off(table, costs).items():
            for a in np.flatnonzero((table.source == state) & (table.word == bigrams.ids[word])):
                total = cost - float(table.log_prob[a])
                after[int(table.target[a])] = min(total, after.get(int(table.target[a]), np.inf))
        costs = after
    return min(cost - float(table.final[s]) for s, cost in _backed_off(table, costs).items())


def _backed_off(table, costs: dict[int, float]) -> dict[int, float]:
    for _ in range(3):
        for state, cost in list(costs.items()):
            if state:
                target = int(table.backoff_target[state - 1])
                total = cost - float(table.log_backoff[state - 1])
                costs[target] = min(total, costs.get(target, np.inf))
    return costs


def without_loops(graph: Graph) -> Graph:
    loop = graph.sources == graph.arcs["target"]
    return Graph.from_arcs(graph.sources[~loop], graph.arcs[~loop], graph.final, graph.start)


OPTIONS = GraphOptions(silence_probability=0.25, filler_probability=0, word_penalty=0.5)


def test_every_short_sentence_costs_what_its_sources_say(model, lexicon, bigrams):
    graph = build_graph(model, lexicon, bigrams, OPTIONS)
    found = {}
    for (labels, words), cost in language(without_loops(graph), 6).items():
        assert [graph.label_state[label] for label in labels] == [0, 1] * (len(labels) // 2)
        phones = tuple(graph.phones[graph.label_phone[label]] for label in labels[::2])
        found[phones, tuple(graph.words[word] for word in words)] = cost
    assert len(found) > 50
    for (phones, words), cost in found.items():
        spoken = [phone for phone in phones if phone != "SIL"]
        n_silences = len(phones) - len(spoken)
        ways = [
            sum(-np.log(way.probability) for way in choice)
            for choice in itertools.product(*(lexicon[word] for word in words))
            if [p for way in choice for p in way.phones] == spoken
        ]
        expected = cheapest(bigrams, words) + min(ways) + 0.5 * len(words)
        expected -= n_silences * np.log(0.25) + 2 * len(phones) * LEAVE
        assert cost == pytest.approx(expected, abs=1e-3), (phones, words)
    assert ((), ()) in found or (("SIL",), ()) in found  # silence alone is a path
    assert (("B",), ("be",)) in found and (("B",), ("bee",)) in found


def test_a_filler_stands_between_any_words_of_a_grammar_and_is_no_word(model, lexicon):
    text = "language: en\nintents:\n  I:\n    data:\n    - sentences: ['a be']\n"
    options = GraphOptions(filler_probability=0.125)
    graph = build_graph(model, lexicon, Grammar.from_text(text), options)
    costs = {}
    for (labels, words), cost in language(without_loops(graph), 6).items():
        phones = " ".join(graph.phones[graph.label_phone[label]] for label in labels[::2])
        costs[phones, len(words)] = cost
    plain = costs["A B", 2]
    for heard in ("+N+ A B", "A +N+ B", "A B +N+"):
        assert costs[heard, 2] == pytest.approx(plain - np.log(0.125) - 2 * LEAVE, abs=1e-3)


def test_speech_outside_the_grammar_is_heard_as_background(model, lexicon):
    text = "language: en\nintents:\n  I:\n    data:\n    - sentences: ['a be']\n"
    options = GraphOptions(background_cost=0.25)
    graph = build_graph(model, lexicon, Grammar.from_text(text), options)

    def heard(phones: str):
        pdfs = [2 * PHONES.index(phone) + state for phone in phones.split() for state in (0, 1)]
        scores = np.full((len(pdfs), model.n_pdfs), -5.0, np.float32)
        scores[np.arange(len(pdfs)), pdfs] = 0.0
        return decode(graph, scores, BeamOptions(lattice_beam=0.0)).best()

    within = heard("A B")
    assert within.words == ("a", "be")
    assert within.cost == pytest.approx(np.log(2) - 4 * LEAVE, abs=1e-4)  # one of two ways of "a"
    outside = heard("SIL C B C SIL")
    assert outside.words == (BACKGROUND,) * 3 and outside.has_speech  # a word for each phone
    assert [phone.phone for each in outside.segments for phone in each.phones] == ["C", "B", "C"]
    assert outside.cost == pytest.approx(6 * 0.25 - 10 * LEAVE, abs=1e-4)  # silence costs nothing
    assert not heard("SIL SIL").has_speech


def test_background_that_costs_too_much_is_never_heard(model, lexicon):
    text = "language: en\nintents:\n  I:\n    data:\n    - sentences: ['a be']\n"
    graph = build_graph(model, lexicon, Grammar.from_text(text))
    assert BACKGROUND not in graph.words
    with pytest.raises(OptionError, match="background_cost"):
        GraphOptions(background_cost=-1.0)


def test_words_end_where_their_last_phone_does(model, lexicon, bigrams):
    graph = build_graph(model, lexicon, bigrams, OPTIONS)
    ends = {
        graph.phones[phone]
        for phone, end in zip(graph.label_phone, graph.label_word_end, strict=True)
        if end
    }
    assert ends == {"A", "B"}  # no word ends in C, and silence never ends one
    assert graph.frame_seconds == model.frame_seconds


def test_a_grammar_may_hear_nothing_and_needs_every_word(model, lexicon):
    text = "language: en\nintents:\n  I:\n    data:\n    - sentences: ['a (be|ab)']\n"
    graph = build_graph(model, lexicon, Grammar.from_text(text), OPTIONS)
    said = {words for _, words in language(without_loops(graph), 6)}
    assert {tuple(graph.words[word] for word in words) for words in said} == {
        (), ("a", "be"), ("a", "ab"),
    }  # fmt: skip
    with pytest.raises(MissingError, match="'zebra'"):
        build_graph(model, lexicon, Grammar.from_text(text.replace("be", "zebra")), OPTIONS)


def test_a_phone_the_model_lacks_is_named(model, bigrams):
    strange = Lexicon({"a": (Pronunciation(("A", "Q"), 1.0),)})
    with pytest.raises(MissingError, match="'Q'"):
        build_graph(model, strange, bigrams, OPTIONS)


def test_a_graph_over_the_memory_limit_is_refused_beforehand(model, lexicon, bigrams):
    with pytest.raises(OptionError, match="memory_limit"):
        build_graph(model, lexicon, bigrams, GraphOptions(memory_limit=1e-9))
