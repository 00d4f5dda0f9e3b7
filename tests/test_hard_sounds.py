"""Sounds as they come in life: each has its expected result, and none an accident."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from factored_asr.audio.reading import read_audio
from factored_asr.batch import BatchOptions, find_inputs
from factored_asr.batch.work import Outcome, transcribe_input
from factored_asr.recognizer.recognizer import Recognizer

ROOT = Path(__file__).parent.parent
GRAMMAR = ROOT / "lm" / "smart_home.yaml"
RATE = 16000
COMMANDS = ("kitchen_light_on.wav", "timer_ten_minutes.wav", "heating_twenty_one.wav")


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load("en-us", grammar=GRAMMAR)


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest, audio_dir: Path) -> np.ndarray:
    return read_audio(audio_dir / request.param, sample_rate=RATE)[0]


@pytest.fixture
def text(command: np.ndarray, recognizer: Recognizer) -> str:
    """What is heard of the command as it is."""
    said = recognizer.transcribe(command, sample_rate=RATE).text
    assert said
    return said


def hear(
    recognizer: Recognizer, folder: Path, sound: np.ndarray, rate: int = RATE,
    subtype: str = "PCM_16",
) -> Outcome:
    soundfile.write(folder / "sound.wav", sound, rate, subtype=subtype)
    [found] = find_inputs([folder / "sound.wav"])
    return transcribe_input(recognizer, found, BatchOptions())


def tune(seconds: float) -> np.ndarray:
    """Chords of plucked strings over a bass and a drum, 120 beats a minute."""
    generator = np.random.default_rng(7)
    music = np.zeros(round(seconds * RATE))
    for beat in range(int(seconds * 2)):
        steps = ((0, 4, 7), (5, 9, 12), (7, 11, 14))[beat % 3]
        chord = [220.0 * 2 ** (step / 12) for step in steps]
        at = np.arange(RATE) / RATE
        struck = sum(
            np.exp(-4 * at) * np.sin(2 * np.pi * tone * k * at) / k
            for tone in (*chord, 110.0) for k in range(1, 6)
        )
        struck += np.exp(-60 * at) * generator.standard_normal(RATE)
        part = music[beat * RATE // 2 : beat * RATE // 2 + RATE]
        part += 0.05 * struck[: len(part)]
    return music


@pytest.mark.parametrize("cut", [60.0, 0.0])
@pytest.mark.parametrize(
    "kind", ["digital silence", "hiss", "loud noise", "hum", "music", "clicks"]
)
def test_what_is_no_speech_gives_no_words(
    recognizer: Recognizer, tmp_path: Path, kind: str, cut: float
) -> None:
    from factored_asr.batch import CutOptions

    generator = np.random.default_rng(3)
    n = 8 * RATE
    noise = generator.standard_normal(n)
    sound = {
        "digital silence": np.zeros(n), "hiss": 1e-3 * noise, "loud noise": 0.2 * noise,
        "hum": 0.3 * np.sin(2 * np.pi * 50 * np.arange(n) / RATE), "music": tune(8),
        "clicks": np.where(np.arange(n) % 8000 == 0, 0.9, 0.0) + 1e-4 * noise,
    }[kind]
    soundfile.write(tmp_path / "sound.wav", sound, RATE)
    [found] = find_inputs([tmp_path / "sound.wav"])
    heard = transcribe_input(recognizer, found, BatchOptions(cut=CutOptions(longer_than=cut)))
    assert (heard.text, heard.error) == ("", "")
    assert heard.reason and heard.seconds == pytest.approx(8.0, abs=0.02)


@pytest.mark.parametrize("seconds", [0.0001, 0.001, 0.01, 0.03])
def test_a_sound_shorter_than_a_word_holds_none(
    recognizer: Recognizer, tmp_path: Path, command: np.ndarray, seconds: float
) -> None:
    middle = len(command) // 2
    heard = hear(recognizer, tmp_path, command[middle : middle + round(seconds * RATE)])
    assert (heard.text, heard.error, heard.reason) == ("", "", "no speech")


def test_an_offset_changes_nothing(
    recognizer: Recognizer, tmp_path: Path, command: np.ndarray, text: str
) -> None:
    assert hear(recognizer, tmp_path, 0.5 * command + 0.4).text == text


def test_clipped_words_are_still_understood(
    recognizer: Recognizer, tmp_path: Path, command: np.ndarray, text: str
) -> None:
    loud = np.clip(command * (4 / np.abs(command).max()), -1, 1)
    assert (np.abs(loud) == 1).mean() > 0.01
    assert hear(recognizer, tmp_path, loud).text == text


@pytest.mark.parametrize("level", [0.003, 0.03])
def test_quiet_words_are_heard(
    recognizer: Recognizer, tmp_path: Path, command: np.ndarray, text: str, level: float
) -> None:
    assert hear(recognizer, tmp_path, command * (level / np.abs(command).max())).text == text


@pytest.mark.parametrize("rate", [11025, 44100, 48000, 96000])
def test_any_rate_is_heard(
    recognizer: Recognizer, tmp_path: Path, command: np.ndarray, text: str, rate: int
) -> None:
    assert hear(recognizer, tmp_path, soxr.resample(command, RATE, rate), rate).text == text


def test_a_telephone_is_understood(recognizer: Recognizer, command: np.ndarray) -> None:
    """At 8 kHz an s is hardly there: a plural may be lost, the command is not."""
    narrow = soxr.resample(command, RATE, 8000)
    known, found = (
        recognizer.transcribe(sound, sample_rate=rate).interpretation
        for sound, rate in ((command, RATE), (narrow, 8000))
    )
    assert known and found
    assert (found.intent, found.slots) == (known.intent, known.slots)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_any_kind_of_sample_is_heard(
    recognizer: Recognizer, tmp_path: Path, command: np.ndarray, text: str, subtype: str
) -> None:
    assert hear(recognizer, tmp_path, command, subtype=subtype).text == text


@pytest.mark.parametrize("speaking", [(0, 1, 2, 3, 4), (2,)])
def test_five_channels_are_heard_as_one(
    recognizer: Recognizer, tmp_path: Path, command: np.ndarray, text: str,
    speaking: tuple[int, ...],
) -> None:
    """All microphones of an array, or one of them with the others switched off."""
    sound = np.zeros((len(command), 5), np.float32)
    sound[:, speaking] = command[:, None]
    assert hear(recognizer, tmp_path, sound).text == text


def day(folder: Path, audio_dir: Path, minutes: int) -> tuple[Path, int]:
    """A recording of a room in which the same command is given every 15 s; and how often it is."""
    command, _ = read_audio(audio_dir / "kitchen_light_on.wav", sample_rate=RATE)
    quarter = 1e-3 * np.random.default_rng(9).standard_normal(15 * RATE).astype(np.float32)
    quarter[5 * RATE : 5 * RATE + len(command)] += command
    path = folder / f"{minutes}.wav"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(minutes * 4):
            file.write(quarter)
    return path, minutes * 4


def heard_alone(path: Path, folder: Path) -> tuple[dict[str, Any], float]:
    """What a process of its own hears, and its greatest memory in MB."""
    command = [
        sys.executable, "-m", "factored_asr", "transcribe", str(path), "--model", "en-us",
        "--grammar", str(GRAMMAR), "--format", "json", "--output-dir", str(folder), "--quiet",
    ]
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0
    return json.loads((folder / f"{path.stem}.json").read_text()), used.ru_maxrss / 1024


@pytest.mark.parametrize("minutes", [15, pytest.param(180, marks=pytest.mark.long)])
def test_a_recording_of_hours_is_heard_in_little_memory(
    audio_dir: Path, tmp_path: Path, minutes: int
) -> None:
    short, _ = day(tmp_path, audio_dir, 3)
    long, n_commands = day(tmp_path, audio_dir, minutes)
    _, memory = heard_alone(short, tmp_path)
    said, more_memory = heard_alone(long, tmp_path)
    long.unlink()
    assert said["duration"] == minutes * 60
    texts = [part["text"] for part in said["parts"]]
    assert texts == ["turn on the kitchen light"] * n_commands
    starts = np.array([part["words"][0]["start"] for part in said["parts"]])
    np.testing.assert_allclose(np.diff(starts), 15.0, atol=0.03)
    assert more_memory < 1.05 * memory
