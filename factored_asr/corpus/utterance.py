"""What one speaker said in one stretch of sound, and where that lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import soundfile

from factored_asr.audio.reading import Samples, read_audio
from factored_asr.errors import FormatError, MissingError
from factored_asr.features.files import is_cepstra
from factored_asr.storage.reading import is_file

NO_PATH = Path()
"""Of an utterance whose text is there and whose sound no file names."""


@dataclass(frozen=True)
class Utterance:
    """What one speaker said in one stretch of sound."""

    id: str
    """Its name, unique in the corpus."""
    speaker: str
    """Who speaks; utterances of one speaker are normalised and adapted together."""
    words: tuple[str, ...]
    """What is said."""
    path: Path
    """The sound, or its cepstra (``.mfc``, ``.npy``, ``.ark:OFFSET``)."""
    start: float = 0.0
    """Where the stretch begins in the file, seconds."""
    end: float | None = None
    """Where it ends, seconds; None: with the file."""
    source: str = ""
    """``file:line`` that lists it, for messages."""

    @property
    def kind(self) -> Literal["audio", "cepstra"]:
        """What the file holds."""
        return "cepstra" if is_cepstra(self.path) else "audio"

    @property
    def text(self) -> str:
        """What is said, as one line."""
        return " ".join(self.words)


def read_samples(utterance: Utterance, sample_rate: int) -> Samples:
    """The sound of an utterance, and no more of its file than that, at a rate in Hz."""
    if utterance.start == 0 and utterance.end is None:
        return read_audio(utterance.path, sample_rate=sample_rate)[0]
    if not is_file(utterance.path):
        raise MissingError(f"{utterance.path}: there is no such file")
    try:
        with soundfile.SoundFile(str(utterance.path)) as file:
            rate, n_samples = file.samplerate, file.frames
            first, last = _stretch(utterance, rate, n_samples)
            file.seek(first)
            samples = file.read(last - first, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise FormatError(f"broken audio: {error}", utterance.path) from None
    if len(samples) < last - first:
        raise FormatError(f"truncated: ends {len(samples)} samples after {first}", utterance.path)
    return read_audio(samples, array_rate=rate, sample_rate=sample_rate)[0]


def frames_of(utterance: Utterance, frame_seconds: float, n_frames: int) -> slice:
    """The frames of an utterance among the n_frames of its file."""
    return slice(*_stretch(utterance, 1 / frame_seconds, n_frames))


def _stretch(utterance: Utterance, rate: float, length: int) -> tuple[int, int]:
    """First and last of an utterance's samples or frames; half a second beyond the end is cut."""
    first = round(utterance.start * rate)
    last = length if utterance.end is None else round(utterance.end * rate)
    if not 0 <= first < min(last, length) or last > length + 0.5 * rate:
        raise FormatError(
            f"{utterance.start} to {utterance.end} s is no stretch of its {length / rate:.2f} s",
            utterance.path,
        )
    return first, min(last, length)
