"""The rows of a whole sound before a network's last layer, from which any scores are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from factored_asr.errors import OptionError

BLOCK_FRAMES = 1000
"""Scores given at once."""


class KeptRows:
    """Rows of a whole sound, some hundred bytes a frame, which `scores_of` makes scores of.

    >>> kept = KeptRows(lambda rows: rows * 2)
    >>> kept.add(np.float32([[1, 2], [3, 4]]))
    >>> kept.finished = True
    >>> kept.path_scores(np.array([0, 1])).tolist()
    [2.0, 8.0]
    """

    def __init__(self, scores_of: Callable[[np.ndarray], np.ndarray]):
        self._scores_of = scores_of
        self._rows: list[np.ndarray] = []
        self.finished = False
        """Whether all rows are there."""

    def add(self, rows: np.ndarray) -> None:
        """Keep the next rows, (n, n_values)."""
        self._rows.append(rows)

    def scores(self, pdfs: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the scores of the whole finished sound for any pdfs, in blocks."""
        columns = np.asarray(pdfs, np.int64)
        for rows in self._blocks():
            yield self._scores_of(rows)[:, columns]

    def path_scores(self, pdfs: np.ndarray) -> np.ndarray:
        """Return the score of each frame of the whole finished sound under one pdf, (n_frames,)."""
        scores, at = [np.zeros(0, np.float32)], 0
        for rows in self._blocks():
            here = np.asarray(pdfs[at : at + len(rows)], np.int64)
            scores.append(self._scores_of(rows)[np.arange(len(rows)), here])
            at += len(rows)
        return np.concatenate(scores)

    def _blocks(self) -> Iterator[np.ndarray]:
        if not self.finished:
            raise OptionError("the scores of a whole sound are there once it is finished")
        rows = self._rows
        if len(rows) > 1:
            rows[:] = [np.concatenate(rows)]
        for block in rows:
            for first in range(0, len(block), BLOCK_FRAMES):
                yield block[first : first + BLOCK_FRAMES]
