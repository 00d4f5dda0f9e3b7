"""The scoring of one sound by a hybrid model: front end, mean, speaker's map, network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from factored_asr.acoustic.gmm.parameters import GmmParameters
from factored_asr.acoustic.gmm.transforms import apply_affine
from factored_asr.acoustic.model import NO_CLARITY, AcousticSession, Frames
from factored_asr.acoustic.nnet3.forward import NetworkStream
from factored_asr.acoustic.nnet3.kept import KeptRows
from factored_asr.acoustic.nnet3.network import Network
from factored_asr.errors import OptionError
from factored_asr.features import FeatureStream, speech_frames
from factored_asr.features.frontend import CepstraStream
from factored_asr.features.normalisation import min_range

BLOCK_FRAMES = 3000
"""Frames of the input that the network takes at once."""


class Scorer(Protocol):
    """What a session needs of its model; see `HybridModel`."""

    @property
    def gmm(self) -> GmmParameters: ...

    @property
    def network(self) -> Network: ...

    @property
    def gaussian_weight(self) -> float: ...


class HybridSession:
    """One sound, scored as it comes or, with ``whole=True``, once all of it is there.

    The mean is treated as a `GmmSession` treats it: a whole sound has that of its own speech taken
    off, a stream a running one. Before the first frame and after the last one the network takes
    that frame again.
    """

    clarity = NO_CLARITY

    def __init__(
        self, model: Scorer, pdfs: np.ndarray, whole: bool, after: AcousticSession | None = None
    ):
        self._model, self._whole = model, whole
        self._pdfs = np.asarray(pdfs, np.int64)
        gmm = model.gmm
        self._cepstra = CepstraStream(gmm.front_end)
        self._static: list[np.ndarray] = []  # of a whole sound; else the energies alone
        self._features: np.ndarray | None = None
        self._stream: FeatureStream | None = None
        if not whole:
            mean = after.running_mean if isinstance(after, HybridSession) else None
            self._stream = gmm.front_end.stream(mean if gmm.mean is None else gmm.mean)
        self._network = NetworkStream(model.network, whole=False)
        self._n_taken = 0  # frames of the input
        self._last = np.zeros((0, 0), np.float32)  # the last frame that the network took
        self._gaussians = gmm.unadapted.densities.scorer() if model.gaussian_weight else None
        self._waiting = np.zeros((0, gmm.densities.n_features), np.float32)
        """Frames whose rows of the network are still to come, for the Gaussians."""
        self._kept = KeptRows(self._finished)

    @property
    def running_mean(self) -> np.ndarray | None:
        """(n_cepstra,): the mean that a sound is left with; None for a whole one."""
        return None if self._stream is None else self._stream.mean

    @property
    def speech(self) -> np.ndarray:
        """(n_frames,) bool: the frames so far that stand out of the background as speech."""
        step = self._model.network.step
        if not self._static:
            n_frames = 0 if self._features is None else len(self._features)
            return np.ones(-(-n_frames // step), np.bool_)
        energies = np.concatenate([frames[:, 0] for frames in self._static])
        return speech_frames(energies, min_range(self._model.gmm.features))[::step]

    @property
    def in_noise(self) -> bool:
        """False: the scores are not compensated for noise."""
        return False

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """Return the scores that are ready; see `AcousticSession.accept`."""
        return self._accept(self._cepstra.accept(samples))

    def accept_frames(self, frames: Frames) -> np.ndarray:
        """Return the scores of cepstra, before any mean is taken off; see `AcousticSession`."""
        if frames.normalised:
            self._features = np.asarray(frames.values, np.float32)
            return self._scored([])
        return self._accept(self._model.gmm.front_end.checked_cepstra(frames.values))

    def _accept(self, cepstra: np.ndarray) -> np.ndarray:
        if self._stream is None:
            self._static.append(cepstra)
            return self._scored([])
        self._static.append(cepstra[:, :1].copy())
        return self._scored(self._advance(self._stream.accept_cepstra(cepstra)))

    def finish(self) -> Iterator[np.ndarray]:
        """End the sound; yield the scores still missing in blocks."""
        last = self._cepstra.finish()
        if self._stream is not None:
            self._static.append(last[:, :1].copy())
            ready = self._stream.accept_cepstra(last), self._stream.finish()
            return iter([self._scored(self._advance(np.concatenate(ready), finished=True))])
        if self._features is None:
            cepstra = np.concatenate([*self._static, last])
            self._static, self._features = [cepstra], self._model.gmm.features_of(cepstra)
        if not self._kept.finished:
            for rows in self._advance(self._features, finished=True):
                self._kept.add(rows)
            self._kept.finished = True
        return self.scores(self._pdfs)

    def scores(self, pdfs: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the scores of the whole finished sound for any pdfs, in blocks."""
        return self._kept.scores(pdfs)

    def path_scores(self, pdfs: np.ndarray) -> np.ndarray:
        """Return the score of each frame of the whole finished sound under one pdf, (n_frames,)."""
        return self._kept.path_scores(pdfs)

    def features(self) -> np.ndarray:
        """Return the features of the whole finished sound, (n_frames of the input, n_features)."""
        if self._features is None:
            raise OptionError("the features of a whole sound are there once it is finished")
        return self._features

    def cepstra(self) -> np.ndarray:
        """Return the static cepstra of the whole finished sound, before any mean is taken off."""
        self.features()
        if not self._static:
            raise OptionError("a sound that was given as features has no cepstra")
        return self._static[0]

    def _advance(self, features: np.ndarray, *, finished: bool = False) -> list[np.ndarray]:
        """Let the network take features; return the new rows before its last layer."""
        network, transform = self._model.network, self._model.gmm.transform
        left, right = network.context
        found = []
        for first in range(0, len(features), BLOCK_FRAMES):
            frames = features[first : first + BLOCK_FRAMES]
            if transform is not None:
                frames = apply_affine(transform, frames)
            if self._gaussians is not None:
                of_outputs = frames[-self._n_taken % network.step :: network.step]
                self._waiting = np.concatenate([self._waiting, of_outputs])
            if not self._n_taken:
                frames = np.concatenate([frames[:1].repeat(left, axis=0), frames])
                self._n_taken = -left
            self._n_taken += len(frames)
            self._last = frames[-1:]
            found.append(self._with_frames(self._network.accept(frames)))
        if finished and self._n_taken:
            total = -(-self._n_taken // network.step)
            lacking = (total - 1) * network.step + right + 1 - self._n_taken
            rows = self._network.accept(self._last.repeat(lacking, axis=0))
            found.append(self._with_frames(rows))
        return found

    def _with_frames(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of the network, each with the frame of the input that it belongs to."""
        if self._gaussians is None:
            return rows
        frames = self._waiting[: len(rows)]
        self._waiting = self._waiting[len(rows) :]
        return np.concatenate([rows, frames], axis=1)

    def _finished(self, rows: np.ndarray) -> np.ndarray:
        """Return the scores of all pdfs, of rows of `_with_frames`."""
        if self._gaussians is None:
            return self._model.network.finished(rows)
        n_features = self._waiting.shape[1]
        scores = self._model.network.finished(np.ascontiguousarray(rows[:, :-n_features]))
        own = self._gaussians(np.ascontiguousarray(rows[:, -n_features:]))
        return scores + np.float32(self._model.gaussian_weight) * own

    def _scored(self, rows: list[np.ndarray]) -> np.ndarray:
        scores = [self._finished(block)[:, self._pdfs] for block in rows]
        return np.concatenate([np.zeros((0, len(self._pdfs)), np.float32), *scores])
