"""Lattices come back from Kaldi's and HTK's text as they went."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import naive_paths as naive
import numpy as np
import pytest
import soundfile
from support.files import KALDI_LATTICE, SLF_LATTICE

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.lattice.files import (
    dot_text,
    read_kaldi,
    read_slf,
    read_slf_text,
    slf_text,
    write_kaldi,
    write_slf,
)
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.nbest import nbest

"""Two utterances as ``lattice-copy ark:- ark,t:-`` prints them; the first ends in silence."""

def strings(lattice: Lattice) -> list[tuple[str, ...]]:
    return [path.words for path in nbest(lattice, 1000)]


def costs(lattice: Lattice) -> list[float]:
    return [path.cost for path in nbest(lattice, 1000)]


@pytest.mark.parametrize("seed", range(6))
def test_kaldi_round_trip(tmp_path: Path, seed: int) -> None:
    lattice, file = naive.random_lattice(seed), tmp_path / "lattices.txt"
    write_kaldi({"one": lattice, "two": naive.random_lattice(seed + 50)}, file)
    back = read_kaldi(file, acoustic_scale=0.125, words=naive.WORDS, frame_seconds=0.01)
    assert list(back) == ["one", "two"]
    found = back["one"]
    for name in ("node_frame", "arc_source", "arc_target", "arc_word"):
        np.testing.assert_array_equal(getattr(found, name), getattr(lattice, name))
    for name in ("arc_acoustic", "arc_graph", "final"):
        np.testing.assert_allclose(getattr(found, name), getattr(lattice, name), rtol=1e-12)
    assert (found.n_frames, found.acoustic_scale) == (lattice.n_frames, 0.125)


def test_a_file_of_kaldi(tmp_path: Path) -> None:
    file = tmp_path / "lat.txt"
    file.write_text(KALDI_LATTICE, encoding="utf-8")
    lattice = read_kaldi(file, acoustic_scale=0.1)["utt-1"]
    assert lattice.words == ("<eps>", "hello", "yellow", "world")
    assert lattice.node_frame.tolist() == [0, 4, 5, 7, 9] and lattice.n_frames == 9
    assert strings(lattice) == [("hello", "world"), ("yellow", "world")]
    ends = 0.5 + 0.1
    assert costs(lattice) == pytest.approx([4.5 + 10.025 + 1.5 + 5 + ends, 5.5 + 9 + 8.5 + ends])
    assert read_kaldi(file, words=["<eps>", "x", "y", "hello", "yellow", "world"])[
        "utt-2"].arc_word.tolist() == [3]


@pytest.mark.parametrize(("text", "message"), [
    ("u\n0 1 a 1,2\n", "2: a weight is graph,acoustic,string, got '1,2'"),
    ("u\n0 1 a x,2,1\n", "2: expected a finite number, got 'x'"),
    ("u\nzero 1 a 1,2,1\n", "2: a node is a number, got 'zero'"),
    ("u\n0 1 a 1,2,1\n1 2 b 1,2,1\n2 1 c 1,2,1\n", "1: the arcs of the lattice run in a circle"),
    ("u\n0 1 a 1,2,1\n0 1 b 1,2,1_1\n1 0,0,\n", "3: paths to one node differ in their frames"),
    ("u\n0 1 a b c d\n", "2: an arc has at most 4 fields"),
    ("0 1 a 1,2,1\n", "1: expected the name of an utterance"),
    ("u\n0 1 a 1,2,1\n1\n\nu\n0\n", "5: utterance 'u' comes twice"),
])
def test_errors_in_kaldi_text_name_file_and_line(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "bad.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=r"bad\.txt:" + message):
        read_kaldi(file)


def test_a_word_outside_the_table_is_named(tmp_path: Path) -> None:
    file = tmp_path / "lat.txt"
    file.write_text(KALDI_LATTICE, encoding="utf-8")
    with pytest.raises(FormatError, match="lat.txt:2: word 'hello' is not in the table"):
        read_kaldi(file, words=["<eps>", "world"])


@pytest.mark.parametrize("seed", range(6))
def test_slf_round_trip(tmp_path: Path, seed: int) -> None:
    lattice, file = naive.random_lattice(seed), tmp_path / "one.slf"
    write_slf(lattice, file, utterance="one")
    found = read_slf(file, words=naive.WORDS)
    n = lattice.n_arcs  # after which come the links that hold final costs
    assert found.node_frame[:-1].tolist() == lattice.node_frame.tolist()
    for name in ("arc_source", "arc_target", "arc_word"):
        np.testing.assert_array_equal(getattr(found, name)[:n], getattr(lattice, name))
    for name in ("arc_acoustic", "arc_graph", "arc_lm"):
        np.testing.assert_allclose(getattr(found, name)[:n], getattr(lattice, name), atol=1e-12)
    assert strings(found) == strings(lattice)
    assert costs(found) == pytest.approx(costs(lattice))
    assert (found.acoustic_scale, found.n_frames) == (0.125, lattice.n_frames)


def test_a_file_of_htk() -> None:
    lattice = read_slf_text(SLF_LATTICE)
    assert lattice.node_frame.tolist() == [0, 20, 25, 50]
    assert strings(lattice) == [("c",), ("a", "b")]
    assert costs(lattice) == pytest.approx(
        [2 + 24 + 2 * 3 + 0.7 + 0.5, 2 + 5 + 20 + 2 * (1 + 2) + 2 * 0.5]
    )
    assert sorted(lattice.arc_lm) == [0, 2, 4, 6]


def test_words_may_stand_on_nodes() -> None:
    text = "N=3 L=2\nI=0 t=0 W=!SENT_START\nI=1 t=.1 W=yes\nI=2 t=.2 W=!SENT_END\n"
    assert strings(read_slf_text(text + "J=0 S=0 E=1\nJ=1 S=1 E=2\n")) == [("yes",)]


def test_logarithms_of_another_base() -> None:
    text = "base=10\nN=2 L=1\nI=0 t=0\nI=1 t=1\nJ=0 S=0 E=1 W=a a=-2\n"
    assert costs(read_slf_text(text)) == pytest.approx([2 * np.log(10)])


@pytest.mark.parametrize("word", ['say"', "o'clock", "\\back", "a=b", "'quoted'"])
def test_odd_words_survive(word: str) -> None:
    lattice = read_slf_text("N=2 L=1\nI=0 t=0\nI=1 t=1\nJ=0 S=0 E=1 W=x\n")
    odd = dataclasses.replace(lattice, words=("<eps>", word))
    assert strings(read_slf_text(slf_text(odd))) == [(word,)]


@pytest.mark.parametrize(("text", "message"), [
    ("N=1 L=0\nI=0 t=x\n", "2: expected a finite number, got 'x'"),
    ("N=2 L=0\nI=0 t=0\n", " the header says N=2, but 1 are there"),
    ("N=1 L=1\nI=0 t=0\nJ=0 S=0 E=7\n", "3: there is no node 7"),
    ("N=1 L=1\nI=0 t=0\nJ=0 S=0\n", "3: a link needs E="),
    ("N=1 L=0\nI=0 t=0 word\n", "2: fields are key=value"),
    ("N=2 L=0\nI=0 t=0\nI=0 t=0\n", "3: node 0 comes twice"),
    ("N=2 L=1\nI=0 t=1\nI=1 t=0\nJ=0 S=0 E=1\n", "4: an arc leads back in time"),
    ("base=0\nN=1 L=0\nI=0 t=0\n", " the base of logarithms cannot be 0"),
    ("N=2 L=2\nI=0 t=0\nI=1 t=0\nJ=0 S=0 E=1\nJ=1 S=1 E=0\n", " the lattice has no"),
    ("", " the header says N=None|the lattice has no"),
])
def test_errors_in_slf_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.slf"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=r"bad\.slf:" + message):
        read_slf(file)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for read in (read_kaldi, read_slf):
        with pytest.raises(MissingError, match="none: there is no such file"):
            read(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\x80\xfe")
    with pytest.raises(FormatError, match="UTF-8"):
        read_slf(tmp_path / "bytes")


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="acoustic scale must be above 0"):
        read_kaldi(tmp_path / "x", acoustic_scale=0)
    with pytest.raises(OptionError, match="frame_seconds must be above 0"):
        read_slf_text(SLF_LATTICE, frame_seconds=0)
    with pytest.raises(OptionError, match="one word, got 'a b'"):
        write_kaldi({"a b": naive.random_lattice(0)}, tmp_path / "x")


def test_a_drawing_names_every_word_once_per_arc() -> None:
    lattice = naive.random_lattice(0)
    text = dot_text(lattice)
    assert text.count("->") == lattice.n_arcs and text.count("doublecircle") == 1
    assert dot_text(lattice, posteriors=np.full(lattice.n_arcs, 0.5)).count("penwidth=1.80") > 0


def test_a_lattice_that_pocketsphinx_wrote(tmp_path: Path, audio_dir: Path) -> None:
    """A peer's file in HTK's format is read, and what the peer understood is in it."""
    pocketsphinx = pytest.importorskip("pocketsphinx")
    decoder = pocketsphinx.Decoder(samprate=16000, loglevel="FATAL")
    samples, _ = soundfile.read(audio_dir / "all_lights_off.wav", dtype="int16")
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    file = tmp_path / "peer.slf"
    decoder.get_lattice().write_htk(str(file))
    lattice = read_slf(file)
    text = file.read_text(encoding="utf-8")
    assert f"N={lattice.n_nodes}\tL={lattice.n_arcs}" in text
    fronts = {0}
    for word in (*decoder.hyp().hypstr.split(), None):
        fronts = _reach(lattice, fronts, 0, closure=True)
        if word is not None:
            fronts = _reach(lattice, fronts, lattice.words.index(word))
    assert any(np.isfinite(lattice.final[node]) for node in fronts)


def _reach(lattice: Lattice, nodes: set[int], word: int, closure: bool = False) -> set[int]:
    found = set(nodes) if closure else set()
    for s, t, w in zip(lattice.arc_source.tolist(), lattice.arc_target.tolist(),
                       lattice.arc_word.tolist(), strict=True):
        if w == word and s in (found if closure else nodes):
            found.add(t)
    return found
