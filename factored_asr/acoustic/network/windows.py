"""Long sounds in windows: each frame is computed with some sound before it and some after it.

The attention of the encoder grows with the square of a window's length, and a stream cannot wait
for the end. So frames are computed in windows ``left | new | right``: of each only the new frames
are kept. Windows lie at fixed places, whatever the chunks in which the sound arrives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic.network.encoder import FIELD, HOP, Encoder
from factored_asr.acoustic.network.head import Head
from factored_asr.errors import OptionError

BEFORE = (FIELD - HOP) // 2
"""Zeros before a sound, so that frame i looks around samples ``HOP * i`` to ``HOP * (i + 1)``."""


@dataclass(frozen=True)
class Window:
    """The frames of one window."""

    left: int
    """Frames before the new ones, as far as there are any."""
    new: int
    """Frames that are kept, >= 1."""
    right: int
    """Frames after the new ones, as far as there are any."""

    def __post_init__(self) -> None:
        if self.left < 0 or self.new < 1 or self.right < 0:
            raise OptionError(f"{self}: left and right must not be negative, new at least 1")


class WindowedFrames:
    """Log probabilities of the frames of one sound, window by window; in memory is one window."""

    def __init__(self, encoder: Encoder, head: Head, window: Window):
        self._encoder, self._head, self._window = encoder, head, window
        self._parts = [np.zeros(BEFORE, np.float32)]
        self._held = BEFORE  # samples in _parts
        self._first = 0  # frame at which _parts begins
        self._next = 0  # first frame that is not given yet

    def accept(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the frames that these samples complete, in blocks of (n, n_phones) float32.

        Parameters
        ----------
        samples
            (n_samples,) float32, any number.
        """
        if len(samples):
            self._parts.append(samples)
            self._held += len(samples)
        while self._n_frames() >= self._next + self._window.new + self._window.right:
            yield self._computed(self._next + self._window.new)

    def finish(self) -> Iterator[np.ndarray]:
        """Yield the frames still missing, at least one of the whole sound.

        The last of them may lack half of the sound that they see: zeros stand for it.
        """
        n_samples = self._first * HOP + self._held - BEFORE
        n_frames = max(1, -(-n_samples // HOP))
        lacking = (n_frames - 1) * HOP + FIELD - (self._first * HOP + self._held)
        if lacking > 0:
            self._parts.append(np.zeros(lacking, np.float32))
            self._held += lacking
        if self._next < n_frames:
            yield self._computed(n_frames)

    def _n_frames(self) -> int:
        """Frames of which all samples are there."""
        return self._first + max(0, (self._held - FIELD) // HOP + 1)

    def _computed(self, end: int) -> np.ndarray:
        """The frames from the next one up to `end`, out of their window."""
        last = min(end + self._window.right, self._n_frames())
        joined = np.concatenate(self._parts) if len(self._parts) > 1 else self._parts[0]
        part = joined[: (last - 1 - self._first) * HOP + FIELD]
        log_probs = self._head(self._encoder(part))
        result = log_probs[self._next - self._first : end - self._first].copy()
        first = max(self._first, end - self._window.left)
        self._parts = [joined[(first - self._first) * HOP :].copy()]
        self._held = len(self._parts[0])
        self._first, self._next = first, end
        return result
