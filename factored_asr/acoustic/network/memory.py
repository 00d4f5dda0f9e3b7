"""What the encoder keeps in mind of a sound that it computes piece by piece."""

from __future__ import annotations

import numpy as np

WIDTH, N_BLOCKS = 288, 6
"""Of the encoder: values of a frame, and blocks."""
STRIDES = (64, 3, 2)
"""Steps of its three convolutions, in values of their input."""
FIRST_ROWS = 13
"""Outputs of the first convolution that one frame sees; each further frame sees six more."""


class Memory:
    """What frames look at in the frames before them: keys and values of each block, and levels.

    They stay as they were computed, with the sound that was there then. So frames far back cost
    their part of the attention and nothing else.
    """

    def __init__(self) -> None:
        self._blocks = [np.zeros((0, 2 * WIDTH), np.float32)] * N_BLOCKS
        self._sums = np.zeros((0, 2))

    @property
    def n_frames(self) -> int:
        """Frames in mind."""
        return len(self._sums)

    def with_block(self, number: int, x: np.ndarray) -> np.ndarray:
        """Add new frames' keys and values, the last two thirds of `x`; return those of all."""
        self._blocks[number] = np.concatenate([self._blocks[number], x[:, WIDTH:]])
        return self._blocks[number]

    def moments(self, x: np.ndarray) -> tuple[np.float32, np.float32]:
        """Add outputs of the first convolution; return mean and variance of all in mind."""
        n_rows = STRIDES[1] * STRIDES[2]  # of a frame alone
        n_frames = (len(x) - FIRST_ROWS) // n_rows + 1
        own, rest = x[: n_frames * n_rows].reshape(n_frames, -1), x[n_frames * n_rows :]
        sums = [(part.sum(axis=1, dtype=np.float64), (part * part).sum(axis=1, dtype=np.float64))
                for part in (own, rest)]
        before = self.n_frames
        self._sums = np.concatenate([self._sums, np.column_stack(sums[0])])
        total = self._sums.sum(axis=0) + [part.sum() for part in sums[1]]
        mean, square = total / (before * n_rows * WIDTH + x.size)
        return np.float32(mean), np.float32(square - mean * mean)

    def copy(self) -> Memory:
        """Return a memory to which pieces may be added that this one is not to keep."""
        made = Memory()
        made._blocks, made._sums = [*self._blocks], self._sums  # nothing is written into these
        return made

    def forget(self, n_last: int, n_most: int) -> None:
        """Drop the last `n_last` frames, and of the others all but the last `n_most`."""
        end = self.n_frames - n_last
        kept = slice(max(0, end - n_most), end)
        self._sums = self._sums[kept].copy()
        self._blocks = [each[kept].copy() for each in self._blocks]
