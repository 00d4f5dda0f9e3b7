"""Sounds without words: what is heard with confidence is learnt from, the rest is left out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from factored_asr import Recognizer
from factored_asr.audio.mixing import mix
from factored_asr.audio.reading import read_audio
from factored_asr.cli.app import main
from factored_asr.errors import OptionError
from factored_asr.lattice import SecondPassOptions
from factored_asr.models.bundle import Bundle
from factored_asr.training.self_training import AROUND, self_transcribed

GRAMMAR = Path(__file__).parent.parent / "lm" / "smart_home.yaml"
SNR = 14.0
SOUNDS = ("kitchen_light_on.wav", "bedroom_light_off.wav", "blinds_open.wav")


@pytest.fixture(scope="module")
def recognizer(graph_cache: Path) -> Recognizer:
    sure = SecondPassOptions(confidences=True)
    return Recognizer.load("en-us", grammar=GRAMMAR, second_pass=sure)


@pytest.fixture
def folder(tmp_path: Path, audio_dir: Path) -> Path:
    """Three commands, one of them again in loud noise, silence, and a file that is no sound."""
    made = tmp_path / "sounds"
    made.mkdir()
    for name in SOUNDS:
        shutil.copy(audio_dir / name, made / name)
    speech, rate = read_audio(audio_dir / SOUNDS[0], sample_rate=16000)
    noise = np.random.default_rng(0).normal(size=2 * len(speech))
    soundfile.write(made / "noisy.wav", mix(speech, noise, SNR, "noisy"), rate)
    soundfile.write(made / "silent.wav", np.zeros(rate), rate)
    (made / "broken.wav").write_bytes(b"RIFF")
    return made


def test_what_is_heard_with_confidence_is_kept(
    recognizer: Recognizer, folder: Path, spoken: Mapping[str, str]
) -> None:
    left_out: dict[str, str] = {}
    paths = sorted(folder.iterdir())
    heard = self_transcribed(
        recognizer, paths, 0.9, lambda path, why: left_out.update({path.name: why})
    )
    assert {each.path.name: each.text for each in heard} == {name: spoken[name] for name in SOUNDS}
    assert set(left_out) == {"noisy.wav", "silent.wav", "broken.wav"}
    assert "no speech" in left_out["silent.wav"] and "confidence" in left_out["noisy.wav"]
    assert len(heard.speakers) == len(heard)  # the speakers are not known
    for each in heard:
        said = recognizer.transcribe(each.path)
        assert each.start == pytest.approx(max(0.0, said.words[0].start - AROUND))
        assert each.end == pytest.approx(min(said.duration, said.words[-1].end + AROUND))


def test_the_least_sure_word_decides(recognizer: Recognizer, folder: Path) -> None:
    words = recognizer.transcribe(folder / "noisy.wav").words
    least = min(word.confidence or 0.0 for word in words)
    assert self_transcribed(recognizer, [folder / "noisy.wav"], least)
    with pytest.raises(OptionError, match="no sound has a confidence of"):
        self_transcribed(recognizer, [folder / "noisy.wav"], least + 1e-6)


def test_wrong_settings_are_refused(recognizer: Recognizer, audio_dir: Path) -> None:
    with pytest.raises(OptionError, match="least_confidence is 1.5"):
        self_transcribed(recognizer, [audio_dir / SOUNDS[0]], 1.5)
    silent = Recognizer(recognizer.model, recognizer.graph)
    with pytest.raises(OptionError, match="gives no confidences"):
        self_transcribed(silent, [audio_dir / SOUNDS[0]])


def test_the_program_learns_from_a_folder_of_sounds(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], audio_dir: Path
) -> None:
    command = ["adapt", "--corpus", str(folder), "--untranscribed", "--grammar", str(GRAMMAR)]
    noisy = np.random.default_rng(0).normal(0, 0.1, 32_000)
    soundfile.write(tmp_path / "noise.wav", noisy, 16_000)
    noise = ["--noise", str(tmp_path / "noise.wav")]
    assert main([*command, *noise, "--method", "map", "--output", str(tmp_path / "mine")]) == 1
    told = capsys.readouterr()
    assert "adapted to 3 utterances of 3 speakers" in told.out
    assert "broken.wav is left out" in told.err and "noisy.wav is left out" in told.err
    mine = Bundle.find(tmp_path / "mine")
    assert mine.folder is not None and "recognised sounds" in mine.folder.about.origin
    again = Recognizer.load(tmp_path / "mine", grammar=GRAMMAR)
    assert again.transcribe(audio_dir / SOUNDS[1]).text == "turn off the bedroom light"
    table = tmp_path / "parts.tsv"
    row = f"light\t{audio_dir / SOUNDS[0]}\t0.1\t0.9\n"
    table.write_text(f"id\tpath\tstart\tend\n{row}", encoding="utf-8")
    command[2] = str(table)
    assert main([*command, "--output", str(tmp_path / "other")]) == 2
    assert "is a part of a file" in capsys.readouterr().err
