"""Stretches of speech: what lies between two pauses, with its frames and its sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic.network.encoder import HOP
from factored_asr.acoustic.network.session import is_speech
from factored_asr.detectors.detection import Detection
from factored_asr.detectors.frames import FrameBlock

LEAD = 12
"""Frames, 0.3 s, that a stretch keeps before its first frame of speech and after its last."""
LONGEST = 1250
"""Frames, 30 s, after which a stretch ends in any case."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """A stretch of speech."""

    first: int
    """Number of the first frame that is kept."""
    begin: int
    """Number of the first frame of speech."""
    end: int
    """Number of the frame after the last of speech."""
    log_probs: np.ndarray
    """(n_frames, n_pdfs): of the kept frames, some around the speech included."""
    samples: np.ndarray
    """(n_frames, 384): their sound."""

    @property
    def spoken(self) -> slice:
        """Which of the kept frames lie between the first and the last frame of speech."""
        return slice(self.begin - self.first, self.end - self.first)

    @property
    def sound_before(self) -> np.ndarray:
        """(384,): the sound under the frame before the speech; zeros where none is kept."""
        at = self.begin - self.first - 1
        return self.samples[at] if at >= 0 else np.zeros(HOP, np.float32)


class Stretches:
    """Cuts the frames of one sound into stretches of speech.

    Parameters
    ----------
    pause
        Frames without speech that end a stretch.
    shortest
        Frames of speech, the gaps within included, below which a stretch is left out.
    """

    def __init__(self, pause: int, shortest: int):
        self._pause, self._shortest = max(pause, 1), shortest
        self._begin = self._last = -1
        self._first = 0  # number of the first frame in _kept
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []

    def accept(self, block: FrameBlock) -> list[Stretch]:
        """Return the stretches that these frames end."""
        found = []
        speech = is_speech(block.log_probs)
        for at, spoken in enumerate(speech):
            now = block.first + at
            self._kept.append((block.log_probs[at], block.samples[at]))
            if spoken:
                self._begin = now if self._begin < 0 else self._begin
                self._last = now
            if self._begin < 0:
                self._forget(now + 1 - LEAD)
            elif now - self._last >= self._pause or now - self._begin >= LONGEST:
                found += self.finish()
        return found

    def finish(self) -> list[Stretch]:
        """End the stretch that is open; return it, if it is long enough."""
        begin, end, first = self._begin, self._last + 1, self._first
        self._begin = -1
        kept = self._kept[: end - first + LEAD]
        self._forget(max(end, first + len(self._kept) - LEAD))
        if begin < 0 or end - begin < self._shortest:
            return []
        log_probs, samples = (np.array(part) for part in zip(*kept, strict=True))
        return [Stretch(first, begin, end, log_probs, samples)]

    def _forget(self, number: int) -> None:
        """Drop the frames before this one."""
        n = max(0, min(number - self._first, len(self._kept)))
        del self._kept[:n]
        self._first += n


class StretchSession:
    """The stretches of speech of one sound, each reported as soon as it ends.

    Parameters
    ----------
    judged
        Makes a report of a stretch, given the seconds of its begin and its end.
    pause_seconds, shortest_seconds
        As `Stretches` takes them in frames.
    frame_seconds
        Seconds of a frame.
    """

    def __init__(
        self, judged: Callable[[Stretch, float, float], Detection], pause_seconds: float,
        shortest_seconds: float, frame_seconds: float,
    ):
        self._judged, self._seconds = judged, frame_seconds
        self._stretches = Stretches(round(pause_seconds / frame_seconds),
                                    round(shortest_seconds / frame_seconds))

    def accept(self, block: FrameBlock) -> list[Detection]:
        """Return the stretches that these frames end."""
        return [self._report(each) for each in self._stretches.accept(block)]

    def finish(self) -> list[Detection]:
        """Judge the stretch that is open, if it is long enough."""
        return [self._report(each) for each in self._stretches.finish()]

    def _report(self, stretch: Stretch) -> Detection:
        return self._judged(stretch, stretch.begin * self._seconds, stretch.end * self._seconds)
