"""What detectors find, and what a detector is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.acoustic.threads import blas_threads
from factored_asr.audio.reading import Source, check_rate, read_blocks
from factored_asr.detectors.frames import FrameBlock, FrameStream

BLOCK_SECONDS = 10.0  # of a file, read at once


@dataclass(frozen=True)
class Detection:
    """Something that a detector found in a sound.

    Examples
    --------
    >>> print(Detection("wake", "alexa", 1.2, 1.75, 0.93))
      1.20   1.75  wake      alexa  0.93
    """

    kind: str
    """``wake``, ``event``, ``speech`` or ``directed``."""
    name: str
    """What was found: the keyword, the class of the event, how speech is voiced."""
    start: float
    """Seconds from the start of the sound."""
    end: float
    """Seconds."""
    score: float
    """Probability that the detection is right, 0 to 1."""
    details: tuple[tuple[str, float], ...] = field(default=(), compare=False)
    """What the score was made of: names and values."""

    def __str__(self) -> str:
        return f"{self.start:6.2f} {self.end:6.2f}  {self.kind:<8}  {self.name}  {self.score:.2f}"

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON: kind, name, start, end, score, and details if any."""
        values: dict[str, object] = {
            "kind": self.kind, "name": self.name, "start": round(self.start, 3),
            "end": round(self.end, 3), "score": round(self.score, 4),
        }
        if self.details:
            values["details"] = {name: round(value, 4) for name, value in self.details}
        return values


class DetectorSession(Protocol):
    """One detector on one sound; it belongs to one thread at a time.

    Examples
    --------
    >>> class Nothing:
    ...     def accept(self, block):
    ...         return ()
    ...     def finish(self):
    ...         return ()
    >>> silent: DetectorSession = Nothing()
    >>> silent.finish()
    ()
    """

    def accept(self, block: FrameBlock) -> Sequence[Detection]:
        """Return what is found by these frames; none of it changes afterwards."""

    def finish(self) -> Sequence[Detection]:
        """End the sound; return what is still to be told."""


class Detector(Protocol):
    """Something that listens; any number of sounds may share it.

    Examples
    --------
    >>> from factored_asr.detectors import EventDetector
    >>> detector: Detector = EventDetector()
    """

    def session(self, model: NetworkModel) -> DetectorSession:
        """Begin a sound, whose frames the model computes."""


class Listener:
    """Several detectors on one sound as it comes; the frames are computed once for all.

    Parameters
    ----------
    model
        The network that computes the frames.
    detectors
        What listens.

    Examples
    --------
    >>> from factored_asr.models.bundle import Bundle
    >>> listener = Listener(Bundle.find("en-us-network").acoustic_model(), [])
    >>> listener.accept(np.zeros(1600, np.float32)), listener.finish()
    ([], [])
    """

    def __init__(self, model: NetworkModel, detectors: Iterable[Detector]):
        self.frames = FrameStream(model)
        """The stream of frames that all share."""
        self._sessions = [each.session(model) for each in detectors]

    def accept(self, samples: np.ndarray) -> list[Detection]:
        """Take samples as `FrameStream.accept`; return what they make known, in order of time."""
        return [each for _, found in self.blocks(samples) for each in found]

    def finish(self) -> list[Detection]:
        """End the sound; return what is still to be told."""
        return [each for _, found in self.rest() for each in found] + self.left()

    def blocks(self, samples: np.ndarray) -> list[tuple[FrameBlock, list[Detection]]]:
        """Like `accept`, with the block of frames that made each thing known."""
        with blas_threads(1):
            return self._heard(self.frames.accept(samples))

    def rest(self) -> list[tuple[FrameBlock, list[Detection]]]:
        """End the sound; return its last blocks as `blocks` does. `left` has what then remains."""
        with blas_threads(1):
            return self._heard(self.frames.finish())

    def left(self) -> list[Detection]:
        """Return what no block made known, at the end of the sound."""
        return sorted_by_time(d for each in self._sessions for d in each.finish())

    def _heard(self, blocks: Iterable[FrameBlock]) -> list[tuple[FrameBlock, list[Detection]]]:
        return [(block, sorted_by_time(d for each in self._sessions for d in each.accept(block)))
                for block in blocks]


def sorted_by_time(detections: Iterable[Detection]) -> list[Detection]:
    """Return detections in the order of their starts."""
    return sorted(detections, key=lambda each: (each.start, each.end, each.kind, each.name))


def detect(
    model: NetworkModel, detectors: Iterable[Detector], source: Source,
    *, sample_rate: int | None = None,
) -> Iterator[Detection]:
    """Yield what detectors find in a whole sound, as a stream of it would.

    Parameters and errors are those of `Recognizer.transcribe`.

    Examples
    --------
    >>> from factored_asr.detectors import KeywordDetector
    >>> from factored_asr.models.bundle import Bundle
    >>> model = Bundle.find("en-us-network").acoustic_model()
    >>> music = KeywordDetector({"music": ["M Y UW Z IH K"]})
    >>> [found.name for found in detect(model, [music], "examples/audio/music_stop.wav")]
    ['music']
    """
    check_rate(source, sample_rate)
    listener = Listener(model, detectors)
    for block in read_blocks(source, sample_rate=model.sample_rate, block_seconds=BLOCK_SECONDS,
                             array_rate=sample_rate):
        yield from listener.accept(block)
    yield from listener.finish()
