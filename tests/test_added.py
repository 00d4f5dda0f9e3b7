"""Words added to a compiled graph cost what they cost in a graph compiled with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from naive_graph import costs_of
from support.topologies import RANDOM_KINDS, Model, random_topology

from factored_asr.errors import OptionError
from factored_asr.graph import Graph, GraphOptions, build_graph, make_units
from factored_asr.graph.added import extended
from factored_asr.graph.graph import WORDS
from factored_asr.language import NGramModel
from factored_asr.language.ngram import with_words
from factored_asr.lexicon import Lexicon, Pronunciation

LEXICON = Lexicon({
    word: tuple(Pronunciation(tuple(phones.split()), 1 / len(ways)) for phones in ways)
    for word, ways in {
        "x": ["0 1", "0"], "y": ["1", "1 0"], "z": ["0 0", "1 1"], "new": ["1 0", "0"],
        "newer": ["0 0", "1"], "odd": ["0 2", "2"],
    }.items()
})  # fmt: skip
OPTIONS = GraphOptions(filler_probability=0)


def bigrams() -> NGramModel:
    words = ("<eps>", "<s>", "</s>", "x", "y", "z")
    unigrams = (np.arange(1, 6)[:, None], np.log([1e-9, 0.4, 0.3, 0.2, 0.1]),
                np.log([0.5, 1, 0.4, 1, 1]))
    pairs = (np.array([[1, 3], [3, 4]]), np.log([0.5, 0.6]), np.zeros(2))
    return NGramModel.from_ngrams(words, [unigrams, pairs])


@pytest.mark.parametrize("kind", RANDOM_KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_added_words_cost_what_compiled_ones_do(kind: str, seed: int) -> None:
    model = Model(random_topology(np.random.default_rng(seed), **RANDOM_KINDS[kind]))
    phones, units = model.topology.phones, make_units(model)
    names = dict(zip("012", phones, strict=True))
    lexicon = Lexicon({
        word: tuple(Pronunciation(tuple(names[p] for p in each.phones), each.probability)
                    for each in LEXICON[word]) for word in LEXICON
    })
    language_model = bigrams()
    added = ("new", "newer", "odd")  # no word of the model ends in the last phone of the third
    whole = build_graph(model, lexicon, with_words(language_model, added), OPTIONS)
    base = build_graph(model, lexicon, language_model, OPTIONS)
    before = base.arcs.copy()
    cost = -float(np.median(language_model.orders[0].log_prob))
    entries = {(word,): cost for word in added}
    graph = extended(base, units, phones, lexicon, {WORDS: entries}, {})
    assert np.array_equal(graph.states, replace(graph, base=None).states)
    assert graph.base is base and np.array_equal(base.arcs, before)
    expected, found = costs_of(whole, 4), costs_of(graph, 4)
    assert all(any(word in words for _, words in expected) for word in added)
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=2e-3), key


def test_costs_of_words_change_and_the_file_stays(tmp_path, monkeypatch):
    """What a graph folder is mapped from has room behind it; the pages that change are private."""
    monkeypatch.setattr("factored_asr.graph.graph.MANY_ARCS", 1)
    model = Model(random_topology(np.random.default_rng(5), right=False))
    names = dict(zip("012", model.topology.phones, strict=True))
    lexicon = Lexicon({
        word: tuple(Pronunciation(tuple(names[p] for p in each.phones)) for each in LEXICON[word])
        for word in LEXICON
    })
    build_graph(model, lexicon, bigrams(), OPTIONS).write(tmp_path / "graph")
    files = {file.name: file.read_bytes() for file in (tmp_path / "graph").iterdir()}
    base, copied = Graph.read(tmp_path / "graph"), build_graph(model, lexicon, bigrams(), OPTIONS)
    changes = {"x": -2.0, "y": np.inf, "unknown": 1.0}
    units, phones = make_units(model), model.topology.phones
    made = [extended(each, units, phones, lexicon, {WORDS: {("new",): 1.5}}, changes)
            for each in (base, copied)]
    for graph in made:
        assert np.array_equal(graph.states, replace(graph, base=None).states)
    costs = [costs_of(graph, 4) for graph in made]
    assert costs[0] == pytest.approx(costs[1])
    plain = costs_of(base, 4)
    for (pdfs, words), cost in costs[0].items():
        assert "y" not in words
        if "new" not in words:
            assert cost == pytest.approx(plain[pdfs, words] - 2.0 * words.count("x"), abs=1e-4)
    assert any("new" in words for _, words in costs[0])
    assert files == {file.name: file.read_bytes() for file in (tmp_path / "graph").iterdir()}
    assert costs_of(Graph.read(tmp_path / "graph"), 4) == pytest.approx(plain)
    with pytest.raises(OptionError, match="no place named 'contact' to add to: it has '<words>'"):
        extended(base, units, phones, lexicon, {"contact": {("x",): 0.0}}, {})
