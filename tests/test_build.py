"""The whole graph of a tiny model, against what its sentences must cost."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from naive_graph import cheapest, language

from factored_asr.acoustic import DiagonalMixtures, GmmModel
from factored_asr.decoder import BeamOptions, decode
from factored_asr.errors import MissingError, OptionError
from factored_asr.features import FeatureOptions
from factored_asr.graph import (
    BACKGROUND,
    BackgroundOptions,
    Graph,
    GraphOptions,
    build_background,
    build_graph,
)
from factored_asr.language import Grammar, NGramModel
from factored_asr.lattice.rejection import DEFAULTS, NO_COMMAND, Evidence, rejection
from factored_asr.lexicon import Lexicon, Pronunciation

PHONES = ("A", "B", "C", "SIL", "+N+")
LEAVE = np.log(0.5)


@pytest.fixture(scope="module")
def model() -> GmmModel:
    """Four phones of two states each, no context; leaving a state costs log 2."""
    n = len(PHONES)
    half = np.full((n, 2), LEAVE, np.float32)
    features = FeatureOptions(n_cepstra=2, streams="1s_c", remove_noise=False)
    densities = DiagonalMixtures(
        np.zeros((2 * n, 2)), np.ones((2 * n, 2)), np.ones(2 * n), np.arange(2 * n + 1)
    )
    return GmmModel(
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


def scores_of(model, phones: str, n: int = 1) -> np.ndarray:
    """Scores of a sound that fits these phones, both states of each for n frames, and no other."""
    pdfs = [2 * PHONES.index(phone) + state for phone in phones.split() for state in (0, 1)]
    scores = np.full((n * len(pdfs), model.n_pdfs), -5.0, np.float32)
    scores[np.arange(len(scores)), np.repeat(pdfs, n)] = 0.0
    return scores


def test_a_background_hears_words_in_any_order_and_phones_in_between(model, lexicon):
    costs = BackgroundOptions(word_cost=2.0, frame_cost=0.25, phone_cost=2.0)
    options = GraphOptions(silence_probability=0.5)
    background = build_background(model, lexicon, ["a", "be"], options, costs)

    def heard(phones: str):
        return decode(background, scores_of(model, phones), BeamOptions(lattice_beam=0.0)).best()

    twice = heard("B A B")
    assert [word for word in twice.words if word != BACKGROUND] == ["be", "a", "be"]
    # Three words of one phone, two frames each; one of two ways of "a".
    assert twice.cost == pytest.approx(3 * 2.0 + 6 * 0.25 + np.log(2) - 6 * LEAVE, abs=1e-4)
    mixed = heard("A C C SIL")
    assert mixed.words == ("a", BACKGROUND, BACKGROUND) and mixed.has_speech
    assert [phone.phone for each in mixed.segments for phone in each.phones] == ["A", "C", "C"]
    assert heard("C B").words == (BACKGROUND, "be")  # back from phones to words
    assert not heard("SIL SIL").has_speech


def test_a_command_is_weighed_against_its_background(model, lexicon):
    text = "language: en\nintents:\n  I:\n    data:\n    - sentences: ['a be a']\n"
    grammar, seconds = Grammar.from_text(text), model.frame_seconds
    graph = build_graph(model, lexicon, grammar)
    background = build_background(model, lexicon, grammar.words)
    beam = BeamOptions(lattice_beam=0.0)

    def decoded(phones: str, n: int = 1):
        scores = scores_of(model, phones, n)
        command, other = (decode(each, scores, beam).best() for each in (graph, background))
        assert command.words == ("a", "be", "a")  # whatever was spoken
        rejected = rejection(command, Evidence(other), frame_seconds=seconds)
        return command, other, str(rejected or "")

    command, other, reason = decoded("A B A", 8)  # spoken in a hurry it would not stand out enough
    assert reason == "" and other.cost > command.cost
    command, other, reason = decoded("A B C B")
    assert other.cost < command.cost
    assert reason.startswith(NO_COMMAND) and "fits worse than" in reason
    assert f"'a' at {4 * seconds:.2f}" in reason  # the first word that is not there
    n = int(DEFAULTS.longest_phone / seconds)
    assert decoded("A B A", n // 2)[2] == ""
    assert "lasts" in decoded("A B A", n)[2]


def test_prefixes_by_their_former_name_still_work():
    with pytest.warns(DeprecationWarning, match="is now called prefix") as told:
        old = GraphOptions(lead_ins=["no"], lead_in_cost=3.0)
    assert len(told) == 2
    assert old == GraphOptions(prefixes=("no",), prefix_cost=3.0) == replace(old)
    with pytest.warns(DeprecationWarning, match="lead_in_cost is now called prefix_cost"):
        assert old.lead_in_cost == 3.0


def test_prefixes_are_recognised_before_a_sentence_and_cost_something(model, lexicon):
    text = "language: en\nintents:\n  I:\n    data:\n    - sentences: ['a']\n"
    options = GraphOptions(prefixes=["be", "be ab"], prefix_cost=3.0)
    graph = build_graph(model, lexicon, Grammar.from_text(text), options)
    sentences: dict[tuple[str, ...], float] = {}
    for (_, words), cost in language(without_loops(graph), 10).items():
        said = tuple(graph.words[word] for word in words)
        sentences[said] = min(cost, sentences.get(said, np.inf))
    assert set(sentences) == {(), ("a",), ("be", "a"), ("be", "ab", "a")}
    assert sentences["be", "a"] == pytest.approx(sentences["a",] + 3.0 - 2 * LEAVE, abs=1e-3)
    with pytest.raises(MissingError, match="'never'"):
        build_graph(model, lexicon, Grammar.from_text(text), GraphOptions(prefixes=("never",)))


def test_a_background_must_cost_something():
    with pytest.raises(OptionError, match="word_cost"):
        BackgroundOptions(word_cost=0.0)
    with pytest.raises(OptionError, match="phone_cost must be 0 or more, got -1"):
        BackgroundOptions(phone_cost=-1.0)


def test_words_end_where_their_last_phone_does(model, lexicon, bigrams):
    graph = build_graph(model, lexicon, bigrams, OPTIONS)
    ends = {
        graph.phones[phone]
        for phone, end in zip(graph.label_phone, graph.label_word_end, strict=True)
        if end
    }
    # No word ends in C, but one that is added may; silence never ends one.
    assert ends == {"A", "B", "C"}
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


@pytest.mark.parametrize("name", ["word_penalty", "empty_cost", "prefix_cost", "denial_cost",
                                  "transition_scale"])
def test_costs_of_a_graph_are_finite(name: str) -> None:
    for wrong in (float("inf"), float("nan")):
        with pytest.raises(OptionError, match=f"{name} must be finite, got"):
            GraphOptions(**{name: wrong})
