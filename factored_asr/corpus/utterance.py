"""One speaker's words in one stretch of sound, and where the sound lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from factored_asr.audio.reading import Part, Samples, describe, read_audio, read_blocks
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.features.files import is_feature_file
from factored_asr.storage.reading import is_file

NO_PATH = Path()
"""Path of an utterance that has a text and no sound."""
UNKNOWN = 1 << 62
"""Samples of a file whose header leaves the length open."""
LENGTH_RATE = 16_000  # Hz, at which sounds are read to measure them


@dataclass(frozen=True)
class Utterance:
    """One speaker's words in one stretch of sound.

    Examples
    --------
    >>> said = Utterance("1", "ann", ("turn", "it", "on"), Path("ann/1.wav"), start=2.0, end=3.5)
    >>> said.text, said.kind
    ('turn it on', 'audio')
    """

    id: str
    """Its name, unique in the corpus."""
    speaker: str
    """Who speaks; utterances of one speaker are normalised and adapted together."""
    words: tuple[str, ...]
    """The text."""
    path: Path
    """The sound, or ready-made features (``.mfc``, ``.npy``, ``.ark:OFFSET``)."""
    start: float = 0.0
    """Where the stretch begins in the file, seconds."""
    end: float | None = None
    """Where it ends, seconds; None: with the file."""
    source: str = ""
    """``file:line`` that lists it, for messages."""

    @property
    def kind(self) -> Literal["audio", "features"]:
        """What the file holds."""
        return "features" if is_feature_file(self.path) else "audio"

    @property
    def text(self) -> str:
        """The words as one line."""
        return " ".join(self.words)

    @property
    def where(self) -> str:
        """The place that lists it and its id, to begin messages with."""
        return f"{self.source}: {self.id}: " if self.source else f"{self.id}: "


def read_samples(utterance: Utterance, sample_rate: int) -> Samples:
    """Read the sound of an utterance, no more of its file than that, at a rate in Hz.

    Raises MissingError if there is no such file, FormatError for broken audio or a stretch outside
    the file.
    """
    if utterance.start == 0 and utterance.end is None:
        return read_audio(utterance.path, sample_rate=sample_rate)[0]
    if not is_file(utterance.path):
        raise MissingError(f"{utterance.path}: there is no such file")
    about = describe(utterance.path)
    first, last = _stretch(utterance, about.rate, about.n_samples or UNKNOWN)
    part = Part(None, first / about.rate, None if last == UNKNOWN else last / about.rate)
    samples = np.concatenate(list(read_blocks(utterance.path, part=part)))
    return read_audio(samples, array_rate=about.rate, sample_rate=sample_rate)[0]


def seconds_of(utterance: Utterance) -> float:
    """Read a sound and return its length in seconds; errors are those of `read_samples`."""
    if utterance.kind == "audio":
        return len(read_samples(utterance, LENGTH_RATE)) / LENGTH_RATE
    raise OptionError(f"{utterance.path} holds features, whose length their front end knows")


def frames_of(utterance: Utterance, frame_seconds: float, n_frames: int) -> slice:
    """Return the frames of an utterance among the n_frames of its file."""
    return slice(*_stretch(utterance, 1 / frame_seconds, n_frames))


def _stretch(utterance: Utterance, rate: float, length: int) -> tuple[int, int]:
    """Return the first and last sample or frame; up to half a second beyond the end is cut."""
    first = round(utterance.start * rate)
    last = length if utterance.end is None else round(utterance.end * rate)
    if not 0 <= first < min(last, length) or last > length + 0.5 * rate:
        raise FormatError(
            f"{utterance.start} to {utterance.end} s is no stretch of its {length / rate:.2f} s",
            utterance.path,
        )
    return first, min(last, length)
