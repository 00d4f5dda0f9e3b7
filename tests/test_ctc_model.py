"""A model of another kind goes through the unchanged graph builder, search and recogniser.

Its frames are of 40 ms, its phones of one state, with a blank and without silence.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from support.ctc_home import COMMANDS, DOUBTFUL, GRAMMAR, TEXTS, written_home
from support.ctc_model import CtcModel
from support.tones import LEXICON, RATE, say, speak

from factored_asr import Recognizer
from factored_asr.acoustic import N_POSITIONS, Topology
from factored_asr.acoustic.model import AcousticModel
from factored_asr.batch import BatchOptions, transcribe_files
from factored_asr.cli import main
from factored_asr.corpus.corpus import Corpus
from factored_asr.corpus.utterance import Utterance
from factored_asr.decoder import BeamOptions, Search
from factored_asr.errors import OptionError
from factored_asr.evaluation import evaluate
from factored_asr.explain import ExplainOptions, explain
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
from factored_asr.recognizer import stream as stream_module


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
    for graph in (grammar_graph, ngram_graph):
        lattice = recognise(model, graph, DOUBTFUL)
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


# --- through the recogniser: nothing outside of acoustic/ knows the kind of model --------------

@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the model on disk, a grammar, and some sounds."""
    with written_home(tmp_path_factory.mktemp("ctc")) as folder:
        yield folder


@pytest.fixture(scope="module")
def commands(home: Path, graph_cache: Path) -> Recognizer:
    return Recognizer.load(home / "model", grammar=home / "grammar.yaml")


@pytest.fixture(scope="module")
def dictation(home: Path, graph_cache: Path) -> Recognizer:
    return Recognizer.load(home / "model")


@pytest.mark.parametrize("text", TEXTS)
def test_transcripts_have_confidences_alternatives_and_times(commands, dictation, home, text):
    # The n-grams find "bad ace" nearly as good as "bad a": a phone of one frame costs 5.
    for recognizer, least in ((commands, 0.9), (dictation, 0.5)):
        result = recognizer.transcribe(home / f"{text.replace(' ', '_')}.wav")
        assert result.text == text and result.confidence > least
        assert result.words[0].start == pytest.approx(0.26, abs=0.05)
        assert [word.phones for word in result.words] == [
            LEXICON.find(word)[0].phones for word in text.split()
        ]
        first, *others = result.nbest(5)
        assert first.text == text and text not in [other.text for other in others]
    said = commands.transcribe(home / f"{text.replace(' ', '_')}.wav")
    assert said.interpretation.intent == "Say"


def test_a_word_between_two_words_has_less_confidence(commands):
    result = commands.transcribe(DOUBTFUL, sample_rate=RATE)
    assert [each.text for each in result.nbest(2)] == ["dad ace", "bad ace"]
    assert result.words[0].confidence < 0.95 < result.words[1].confidence


def test_other_speech_is_rejected_and_silence_is_none(commands):
    other = commands.transcribe(speak(["", *"ECBEACB", ""]), sample_rate=RATE)
    assert other.text == "" and "the background model fits better" in other.reason
    assert commands.transcribe(np.zeros(RATE, np.float32), sample_rate=RATE).reason == "no speech"


@pytest.mark.parametrize("redecode", [False, True])
@pytest.mark.parametrize("chunk", [100, 1000, 7000])
def test_a_stream_gives_what_a_file_gives(commands, dictation, redecode, chunk):
    sound = say("bad ace deed", gap=0.06, seed=3)
    for recognizer in (commands, dictation):
        whole = recognizer.transcribe(sound, sample_rate=RATE)
        stream = recognizer.stream(redecode=redecode)
        for _ in range(2):  # the next utterance is as good
            ends = [stream.accept(sound[i : i + chunk]) for i in range(0, len(sound), chunk)]
            assert stream.partial() == "bad ace deed" and not any(ends[: len(ends) // 2])
            result = stream.finish()
            assert replace(result, lattice=None) == replace(whole, lattice=None)
            assert result.lattice.best().cost == whole.lattice.best().cost
        ended = [stream.accept(np.zeros(RATE, np.float32)) for _ in range(6)]
        assert ended[-1] and stream.finish().text == ""


@pytest.mark.parametrize("chunk", [1000, 7000])
def test_too_long_to_be_decoded_again(commands, dictation, chunk, monkeypatch):
    """The result is that of a stream that is not decoded again, with its alternatives."""
    monkeypatch.setattr(stream_module, "REDECODE_SECONDS", 1.0)
    sound = say("bad ace deed", gap=0.06, seed=3)
    assert len(sound) > RATE
    for recognizer in (commands, dictation):
        found = []
        for redecode in (True, False):
            stream = recognizer.stream(redecode=redecode)
            for first in range(0, len(sound), chunk):
                stream.accept(sound[first : first + chunk])
            found.append(stream.finish())
        one, other = found
        assert one.text == "bad ace deed" and replace(one, lattice=None) == replace(
            other, lattice=None)
        assert one.lattice.n_nodes == other.lattice.n_nodes > 0


def test_alignment_by_the_recogniser(commands):
    aligned = commands.align(say("bad deed"), "bad deed", sample_rate=RATE)
    assert [each.word.text for each in aligned.words] == ["bad", "deed"]
    assert [each.word.start for each in aligned.words] == pytest.approx([0.2, 1.0])
    assert all(each.fits for each in aligned.words)
    ends = [state.end for state in aligned.states]
    assert ends[-1] == aligned.duration
    assert {state.pdf for state in aligned.states} == {0, 1, 2, 4, 5}  # blank, A, B, D, E
    swapped = commands.align(say("bad deed"), "bee deed", sample_rate=RATE)
    assert [each.fits for each in swapped.words] == [False, True]


@pytest.mark.parametrize("text", ["bad ace", "ace a deed"])
def test_factors_of_an_explanation_add_up(commands, dictation, text):
    sound = say(text, gap=0.06)
    for recognizer in (commands, dictation):
        found = explain(recognizer, sound, sample_rate=RATE)
        assert found.text == text
        assert found.costs.total == pytest.approx(found.cost, abs=1e-3)
        assert found.costs.remainder == pytest.approx(0.0, abs=1e-3)
        assert found.costs.silence == found.costs.transitions == 0.0
        assert [each.word for each in found.words] == text.split()
        assert found.states[0].phone == BLANK
        assert {each.name: each.text for each in found.ablations}["language"] == text


def test_competitors_of_an_explanation(commands):
    found = explain(commands, DOUBTFUL, sample_rate=RATE, options=ExplainOptions(without=()))
    other = found.words[0].competitor
    assert other.words == ("bad",) and other.decided == "acoustic" and other.margin > 0
    assert other.difference.transitions == other.difference.silence == 0.0
    assert found.costs.total + other.margin == pytest.approx(other.costs.total, abs=1e-3)


def test_evaluation_and_batch(commands, home):
    sounds = [home / f"{text.replace(' ', '_')}.wav" for text in TEXTS]
    corpus = Corpus(tuple(
        Utterance(text, "ann", tuple(text.split()), sound)
        for text, sound in zip(TEXTS, sounds, strict=True)
    ))
    for mean_over in ("utterance", "speaker"):
        result = evaluate(commands, corpus, mean_over=mean_over, lexicon=LEXICON)
        assert result.errors.total == result.phones.total == 0
    texts = []
    report = transcribe_files(
        sounds, commands.recipe, BatchOptions(format="text", nbest=2),
        each=lambda _, outcome: texts.append(outcome.text.split("\n")[0].split("\t")[-1]),
    )
    assert not report.failures and texts == TEXTS


def test_what_the_model_cannot_do_is_an_error(commands, home):
    with pytest.raises(OptionError, match="cannot be adapted"):
        commands.adapted([say("bad ace")], sample_rate=RATE)
    options = COMMANDS.against_noise(["vts"])
    with pytest.raises(OptionError, match="no tools against noise"):
        Recognizer.load(home / "model", grammar=home / "grammar.yaml", options=options)


def test_the_command_line_takes_the_model(home, capsys):
    model = str(home / "model")
    assert main(["info", model]) == 0 and "A B C D E" in capsys.readouterr().out
    sound, grammar = str(home / "bad_ace.wav"), str(home / "grammar.yaml")
    assert main(["transcribe", sound, "--model", model, "--grammar", grammar]) == 0
    assert capsys.readouterr().out == "bad ace\n"


# --- large models -------------------------------------------------------------------------------


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
