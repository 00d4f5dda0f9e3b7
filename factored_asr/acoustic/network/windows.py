"""Long sounds in pieces: each frame is computed with some sound before it and some after it.

The attention of the encoder grows with the square of a sound's length, and a stream cannot wait for
the end. So frames are computed piece by piece: the new ones and some after them, which are computed
again in the next piece, with the frames before in mind. Pieces lie at fixed places, whatever the
chunks in which the sound arrives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from factored_asr.acoustic.network.encoder import FIELD, HOP, Encoder
from factored_asr.acoustic.network.memory import Memory
from factored_asr.errors import OptionError

BEFORE = (FIELD - HOP) // 2
"""Zeros before a sound, so that frame i looks around samples ``HOP * i`` to ``HOP * (i + 1)``."""


class AnyHead(Protocol):
    """What takes the encoder's frames: a `Head`, or something that gives more of them."""

    @property
    def context(self) -> int:
        """Frames before a frame that its outputs depend on."""

    def __call__(self, hidden: Sequence[np.ndarray]) -> np.ndarray:
        """Return one row for each frame of h[0] to h[7]."""


@dataclass(frozen=True)
class Window:
    """How sound is cut into pieces."""

    left: int
    """Frames before a piece that are kept in mind, >= 0; more cost time and memory."""
    new: int
    """Frames that a piece gives, >= 1; fewer: earlier results for more work."""
    right: int
    """Frames after them, >= 0; more: better scores, later and for more work."""
    first: int = 0
    """Frames that the first piece waits for at least: a short one misjudges the level."""

    def __post_init__(self) -> None:
        if min(self.left, self.right, self.first) < 0 or self.new < 1:
            raise OptionError(f"{self}: new must be at least 1, the others not negative")


class WindowedFrames:
    """Log probabilities of the frames of one sound, piece by piece; in memory is one piece."""

    def __init__(self, encoder: Encoder, head: AnyHead, window: Window):
        self._encoder, self._head, self._window = encoder, head, window
        self._memory = Memory()
        self._before: list[np.ndarray] = []  # the last frames of each block, for the head
        self._parts = [np.zeros(BEFORE, np.float32)]
        self._held = BEFORE  # samples in _parts, from the next frame on
        self._next = 0  # first frame that is not given yet

    @property
    def begun(self) -> bool:
        """True once there were samples."""
        return bool(self._next) or self._held > BEFORE

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
        window = self._window
        while True:
            wanted = window.new + window.right
            if not self._next:
                wanted = max(wanted, window.first)
            if self._ready() < wanted:
                return
            yield self._computed(wanted - window.right, wanted)

    def early(self) -> np.ndarray | None:
        """Return the frames not given yet of which all samples are there, (n, n_phones) float32.

        They lack the sound after them: those given later differ. None where there are no such.
        """
        n_ready = self._ready()
        if not n_ready:
            return None
        hidden, n_before = self._hidden(self._joined(), n_ready, self._memory.copy())
        return self._head(hidden)[n_before:]

    def finish(self) -> Iterator[np.ndarray]:
        """Yield the frames still missing, at least one of the whole sound.

        The last of them may lack half of the sound that they see: zeros stand for it.
        """
        n_samples = self._next * HOP + self._held - BEFORE
        missing = max(1, -(-n_samples // HOP)) - self._next
        lacking = (missing - 1) * HOP + FIELD - self._held
        if lacking > 0:
            self._parts.append(np.zeros(lacking, np.float32))
            self._held += lacking
        if missing > 0:
            yield self._computed(missing, missing)
        self._memory, self._before, self._parts = Memory(), [], []  # nothing follows

    def _ready(self) -> int:
        """Frames not given yet of which all samples are there."""
        return max(0, (self._held - FIELD) // HOP + 1)

    def _computed(self, n_new: int, n_frames: int) -> np.ndarray:
        """The next `n_new` frames, computed together with those after them, `n_frames` in all."""
        joined = self._joined()
        hidden, n_before = self._hidden(joined, n_frames, self._memory)
        self._memory.forget(n_frames - n_new, self._window.left)
        log_probs = self._head(hidden)[n_before : n_before + n_new].copy()
        first = max(0, n_before + n_new - self._head.context)
        self._before = [each[first : n_before + n_new].copy() for each in hidden]
        self._parts = [joined[n_new * HOP :].copy()]
        self._held = len(self._parts[0])
        self._next += n_new
        return log_probs

    def _joined(self) -> np.ndarray:
        """The samples from the next frame on."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def _hidden(
        self, samples: np.ndarray, n_frames: int, memory: Memory
    ) -> tuple[list[np.ndarray], int]:
        """The encoder's frames of some samples behind those kept for the head, and how many."""
        hidden = self._encoder(samples[: (n_frames - 1) * HOP + FIELD], memory)
        if not self._before:
            return hidden, 0
        joined = [np.concatenate(pair) for pair in zip(self._before, hidden, strict=True)]
        return joined, len(self._before[0])
