"""The scoring of one sound by the network: windows of sound in, log-likelihoods of phones out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from factored_asr.acoustic.model import Frames
from factored_asr.acoustic.network.windows import WindowedFrames
from factored_asr.acoustic.samples import checked_samples
from factored_asr.errors import FormatError, OptionError

BLOCK_FRAMES = 1000  # scores given at once
SPEECH = 0.5
"""Probability of all phones together from which on a frame counts as speech."""
CLEAR = 0.3
"""Probability of one phone from which on a frame stands out as speech."""


class NetworkSession:
    """One sound, scored as it comes or, with ``whole=True``, given at its end.

    In both cases the encoder works while the sound arrives. Of a whole sound the log probabilities
    are kept, 160 bytes a frame, of a stream only which frames are speech, and how clear.

    `frames` gives log probabilities, of which `prior` (n_pdfs,) is subtracted. A session also takes
    log probabilities that were computed already, in place of the sound.
    """

    def __init__(self, frames: WindowedFrames, prior: np.ndarray, pdfs: np.ndarray, whole: bool):
        self._frames, self._prior, self._whole = frames, prior, whole
        self._pdfs = np.asarray(pdfs, np.int64)
        self._kept: list[np.ndarray] = []
        self._clarity: list[np.ndarray] = []
        self._finished = self._took_frames = False

    @property
    def speech(self) -> np.ndarray:
        """(n_frames,) bool: the frames so far in which one phone is clear."""
        return _is_clear(self.clarity)

    @property
    def clarity(self) -> np.ndarray:
        """See `AcousticSession.clarity`: a phone that is clear has most of what is no blank."""
        return np.concatenate([np.zeros((0, 2), np.float32), *self._clarity])

    @property
    def in_noise(self) -> bool:
        """False: the scores are not compensated for noise."""
        return False

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """Return the scores that are ready; see `AcousticSession.accept`."""
        if self._took_frames:
            raise OptionError("a session takes either sound or frames: begin another for the sound")
        blocks = self._frames.accept(checked_samples(samples))
        return self._scored(self._taken(blocks))

    def accept_frames(self, frames: Frames) -> np.ndarray:
        """Take log probabilities of the network, (n_frames, n_pdfs) float32, natural logarithm.

        Returns and errors are those of `AcousticSession.accept_frames`.
        """
        values = np.asarray(frames.values, np.float32)
        if values.ndim != 2 or values.shape[1] != len(self._prior):
            raise OptionError(
                f"frames of shape {values.shape}: the network takes log probabilities, of shape "
                f"(n_frames, {len(self._prior)}); for features use the model en-us"
            )
        if np.isnan(values).any() or (values > 1e-3).any():
            raise FormatError("frames of a network must be log probabilities, 0 at most")
        if self._frames.begun:
            raise OptionError("a session takes either sound or frames: begin another for frames")
        self._took_frames = True
        return self._scored(self._taken([values]))

    def early(self) -> np.ndarray:
        """Return scores of the frames that wait for a window; empty where no phone is clear."""
        found = None if self._took_frames else self._frames.early()
        return self._scored([] if found is None or not stands_out(found).any() else [found])

    def finish(self) -> Iterator[np.ndarray]:
        """End the sound; yield the scores still missing in blocks."""
        rest = self._taken([] if self._took_frames else self._frames.finish())
        self._finished = True
        if self._whole:
            return self.scores(self._pdfs)
        return iter([self._scored(rest)])

    def scores(self, pdfs: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the scores of the whole finished sound for any pdfs, in blocks."""
        columns = np.asarray(pdfs, np.int64)
        for block in self._blocks():
            yield (block - self._prior)[:, columns]

    def path_scores(self, pdfs: np.ndarray) -> np.ndarray:
        """Return the score of each frame of the whole finished sound under one pdf, (n_frames,)."""
        scores, at = [np.zeros(0, np.float32)], 0
        for block in self._blocks():
            here = np.asarray(pdfs[at : at + len(block)], np.int64)
            scores.append((block - self._prior)[np.arange(len(block)), here])
            at += len(block)
        return np.concatenate(scores)

    def log_probs(self) -> np.ndarray:
        """Return the log probabilities of the whole finished sound, (n_frames, n_pdfs)."""
        return np.concatenate([*self._blocks()])

    def _blocks(self) -> Iterator[np.ndarray]:
        if not (self._whole and self._finished):
            raise OptionError("the scores of a whole sound are there once it is finished")
        for block in self._kept:
            for first in range(0, len(block), BLOCK_FRAMES):
                yield block[first : first + BLOCK_FRAMES]

    def _taken(self, blocks: Iterable[np.ndarray]) -> list[np.ndarray]:
        """New log probabilities; those of a whole sound are kept instead."""
        new = list(blocks)
        self._clarity += map(clarity, new)
        if not self._whole:
            return new
        self._kept += new
        return []

    def _scored(self, blocks: list[np.ndarray]) -> np.ndarray:
        scores = [(block - self._prior)[:, self._pdfs] for block in blocks]
        return np.concatenate([np.zeros((0, len(self._pdfs)), np.float32), *scores])


def is_speech(log_probs: np.ndarray) -> np.ndarray:
    """Return which frames are speech, (n,) bool, of (n, n_pdfs) log probabilities."""
    return np.exp(log_probs[:, 0]) < 1 - SPEECH


def stands_out(log_probs: np.ndarray) -> np.ndarray:
    """Return in which frames one phone is clear, (n,) bool, of (n, n_pdfs) log probabilities.

    Rain and engines share a frame among many phones: there `is_speech` says yes, this does not.
    """
    return _is_clear(clarity(log_probs))


def clarity(log_probs: np.ndarray) -> np.ndarray:
    """Return the probability of the likeliest phone of each frame, and of all, (n, 2) float32."""
    likeliest, blank = np.exp(log_probs[:, 1:].max(axis=1)), np.exp(log_probs[:, 0])
    return np.stack([likeliest, 1 - blank], axis=1).astype(np.float32)


def _is_clear(found: np.ndarray) -> np.ndarray:
    """(n,) bool, of what `clarity` found."""
    clear: np.ndarray = found[:, 0] > CLEAR
    return clear
