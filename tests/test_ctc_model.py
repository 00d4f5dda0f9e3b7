"""A model of another kind goes through the unchanged graph builder and search.

Its frames are of 40 ms, its phones of one state, with a blank and without silence.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from support.ctc_model import LEXICON, CtcModel, say, speak

from factored_asr.acoustic import N_POSITIONS, Topology
from factored_asr.acoustic.model import AcousticModel
from factored_asr.decoder import BeamOptions, Search
from factored_asr.graph import (
    BLANK,
    Graph,
    build_alignment_graph,
    build_background,
    build_graph,
)
from factored_asr.language import Grammar, NGramModel
from factored_asr.lattice import Lattice, nbest
from factored_asr.lexicon import Lexicon, Pronunciation

GRAMMAR = """
intents:
  Say:
    data:
      - sentences: ["(bad|dad|ace|bee) (bad|dad|ace|bee|a) [deed]"]
"""


@pytest.fixture(scope="module")
def model() -> CtcModel:
    return CtcModel()


@pytest.fixture(scope="module")
def grammar_graph(model: CtcModel) -> Graph:
    return build_graph(model, LEXICON, Grammar.from_text(GRAMMAR))


@pytest.fixture(scope="module")
def ngram_graph(model: CtcModel) -> Graph:
    names = ("<eps>", "<s>", "</s>", *sorted(LEXICON.entries))
    n = len(names)
    unigrams = (np.arange(1, n)[:, None], np.full(n - 1, -2.0), np.full(n - 1, -0.7))
    pairs = (np.array([[1, 5], [5, 6], [6, 2]]), np.full(3, -0.7), np.zeros(3))
    return build_graph(model, LEXICON, NGramModel.from_ngrams(names, [unigrams, pairs]))


def recognise(model: AcousticModel, graph: Graph, sound: np.ndarray, chunk: int = 0) -> Lattice:
    """The way of a sound through session and search, in chunks of so many samples or whole."""
    session = model.session(graph.pdfs, whole=not chunk)
    search = Search(graph, BeamOptions(lattice_beam=8.0), pdfs=graph.pdfs)
    for first in range(0, len(sound), chunk or len(sound)):
        search.advance(session.accept(sound[first : first + (chunk or len(sound))]))
    for scores in session.finish():
        search.advance(scores)
    return search.finish()


TEXTS = ["bad ace", "dad dad", "ace a deed", "bee bad", "bad a"]


@pytest.mark.parametrize("gap", [0.0, 0.06])
@pytest.mark.parametrize("text", TEXTS)
def test_words_and_their_times_in_grammar_and_ngrams(model, grammar_graph, ngram_graph, text, gap):
    sound = say(text, gap=gap)
    for graph in (grammar_graph, ngram_graph):
        lattice = recognise(model, graph, sound)
        path = lattice.best()
        assert path.words == tuple(text.split()) and path.reached_final and lattice.aligned
        at = 0.2 + gap  # the silence before the first word
        for segment in path.segments:
            spoken = LEXICON.find(segment.word)[0].phones
            assert [phone.phone for phone in segment.phones] == list(spoken)
            for before, phone in zip(("", *spoken), segment.phones, strict=False):
                if gap or phone.phone != before:  # E E without a gap is one long E
                    assert phone.start * 0.04 == pytest.approx(at, abs=0.05)
                at += 0.2 + gap
            assert segment.end * 0.04 == pytest.approx(at - gap, abs=0.05)
            at += 0.2 + gap
        times = [(phone.start, phone.end) for phone in path.phones]
        assert times[0][0] == 0 and times[-1][1] == lattice.n_frames
        assert all(one[1] == other[0] for one, other in zip(times[:-1], times[1:], strict=True))
        assert path.phones[0].phone == BLANK and path.phones[0].is_silence
        assert path.trailing_silence == pytest.approx((0.2 + gap) / 0.04, abs=2)


def test_chunks_change_nothing(model, grammar_graph):
    sound = say("bad ace deed", seed=3)
    whole = recognise(model, grammar_graph, sound)
    for chunk in (100, 640, 5000):
        parts = recognise(model, grammar_graph, sound, chunk)
        assert parts.best().cost == whole.best().cost
        assert np.array_equal(parts.best().arcs, whole.best().arcs)
        assert np.array_equal(parts.arc_cost, whole.arc_cost)


def test_the_lattice_has_the_words_of_the_best_path_and_others(model, grammar_graph, ngram_graph):
    # Something between B and D, so that both words compete.
    mixed = speak(["", "B", "A", "D", "", "A", "C", ""])
    mixed[3200:6400] = 0.52 * speak(["D"]) + 0.48 * mixed[3200:6400]
    for graph in (grammar_graph, ngram_graph):
        lattice = recognise(model, graph, mixed)
        assert lattice.aligned
        best, second = nbest(lattice, 2)
        assert best.words == lattice.best().words == ("dad", "ace")
        assert second.words == ("bad", "ace")
        assert best.cost == pytest.approx(lattice.best().cost, abs=1e-3)
        segments = [lattice.segment(arc) for arc in best.arcs if lattice.arc_word[arc]]
        for one, other in zip(segments, lattice.best().segments, strict=True):
            assert (one.word, one.start, one.end) == (other.word, other.start, other.end)
            ends = [[phone.end for phone in each.phones] for each in (one, other)]
            assert ends[0] == ends[1]


def test_silences_do_not_multiply_in_a_lattice(model, grammar_graph):
    """A silence is one arc: blanks that end and begin once more would be ways without number."""
    lattice = recognise(model, grammar_graph, say("bad ace", gap=0.1))
    silent = lattice.arc_word == 0
    into = set(lattice.arc_target[silent].tolist())
    assert into and not into & set(lattice.arc_source[silent].tolist())


def test_silence_gives_no_words(model, grammar_graph):
    path = recognise(model, grammar_graph, np.zeros(16000, np.float32)).best()
    assert path.words == () and not path.has_speech and path.reached_final


def test_alignment(model):
    graph = build_alignment_graph(model, LEXICON, ["bad", "deed"])
    path = recognise(model, graph, say("bad deed")).best()
    assert path.words == ("bad", "deed") and path.reached_final
    assert [(segment.start, segment.end) for segment in path.segments] == [(5, 20), (25, 45)]
    # E twice: a frame of each, whether or not a blank stands between them.
    assert [phone.phone for phone in path.segments[1].phones] == ["D", "E", "E", "D"]


def test_background(model):
    graph = build_background(model, LEXICON, ["bad", "ace"])
    lattice = recognise(model, graph, say("bad ace"))
    assert lattice.best().words == ("bad", "ace")
    other = recognise(model, graph, speak(["", "E", "C", "B", "E", ""])).best()
    assert set(other.words) == {"<background>"} and other.has_speech


@dataclass(frozen=True)
class Large:
    """500 phones whose units depend on the left neighbour."""

    topology: Topology
    frame_seconds: float = 0.03


def test_a_model_of_many_phones_needs_little_memory(grammar_graph):
    """Imports and compiled kernels do not count: they are there, as a graph has been built."""
    n = 500
    phones = tuple(f"p{i}" for i in range(n))
    rng = np.random.default_rng(0)
    unit_phone = np.repeat(np.arange(n), 8)
    pdfs = rng.integers(0, 3000, (8 * n, 1))
    zeros = np.log(np.full((8 * n, 1), 0.5))
    names = ["w" + chr(97 + i // 10) + chr(97 + i % 10) for i in range(40)]
    words = {name: (Pronunciation(tuple(rng.choice(phones, 4).tolist())),) for name in names}
    sentences = ", ".join(f'"{one} {other}"' for one, other in zip(names, names[1:], strict=False))
    grammar = Grammar.from_text(GRAMMAR[: GRAMMAR.index('["')] + f"[{sentences}]\n")
    tracemalloc.start()
    unit_of = np.arange(n).repeat(N_POSITIONS)[:, None] * 8 + rng.integers(
        0, 8, (N_POSITIONS * n, n), np.int32
    )
    topology = Topology(
        phones, "p0", ("p0",), unit_phone, pdfs, pdfs + 3000, zeros, zeros,
        np.arange(n) * 8, unit_of[:, :, None], np.arange(n).repeat(N_POSITIONS),
    )
    graph = build_graph(Large(topology), Lexicon(words), grammar)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert graph.n_arcs > 100 and (graph.label_pdf >= 3000).any()
    assert topology.unit_of.nbytes < 5e6 and peak < 50, f"{peak:.0f} MB"
