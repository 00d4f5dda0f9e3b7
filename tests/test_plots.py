"""Pictures: that they hold what they should, where it should be."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from factored_asr import Transcript, Word
from factored_asr.cli import main
from factored_asr.detectors import Detection
from factored_asr.errors import MissingError, OptionError
from factored_asr.graph import ARC, Graph
from factored_asr.lattice import Lattice
from factored_asr.lattice.files import read_slf_text
from factored_asr.plots import (
    plot_graph,
    plot_lattice,
    plot_reliability,
    plot_timeline,
    plot_utterance,
    save,
)
from factored_asr.results.alignment import AlignedWord, Alignment

pytest.importorskip("matplotlib")

WORD = Word("yes", 0.2, 0.8, phones=("Y", "EH", "S"), phone_ends=(0.3, 0.6, 0.8))
SOUND = np.sin(np.arange(16000) / 20).astype(np.float32)


def test_words_and_phones_stand_at_their_times() -> None:
    ax = plot_utterance(SOUND, Transcript((WORD,), 1.0), sample_rate=16000)
    where = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert where == pytest.approx({"yes": 0.5, "Y": 0.25, "EH": 0.45, "S": 0.7})
    assert ax.get_xlim() == (0, 1)


def test_the_spectrogram_is_dark_where_the_tone_is() -> None:
    """A tone of 16000 / (40 pi) = 127 Hz, and one of 4 kHz in the second half."""
    sound = SOUND.copy()
    sound[8000:] += np.sin(np.arange(8000) * np.pi / 2).astype(np.float32)
    ax = plot_utterance(sound, Transcript(), sample_rate=16000)
    [image] = ax.images
    decibel = np.asarray(image.get_array())
    middle, quarter = len(decibel) // 2, decibel.shape[1] // 4
    assert decibel[middle, 3 * quarter] > -6 > -60 > decibel[middle, quarter]
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == ["0", "2", "4", "6", "8"]


def test_words_that_do_not_fit_are_red() -> None:
    fits, lies = AlignedWord(WORD, 0.0), AlignedWord(Word("no", 0.8, 0.9), -9.0, False)
    ax = plot_utterance(SOUND, Alignment((fits, lies), duration=1.0), sample_rate=16000)
    colours = {text.get_text(): text.get_color() for text in ax.texts}
    assert colours["yes"] == "black" != colours["no"]


def test_detections_stand_in_lanes_at_their_times() -> None:
    found = [Detection("event", "rain", 0.0, 1.0, 0.5), Detection("wake", "alexa", 0.2, 0.6, 1.0)]
    ax = plot_timeline(SOUND, found, sample_rate=16000)
    where = {text.get_text(): text.get_position() for text in ax.texts}
    assert where["rain 0.50"][0] == pytest.approx(0.5)
    assert where["alexa 1.00"][0] == pytest.approx(0.4)
    assert where["alexa 1.00"][1] > where["rain 0.50"][1]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["wake", "event"]


def test_a_timeline_of_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path, picture = "examples/audio/music_stop.wav", tmp_path / "found.svg"
    assert main(["detect", "--whisper", "--plot", str(picture), path]) == 0
    assert "voiced" in capsys.readouterr().out and "<svg" in picture.read_text(encoding="utf-8")
    assert main(["detect", "--whisper", "--plot", str(picture), path, path]) == 2
    assert "--plot draws one sound" in capsys.readouterr().err


def test_it_draws_where_it_is_told() -> None:
    from matplotlib.figure import Figure

    upper, lower = Figure().subplots(2)
    assert plot_utterance(SOUND, Transcript(), sample_rate=16000, ax=lower) is lower
    assert plot_reliability([(0.5, True)], ax=upper) is upper


def test_reliability_shows_the_share_right_of_each_bin() -> None:
    pairs = [(0.95, True)] * 9 + [(0.95, False)] + [(0.25, False)] * 3 + [(0.25, True), (1.0, True)]
    ax = plot_reliability(pairs)
    points = ax.collections[-1].get_offsets()
    assert np.asarray(points) == pytest.approx(
        np.array([[0.25, 0.25], [10.5 / 11, 10 / 11]])
    )


@pytest.mark.parametrize(
    ("pairs", "law"),
    [([], "at least one pair"), ([(1.5, True)], "0 to 1"),
     ([(float("nan"), True)], "0 to 1")],
)  # fmt: skip
def test_what_is_no_probability_is_refused(pairs: list[tuple[float, bool]], law: str) -> None:
    with pytest.raises(OptionError, match=law):
        plot_reliability(pairs)


def test_pictures_are_written_in_the_format_of_their_name(tmp_path: Path) -> None:
    ax = plot_reliability([(0.5, True)])
    save(ax, tmp_path / "a.png")
    save(ax, tmp_path / "a.svg")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    with pytest.raises(OptionError, match="a.doc: cannot be written"):
        save(ax, tmp_path / "a.doc")
    with pytest.raises(OptionError, match="absent.*cannot be written"):
        save(ax, tmp_path / "absent" / "a.png")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingError, match=r"factored-asr\[plot\]"):
        plot_reliability([(0.5, True)])


def test_the_command_line_draws_what_was_heard_and_what_was_given(
    audio_dir: Path, tmp_path: Path
) -> None:
    sound, picture = str(audio_dir / "music_stop.wav"), tmp_path / "a.png"
    grammar = str(audio_dir.parent.parent / "lm" / "smart_home.yaml")
    assert main(["plot", "--quiet", "--grammar", grammar, sound, "-o", str(picture)]) == 0
    heard = picture.read_bytes()
    assert main(["plot", sound, "stop the music", "-o", str(picture)]) == 0
    assert heard.startswith(b"\x89PNG") and picture.read_bytes().startswith(b"\x89PNG")


def test_a_lattice_shows_its_words_as_high_as_they_are_probable(tmp_path: Path) -> None:
    """Two segmentations of one word make one bar."""
    text = "N=3 L=4 acscale=1\nI=0 t=0\nI=1 t=0.2\nI=2 t=0.5\n"
    text += "J=0 S=0 E=1 W=yes a=-1 l=0\nJ=1 S=0 E=2 W=yes a=-1 l=0\n"
    text += "J=2 S=1 E=2 W=!NULL a=0 l=0\nJ=3 S=0 E=2 W=no a=-1 l=0\n"
    ax = plot_lattice(read_slf_text(text))
    bars = {label.get_text(): line.get_ydata()[0]
            for label, line in zip(ax.texts, ax.lines, strict=True)}
    assert bars == pytest.approx({"yes": 2 / 3, "no": 1 / 3})
    assert ax.get_xlabel() == "time (s)"
    save(ax, tmp_path / "lattice.png")


def test_a_lattice_without_a_path_is_refused() -> None:
    with pytest.raises(OptionError, match="without a path"):
        plot_lattice(Lattice(0))


def test_the_command_line_draws_a_lattice(audio_dir: Path, tmp_path: Path) -> None:
    sound, picture = str(audio_dir / "music_stop.wav"), str(tmp_path / "a.png")
    grammar = str(audio_dir.parent.parent / "lm" / "smart_home.yaml")
    asked = ["plot", "--quiet", "--grammar", grammar, "--lattice", "-o", picture]
    assert main([*asked, sound]) == 0
    assert Path(picture).read_bytes().startswith(b"\x89PNG")
    assert main([*asked, sound, "stop the music"]) == 2
    assert main([*asked, str(audio_dir / "silence.wav")]) == 1


def test_a_cyclic_graph_is_laid_out_from_its_start() -> None:
    source = np.array([0, 1, 1, 2, 0])
    arcs = np.array([(1, 0, 0, 1), (2, 0, 0, 2), (3, 0, 0.5, 1), (4, 1, 0, 0), (0, 0, 0, 2)], ARC)
    graph = Graph.from_arcs(source, arcs, np.array([np.inf, np.inf, 0], np.float32))
    ax = plot_graph(graph.with_words(["<eps>", "go"]))
    texts = {text.get_text(): text.get_position() for text in ax.texts}
    assert texts["0"][0] < texts["1"][0] < texts["2"][0]
    assert {"1", "2", "3/0.5", "4:go", "ε"} <= set(texts)


def test_a_graph_too_large_to_be_a_picture_is_refused() -> None:
    arcs = np.zeros(301, ARC)
    arcs["label"] = arcs["target"] = np.arange(1, 302)
    graph = Graph.from_arcs(np.arange(301), arcs, np.zeros(302, np.float32))
    with pytest.raises(OptionError, match="301 arcs is no picture"):
        plot_graph(graph)
