"""``HCLG.fst`` in a folder of Vosk or Kaldi: searched as it is, and what else such a model does."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import vosk_files as files
from support.vosk_static import graph_of, write_static

from factored_asr import Recognizer
from factored_asr.cli import main
from factored_asr.decoder import BeamOptions, decode
from factored_asr.errors import FactoredASRError, FormatError, MissingError, ModelWarning
from factored_asr.graph import Graph
from factored_asr.language import Grammar, estimate, write_arpa
from factored_asr.lattice import SecondPassOptions
from factored_asr.models.importers.vosk import VoskFiles, VoskModel, read_vosk_model

GRAMMAR = "language: en\nintents:\n  Say:\n    data:\n      - sentences: [aa bee, sea]\n"
WIDE = BeamOptions(beam=1000.0, max_active=100_000, lattice_beam=0.0)
SOUND = np.random.default_rng(2).normal(size=30_000).astype(np.float32) * 0.1


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """Of the same model with the look-ahead pair."""
    return graph_of(files.write_vosk(tmp_path_factory.mktemp("pair") / "model"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_static(tmp_path_factory.mktemp("static") / "model")


def _read(folder: Path) -> VoskModel:
    found = VoskFiles.find(folder)
    assert found is not None
    return read_vosk_model(found)


def _scores(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(rng.integers(4, 30), files.N_PDFS)) * 3).astype(np.float32)


@pytest.mark.parametrize(("kind", "lexicon"), [("const", "int"), ("vector", "txt"), ("const", "")])
def test_words_costs_and_times_are_those_of_the_pair(
    ours: Graph, tmp_path: Path, kind: str, lexicon: str
) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ModelWarning)
        model = _read(write_static(tmp_path / "model", kind, lexicon))
    assert [*map(str, warned)] == [] if lexicon else "only dictation" in str(warned[0])
    assert (model.lexicon is None) == (not lexicon) and model.lm is None
    assert model.graph is not None
    said = set()
    for seed in range(20):
        expected, found = (decode(graph, _scores(seed), WIDE).best()
                           for graph in (ours, model.graph))
        assert found.words == expected.words and found.phones == expected.phones
        assert found.segments == expected.segments
        assert found.cost == pytest.approx(expected.cost, abs=1e-3)
        said |= {*found.words}
    assert said == {*files.WORDS}


def test_kaldis_decoder_finds_the_same(tmp_path: Path) -> None:
    kaldifst = pytest.importorskip("kaldifst")
    kaldi_decoder = pytest.importorskip("kaldi_decoder")
    folder = write_static(tmp_path / "model", "vector")
    graph, model = kaldifst.StdVectorFst.read(str(folder / "graph/HCLG.fst")), _read(folder)
    assert model.graph is not None
    for seed in range(10):
        scores = _scores(seed)
        by_transition = np.empty((len(scores), files.N_PDFS), np.float32)  # ids from 1 on
        by_transition[:, 0::2], by_transition[:, 1::2] = scores[:, 1::2], scores[:, 0::2]
        options = kaldi_decoder.FasterDecoderOptions(beam=1000.0, max_active=100_000)
        theirs = kaldi_decoder.FasterDecoder(graph, options)
        theirs.decode(kaldi_decoder.DecodableCtc(by_transition))
        found, best = theirs.get_best_path()
        assert found
        _, _, words, weight = kaldifst.get_linear_symbol_sequence(best)
        own = decode(model.graph, scores, WIDE).best()
        assert list(own.word_ids) == words
        assert own.cost == pytest.approx(weight.value1 + weight.value2, abs=1e-3)


def test_dictation_grammars_and_other_models_of_words(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "cache"))
    with pytest.warns(ModelWarning, match="for the first time"):
        recognizer = Recognizer.load(folder)
    found = recognizer.transcribe(SOUND, sample_rate=16000)
    assert found.text and {*found.text.split()} <= {*files.WORDS}
    stream = recognizer.stream()
    stream.accept(SOUND)
    assert stream.finish().text == found.text
    sure = Recognizer.load(folder, second_pass=SecondPassOptions(keep=True, confidences=True))
    heard = sure.transcribe(SOUND, sample_rate=16000)
    assert 0 < heard.confidence <= 1 and heard.lattice is not None
    assert recognizer.align(SOUND, "aa bee", sample_rate=16000).words[0].word.text == "aa"
    assert recognizer.with_hotwords({"aa": 2.0}).transcribe(SOUND, sample_rate=16000).text
    for refused in (lambda: recognizer.with_words({"bb": "B B"}),
                    lambda: Recognizer.load(folder, words={"bb": "B B"}),
                    lambda: recognizer.explain(SOUND, sample_rate=16000),
                    lambda: Recognizer.load(folder, second_pass=SecondPassOptions(whole_lm=True))):
        with pytest.raises(FactoredASRError, match="graph, for plain dictation alone.*--lm"):
            refused()
    grammar = Recognizer.load(folder, grammar=Grammar.from_text(GRAMMAR))
    assert grammar.transcribe(SOUND, sample_rate=16000).text in ("", "aa bee", "sea")
    write_arpa(estimate([["sea", "aa"]]), tmp_path / "small.arpa")
    small = Recognizer.load(folder, lm=tmp_path / "small.arpa")
    assert "bee" not in small.graph.words
    assert "bb" in small.with_words({"bb": "B B"}).graph.words


def test_import_keeps_the_graph(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "cache"))
    assert main(["import", str(folder), "--output", str(tmp_path / "ours")]) == 0
    both = [Recognizer.load(each).transcribe(SOUND, sample_rate=16000).text
            for each in (folder, tmp_path / "ours")]
    assert both[0] == both[1] != ""
    assert main(["info", str(tmp_path / "ours")]) == 0
    assert "graph of dictation that came with the model" in capsys.readouterr().out
    assert main(["compile", "--model", str(tmp_path / "ours"), "-o", str(tmp_path / "graph")]) == 0
    again = Recognizer.load(tmp_path / "ours", graph=tmp_path / "graph")
    assert again.transcribe(SOUND, sample_rate=16000).text == both[0]


def test_marks_are_no_words(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    table = (other / "graph/words.txt").read_text().replace("sea ", "[noise] ")
    (other / "graph/words.txt").write_text(table)
    model = _read(other)
    assert model.graph is not None and model.lexicon is not None
    number = model.graph.words.index("[noise]")
    assert number not in model.graph.arcs["word"] and len(np.unique(model.graph.arcs["word"])) == 3


def _replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old.encode(), new.encode())


def _without_places(data: bytes) -> bytes:
    return b"".join(b"%d nonword\n" % number for number in range(1, 14))


@pytest.mark.parametrize(("name", "change", "match"), [
    ("graph/HCLG.fst", lambda data: data[:200], "HCLG.fst"),
    ("graph/HCLG.fst", lambda data: data[:-16] + b"\x63" + data[-15:], "a label 99"),
    ("graph/words.txt", _replaced("sea 3", "sea 9999999"), "number of a word is 9999999"),
    ("graph/words.txt", lambda data: b"<eps> 0\naa 1\n", "a word 3, the model's go up to 1"),
    ("graph/phones/align_lexicon.int", _replaced("1 1 ", "1 x "), "int:3: a word or phone without"),
    ("graph/phones/align_lexicon.int",
     lambda data: b"\n" + data.replace(b"1 1 ", b"1 x "), "int:4: a word or phone without"),
    ("graph/phones/align_lexicon.int", _replaced("1 1 ", "1 1 99 "), "phone 99 is not one of"),
    ("conf/model.conf", _replaced("phones=1", "phones=77"), "phone 77 of silence"),
    ("graph/phones/word_boundary.int", _without_places, "no places in the word"),
])  # fmt: skip
def test_broken_files_are_named(
    folder: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes], match: str
) -> None:
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    (other / name).write_bytes(change((other / name).read_bytes()))
    with pytest.raises(FormatError, match=match):
        _read(other)
    (other / "graph/words.txt").unlink()
    with pytest.raises(MissingError, match="words.txt"):
        _read(other)


def test_phones_that_depend_on_the_next_serve_dictation_alone(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    # rows of one phone change places on some of its arcs, as if the next phone selected them
    plain = Graph.read(other / "graph/HCLG.fst")
    arcs = plain.arcs.copy()
    moved = np.flatnonzero((arcs["label"] > 2) & (arcs["label"] % 2 == 0))[::2]
    arcs["label"][moved] = (arcs["label"][moved] - 1) // 4 * 4 + 2
    Graph(plain.start, plain.first_arc, arcs, plain.final).write_openfst(other / "graph/HCLG.fst")
    with pytest.warns(ModelWarning, match="only dictation.*depend on the phone after them"):
        assert _read(other).lexicon is None
