"""Corpora: five layouts on disk, and a check that names what cannot be trained on."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from factored_asr.corpus.corpus import Corpus, check
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.features import FrontEnd
from factored_asr.features.files import read_feature_file
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.training.data import cepstra_of, seconds_of

RATE = 16000
LEXICON = Lexicon({
    "turn": (Pronunciation(("T", "ER", "N")),), "on": (Pronunciation(("AA", "N")),),
})


def write_tone(path: Path, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(RATE * seconds)) / RATE
    soundfile.write(path, (0.1 * np.sin(2 * np.pi * (200 + 300 * time) * time)), RATE)
    return path


def write_mfc(path: Path, cepstra: np.ndarray, order: str = ">") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = cepstra.astype(f"{order}f4").tobytes()
    path.write_bytes(struct.pack(f"{order}i", cepstra.size) + values)
    return path


def write_manifest(folder: Path, *rows: str, header: str = "id\tpath\tspeaker\ttext") -> Path:
    file = folder / "utterances.tsv"
    file.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return file


# --- layouts ----------------------------------------------------------------


def test_a_manifest_is_a_table_with_a_header(tmp_path: Path) -> None:
    write_tone(tmp_path / "ann" / "a.wav", 2.0)
    write_manifest(
        tmp_path, "1\tann/a.wav\t0.5\t1.5\tturn on", "2\tann/a.wav\t0\t\t on ",
        header="id\tpath\tstart\tend\ttext",
    )
    corpus = Corpus.read(tmp_path)
    first, second = corpus
    assert (first.id, first.speaker, first.words) == ("1", "ann", ("turn", "on"))
    assert (first.start, first.end, second.end) == (0.5, 1.5, None)
    part, whole = (cepstra_of(each, FrontEnd()) for each in corpus)
    assert len(whole) == pytest.approx(200, abs=2) and len(part) == pytest.approx(100, abs=2)
    # the same sound, but for the noise removal, which starts afresh
    assert np.corrcoef(whole[60:140, 0], part[10:90, 0])[0, 1] > 0.9


def test_a_broken_manifest_is_named_with_its_line(tmp_path: Path) -> None:
    file = write_manifest(tmp_path, "1\ta.wav\tann\ton", "2\ta.wav")
    with pytest.raises(FormatError, match=rf"{file}:3: 2 columns, the header has 4"):
        Corpus.read(file)
    file = write_manifest(tmp_path, "1\ta.wav\tann\ton", "1\ta.wav\tann\ton")
    with pytest.raises(FormatError, match=rf"{file}:3: 1: this id is there 2 times"):
        Corpus.read(file)
    file = write_manifest(tmp_path, "a.wav\tsoon\ton", header="path\tstart\ttext")
    with pytest.raises(FormatError, match=rf"{file}:2: start must be a number .* 'soon'"):
        Corpus.read(file)
    file = write_manifest(tmp_path, header="file\tsentence")
    with pytest.raises(FormatError, match=rf"{file}:1: the header must name path and text"):
        Corpus.read(file)


def test_a_kaldi_folder_with_segments(tmp_path: Path) -> None:
    write_tone(tmp_path / "call.wav", 3.0)
    (tmp_path / "wav.scp").write_text("call call.wav\n")
    (tmp_path / "segments").write_text("call-1 call 0 1.5\ncall-2 call 1.5 -1\n")
    (tmp_path / "text").write_text("call-1 turn on\ncall-2 on\n")
    (tmp_path / "utt2spk").write_text("call-1 ann\ncall-2 ben\n")
    corpus = Corpus.read(tmp_path)
    assert [(u.id, u.speaker, u.text, u.start, u.end) for u in corpus] == [
        ("call-1", "ann", "turn on", 0.0, 1.5), ("call-2", "ben", "on", 1.5, None),
    ]
    assert len(cepstra_of(corpus.utterances[1], FrontEnd())) == pytest.approx(150, abs=2)


def test_a_kaldi_folder_never_runs_a_command(tmp_path: Path) -> None:
    (tmp_path / "wav.scp").write_text("call sph2pipe -f wav call.sph |\n")
    (tmp_path / "text").write_text("call turn on\n")
    with pytest.raises(FormatError, match=r"wav.scp:1: a command, .* only files are read"):
        Corpus.read(tmp_path)


def test_a_kaldi_archive_of_features(tmp_path: Path) -> None:
    kaldiio = pytest.importorskip("kaldiio")
    cepstra = np.random.default_rng(0).normal(size=(50, 13)).astype(np.float32)
    kaldiio.save_ark(str(tmp_path / "feats.ark"), {"u": cepstra}, scp=str(tmp_path / "feats.scp"))
    (tmp_path / "text").write_text("u turn on\n")
    (tmp_path / "utt2spk").write_text("u ann\n")
    corpus = Corpus.read(tmp_path)
    assert corpus.utterances[0].kind == "features"
    np.testing.assert_array_equal(cepstra_of(corpus.utterances[0], FrontEnd()), cepstra)
    assert len(check(corpus, LEXICON, seconds=seconds_of())[0]) == 1


def test_sphinx_finds_texts_by_id_and_speakers_by_folder(tmp_path: Path) -> None:
    cepstra = np.random.default_rng(0).normal(size=(40, 13)).astype(np.float32)
    write_mfc(tmp_path / "feat" / "ann" / "one.mfc", cepstra)
    write_tone(tmp_path / "wav" / "ben" / "two.wav")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "x.fileids").write_text("ann/one\nben/two\n")
    (tmp_path / "etc" / "x.transcription").write_text("on (two)\n<s> turn on </s> (one)\n")
    corpus = Corpus.read(tmp_path)
    assert [(u.speaker, u.text, u.kind) for u in corpus] == [
        ("ann", "turn on", "features"), ("ben", "on", "audio"),
    ]
    np.testing.assert_array_equal(cepstra_of(corpus.utterances[0], FrontEnd()), cepstra)
    (tmp_path / "etc" / "y.fileids").write_text("ann/one\n")
    with pytest.raises(OptionError, match="several lists, .*: x.fileids, y.fileids"):
        Corpus.read(tmp_path)
    assert len(Corpus.read(tmp_path / "etc" / "x.fileids")) == 2
    (tmp_path / "etc" / "x.transcription").write_text("on (two)\nturn on\n")
    with pytest.raises(FormatError, match=r"x.transcription:2: must end with the utterance's id"):
        Corpus.read(tmp_path / "etc" / "x.fileids")


def test_librispeech_and_named_files(tmp_path: Path) -> None:
    chapter = tmp_path / "libri" / "84" / "121"
    write_tone(chapter / "84-121-0000.flac")
    (chapter / "84-121.trans.txt").write_text("84-121-0000 TURN ON\n")
    (said,) = Corpus.read(tmp_path / "libri")
    assert (said.speaker, said.text) == ("84", "TURN ON")
    write_tone(tmp_path / "digits" / "7_jackson_12.wav")
    (said,) = Corpus.read(tmp_path / "digits")
    assert (said.speaker, said.text) == ("jackson", "seven")


def test_a_folder_without_a_corpus(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no such corpus"):
        Corpus.read(tmp_path / "nowhere")
    with pytest.raises(MissingError, match="no corpus in a known layout"):
        Corpus.read(tmp_path)
    with pytest.raises(OptionError, match="layout is 'htk'"):
        Corpus.read(tmp_path, layout="htk")


# --- speakers ---------------------------------------------------------------


def test_unlabelled_speakers_are_told_by_folder_or_file(tmp_path: Path) -> None:
    file = write_manifest(tmp_path, "1\tx/a.wav\t?\ton", "2\tx/b.wav\t?\ton")
    assert Corpus.read(file).speakers == ("?",)
    assert Corpus.read(file, speaker_by="folder").speakers == ("x",)
    assert Corpus.read(file, speaker_by="file").speakers == ("a", "b")


def test_speakers_are_kept_apart(tmp_path: Path) -> None:
    corpus = Corpus.read(write_manifest(tmp_path, "1\ta.wav\tann\ton", "2\tb.wav\tben\tturn"))
    assert [u.id for u in corpus.select(["ben"])] == ["2"]
    assert [u.id for u in corpus.without(["ben"])] == ["1"]
    assert corpus.words == ("on", "turn")
    with pytest.raises(MissingError, match="no speaker 'eve' among 2"):
        corpus.without(["eve"])


# --- the check --------------------------------------------------------------


def test_every_fault_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    write_tone(tmp_path / "good.wav")
    write_tone(tmp_path / "short.wav", 0.1)
    write_tone(tmp_path / "long.wav", 25.0)
    (tmp_path / "broken.wav").write_bytes(b"this is no sound at all, whatever its name")
    (tmp_path / "broken.mfc").write_bytes(struct.pack(">i", 1000) + bytes(40))
    rows = [
        "good\tgood.wav\tann\tturn on", "gone\tgone.wav\tann\ton", "mute\tgood.wav\tann\t",
        "alien\tgood.wav\tann\tturn xyzzy", "noise\tbroken.wav\tann\ton",
        "cut\tbroken.mfc\tann\ton", "fast\tshort.wav\tann\tturn on turn on",
        "slow\tlong.wav\tann\ton",
    ]
    corpus = Corpus.read(write_manifest(tmp_path, *rows))
    rest, problems = check(corpus, LEXICON, seconds=seconds_of())
    assert [u.id for u in rest] == ["good"]
    assert {p.utterance: p.kind for p in problems} == {
        "gone": "missing file", "mute": "empty text", "alien": "unknown word",
        "noise": "broken data", "cut": "broken data", "fast": "absurd duration",
        "slow": "absurd duration",
    }
    by_id = {p.utterance: p.message for p in problems}
    assert by_id["alien"] == f"{tmp_path}/utterances.tsv:5: alien: 'xyzzy': not in the lexicon"
    assert "gone.wav is not there" in by_id["gone"]
    assert "0.10 s are too short for 10 phones" in by_id["fast"]


def test_a_text_without_sound_and_a_stretch_beyond_its_file(tmp_path: Path) -> None:
    write_tone(tmp_path / "call.wav")
    (tmp_path / "wav.scp").write_text("call call.wav\n")
    (tmp_path / "segments").write_text("one call 0 0.9\nlate call 5 6\n")
    (tmp_path / "text").write_text("one on\nlate on\nlost on\n")
    rest, problems = check(Corpus.read(tmp_path), LEXICON)
    assert [u.id for u in rest] == ["one"]
    assert [p.kind for p in problems] == ["broken data", "missing file"]
    assert "5.0 to 6.0 s is no stretch of its 1.00 s" in problems[0].message


# --- cepstra in files -------------------------------------------------------


@pytest.mark.parametrize("order", [">", "<"])
def test_mfc_files_of_either_byte_order(tmp_path: Path, order: str) -> None:
    cepstra = np.arange(39, dtype=np.float32).reshape(3, 13)
    path = write_mfc(tmp_path / "a.mfc", cepstra, order)
    np.testing.assert_array_equal(read_feature_file(path, 13), cepstra)
    with pytest.raises(FormatError, match="39 values are no frames of 20"):
        read_feature_file(path, 20)


def test_arrays_of_cepstra_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.ones((5, 13)))
    assert read_feature_file(path, 13).dtype == np.float32
    np.save(path, np.ones((5, 12)))
    with pytest.raises(FormatError, match=r"shape \(5, 12\), must be \(n_frames, 13\)"):
        read_feature_file(path, 13)
    np.save(path, np.full((5, 13), np.nan))
    with pytest.raises(FormatError, match="frame 0 holds a value that is not finite"):
        read_feature_file(path, 13)
    np.save(path, np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(FormatError, match="an array of Python objects"):
        read_feature_file(path, 13)
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="not an array of numbers"):
        read_feature_file(path, 13)


# --- public corpora ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_utterances", "n_speakers"),
    [("an4", 948, 74), ("accented_english", 1260, 63), ("digits", 2000, 4)],
)
def test_public_corpora_are_read_whole(
    data_dir: Path, name: str, n_utterances: int, n_speakers: int
) -> None:
    corpus = Corpus.read(data_dir / name)
    assert (len(corpus), len(corpus.speakers)) == (n_utterances, n_speakers)
    some = corpus.select(corpus.speakers[:2])
    assert check(some, seconds=seconds_of()) == (some, ())


def test_an4_has_a_pronunciation_for_every_word(data_dir: Path) -> None:
    corpus = Corpus.read(data_dir / "an4")
    assert Lexicon.read(data_dir / "an4" / "etc" / "an4.dic").missing(corpus.words) == ()
