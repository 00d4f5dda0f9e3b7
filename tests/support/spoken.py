"""Spoken dialogues: the sentences of tests/data/spoken/dialogues.yaml by synthetic voices.

Every turn is spoken by eight voices of flite and espeak-ng at two rates, with a little noise and
silence around it, and mixed with noise on demand. The same names give the same samples in every
run. Two of the sixteen conditions of each dialogue are part of the repository (written by
``python tests/data/spoken/synthesise.py``); the others need both programs.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import yaml

from factored_asr.audio.mixing import mix

FOLDER = Path(__file__).parent.parent / "data" / "spoken"
RATE = 16_000
VOICES = (
    "flite slt", "flite rms", "flite awb", "flite kal16", "espeak-ng en-us", "espeak-ng en-gb",
    "espeak-ng en-us+f3", "espeak-ng en-gb-scotland",
)  # fmt: skip
SPEEDS = ("normal", "slow")
CONDITIONS = tuple((voice, speed) for voice in VOICES for speed in SPEEDS)
_STRETCH = {"normal": 1.0, "slow": 1.25}  # flite's durations
_WORDS_A_MINUTE = {"normal": 160, "slow": 130}  # espeak-ng's
COMPRESSION = 0.93  # of Opus in libsndfile: some 30 kbit/s


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: what is said, what should be done, and what it tests (see dialogues.yaml)."""

    say: str
    kind: str
    do: tuple[str, ...]
    ask: bool


@dataclass(frozen=True, slots=True)
class Spoken:
    """A dialogue by one voice at one rate."""

    number: int
    name: str
    turns: tuple[Turn, ...]
    voice: str
    speed: str

    def file(self, turn: int, folder: Path = FOLDER) -> Path:
        """Where the sound of a turn, from 0, is kept."""
        voice = self.voice.split()[1].replace("+", "_")
        return folder / "sounds" / f"{self.number:02d}{chr(97 + turn)}_{voice}_{self.speed}.opus"

    def samples(self, turn: int, snr: float | None = None, folder: Path | None = None
                ) -> np.ndarray:  # fmt: skip
        """(n_samples,) float32 at 16 kHz of a turn; `snr`: in noise of so many decibels.

        `folder` is where sounds that are not part of the repository are kept.
        """
        path, text = self.file(turn), self.turns[turn].say
        if folder is not None and not path.exists():
            path = self.file(turn, folder)
        if title(path) == text:
            clean = soundfile.read(path, dtype="float32")[0]
        else:
            clean = synthesise(text, self.voice, self.speed)
            if folder is not None:
                write(path, clean, text)
                clean = soundfile.read(path, dtype="float32")[0]
        return clean if snr is None else mix(clean, noise(), snr, path.name)


def read_dialogues() -> list[tuple[str, tuple[Turn, ...]]]:
    """Return name and turns of each dialogue."""
    text = (FOLDER / "dialogues.yaml").read_text(encoding="utf-8")
    return [
        (group["name"], tuple(
            Turn(turn["say"], turn["kind"], tuple(turn["do"]), turn.get("ask") == "true")
            for turn in group["turns"]
        ))
        for group in yaml.load(text, yaml.BaseLoader)
    ]  # fmt: skip


def spoken_dialogues(conditions: str = "shipped") -> Iterator[Spoken]:
    """Yield the dialogues that are part of the repository, or ``"all"`` (needs the programs)."""
    for number, (name, turns) in enumerate(read_dialogues()):
        for i, (voice, speed) in enumerate(CONDITIONS):
            if conditions == "all" or i in shipped(number):
                yield Spoken(number, name, turns, voice, speed)


def shipped(number: int) -> tuple[int, int]:
    """The conditions in which a dialogue is part of the repository: two voices, two rates."""
    first = 5 * number % 16
    return first, (first + 7) % 16


def can_speak() -> bool:
    """True if both programs are installed."""
    return all(shutil.which(program) for program in ("flite", "espeak-ng"))


def synthesise(text: str, voice: str, speed: str) -> np.ndarray:
    """Speak a sentence: (n_samples,) float32, silence and a little noise around it."""
    import soxr

    program, name = voice.split()
    with tempfile.TemporaryDirectory() as folder:
        raw = f"{folder}/raw.wav"
        if program == "flite":
            stretch = f"duration_stretch={_STRETCH[speed]}"
            command = ["flite", "-voice", name, "--setf", stretch, "-t", text, "-o", raw]
        else:
            command = ["espeak-ng", "-v", name, "-s", str(_WORDS_A_MINUTE[speed]), "-w", raw, text]
        subprocess.run(command, check=True)
        samples, rate = soundfile.read(raw, dtype="float32")
    pause = np.zeros(int(0.3 * RATE))
    speech = 0.5 * np.concatenate([pause, soxr.resample(samples, rate, RATE), pause])
    seed = zlib.crc32(f"{text} {voice} {speed}".encode())
    room = np.random.default_rng(seed).normal(0.0, 10 ** (-55 / 20), len(speech))
    return (speech + room).astype(np.float32)


@lru_cache(maxsize=1)
def noise(seconds: float = 20.0) -> np.ndarray:
    """Pink noise that swells and falls, (n_samples,) float32: the same at every call."""
    rng = np.random.default_rng(7)
    n = int(seconds * RATE)
    spectrum = np.fft.rfft(rng.normal(size=n))
    hertz = np.fft.rfftfreq(n, 1 / RATE)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 50.0)), n)
    swell = 1.0 + 0.3 * np.sin(2 * np.pi * 0.7 * np.arange(n) / RATE)
    return (0.1 * pink / pink.std() * swell).astype(np.float32)


def write(path: Path, samples: np.ndarray, text: str) -> None:
    """Write a sound as Opus, with its text as the title."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", RATE, 1, "OPUS", format="OGG",
                             compression_level=COMPRESSION) as file:
        file.title = text
        file.write(samples)


def title(path: Path) -> str:
    """The text of a sound; empty if there is no such file."""
    if not path.exists():
        return ""
    with soundfile.SoundFile(path) as file:
        return file.title
