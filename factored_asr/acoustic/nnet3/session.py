"""The scoring of one sound by a chain model: features, i-vectors and network, step by step.

Steps are of 0.2 s whatever pieces the sound arrives in, so that the scores do not depend on these.
In each, frames that the network takes for silence lose their weight in the i-vector. Then the
network goes on by as many chunks as its context allows, each with the i-vector of that moment.
This is what Vosk does, but for one thing: it asks the search which frames are silence. Here scores
depend on the sound alone, so that explanations, alignments and batches have the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from factored_asr.acoustic.model import NO_CLARITY, Frames
from factored_asr.acoustic.nnet3.features import FULL_SCALE, FeatureStream, KaldiFeatures
from factored_asr.acoustic.nnet3.forward import NetworkStream
from factored_asr.acoustic.nnet3.ivector import IvectorExtractor, OnlineIvector
from factored_asr.acoustic.nnet3.kept import KeptRows
from factored_asr.acoustic.nnet3.network import Network
from factored_asr.acoustic.samples import checked_samples
from factored_asr.errors import OptionError

STEP_SECONDS = 0.2
SILENCE_WEIGHT = 1e-3
"""Of a frame of silence in the i-vector."""
REVISED = 100
"""Frames of the output, the last ones, whose weights may still change."""


class Scorer(Protocol):
    """What a session needs of its model; see `ChainModel`."""

    @property
    def features(self) -> KaldiFeatures: ...

    @property
    def network(self) -> Network: ...

    @property
    def extractor(self) -> IvectorExtractor | None: ...

    @property
    def sample_rate(self) -> int: ...

    @property
    def chunk(self) -> int: ...

    @property
    def is_silence(self) -> np.ndarray: ...

    def scores_of(self, rows: np.ndarray) -> np.ndarray: ...


class ChainSession:
    """One sound, scored as it comes or, with ``whole=True``, given at its end.

    Of a whole sound the rows before the last layer are kept, some hundred bytes a frame.
    """

    clarity = NO_CLARITY

    def __init__(self, model: Scorer, pdfs: np.ndarray, whole: bool):
        self._model, self._whole = model, whole
        self._pdfs = np.asarray(pdfs, np.int64)
        self._step = int(model.sample_rate * STEP_SECONDS)
        self._waiting = np.zeros(0, np.float32)
        self._features = FeatureStream(model.features)
        self._inputs = np.zeros((0, model.features.n_features), np.float32)
        self._first_input = 0  # frame of the first row kept of the inputs
        self._ivector = OnlineIvector(model.extractor) if model.extractor else None
        self._ivectors: list[np.ndarray] = []  # by chunk
        self._stream = NetworkStream(model.network, whole=False)
        self._weights = np.zeros(0)  # in the i-vector, of each frame of the output
        self._silent: list[np.ndarray] = []
        self._n_scored = 0
        self._kept = KeptRows(model.scores_of)  # of a whole sound

    @property
    def speech(self) -> np.ndarray:
        """(n_frames,) bool: the frames so far whose likeliest pdf is not of silence."""
        return ~np.concatenate([np.zeros(0, np.bool_), *self._silent])

    @property
    def in_noise(self) -> bool:
        """False: the scores are not compensated for noise."""
        return False

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """Return the scores that are ready; see `AcousticSession.accept`."""
        new = checked_samples(samples) * np.float32(FULL_SCALE)
        self._waiting = np.concatenate([self._waiting, new])
        rows = []
        while len(self._waiting) >= self._step:
            rows += self._advance(self._features.accept(self._waiting[: self._step]))
            self._waiting = self._waiting[self._step :]
        return self._scored(rows)

    def accept_frames(self, frames: Frames) -> np.ndarray:
        """Raise OptionError: the model takes sound alone."""
        raise OptionError("a chain model takes sound, not ready-made frames")

    def finish(self) -> Iterator[np.ndarray]:
        """End the sound; yield the scores still missing in blocks."""
        rows = []
        if len(self._waiting):
            rows += self._advance(self._features.accept(self._waiting))
            self._waiting = self._waiting[:0]
        rows += self._advance(self._features.finish(), finished=True)
        self._kept.finished = self._whole
        if self._whole:
            return self.scores(self._pdfs)
        return iter([self._scored(rows)])

    def scores(self, pdfs: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the scores of the whole finished sound for any pdfs, in blocks."""
        return self._kept.scores(pdfs)

    def path_scores(self, pdfs: np.ndarray) -> np.ndarray:
        """Return the score of each frame of the whole finished sound under one pdf, (n_frames,)."""
        return self._kept.path_scores(pdfs)

    def _scored(self, rows: list[np.ndarray]) -> np.ndarray:
        if self._whole:
            return np.zeros((0, len(self._pdfs)), np.float32)
        scores = [self._model.scores_of(block)[:, self._pdfs] for block in rows]
        return np.concatenate([np.zeros((0, len(self._pdfs)), np.float32), *scores])

    @property
    def _n_frames(self) -> int:
        """Frames of features so far."""
        return self._first_input + len(self._inputs)

    def _advance(self, features: np.ndarray, *, finished: bool = False) -> list[np.ndarray]:
        """Take features; return the new rows before the last layer."""
        self._inputs = np.concatenate([self._inputs, features])
        if self._ivector is not None:
            self._ivector.add(features, finished=finished)
            self._ivector.reweigh(self._changes())
        found = []
        step, chunk = self._model.network.step, self._model.chunk
        total = -(-self._n_frames // step) if finished else 1 << 60
        while self._n_scored < total:
            end = (len(self._ivectors) + 1) * chunk + self._model.network.context[1]
            if not self._n_frames or end > self._n_frames and not finished:
                break
            rows = self._chunk(end)[: total - self._n_scored]
            silent = self._model.is_silence[self._model.scores_of(rows).argmax(axis=1)]
            self._silent.append(silent)
            self._n_scored += len(rows)
            found.append(rows)
        if self._whole:
            for rows in found:
                self._kept.add(rows)
        return found

    def _chunk(self, end: int) -> np.ndarray:
        """Let the network take the inputs of the next chunk, up to frame `end`."""
        chunk, network = self._model.chunk, self._model.network
        left, right = network.context
        frames = np.arange(end - chunk, end) if self._ivectors else np.arange(-left, end)
        inputs = self._inputs[frames.clip(0, self._n_frames - 1) - self._first_input]
        keep = min(end, self._n_frames - 1) - self._first_input
        self._inputs, self._first_input = self._inputs[keep:], self._first_input + keep
        self._ivectors.append(self._estimate())
        if self._ivector is None:
            return self._stream.accept(inputs)
        # frames of one period share the i-vector of the chunk that first reads one of them
        first = (frames // chunk * chunk - right) // chunk
        return self._stream.accept(
            inputs, np.stack([self._ivectors[at] for at in first.clip(0).tolist()]))

    def _estimate(self) -> np.ndarray:
        if self._ivector is None or not self._ivector.n_frames:
            return np.zeros(self._model.network.n_ivector, np.float32)
        return self._ivector.estimate(self._ivector.n_frames - 1)

    def _changes(self) -> list[tuple[int, float]]:
        """Give silence, and frames after the last one scored as it, little weight.

        Returns the changes of weights by frame of the input."""
        assert self._ivector is not None
        step = self._model.network.step
        n = -(-self._ivector.n_frames // step)
        begin = max(0, len(self._weights) - REVISED)
        self._weights = np.concatenate([self._weights, np.zeros(n - len(self._weights))])
        if n <= begin:
            return []
        silent = np.concatenate([np.zeros(0, np.bool_), *self._silent[-REVISED:]])
        silent = silent[max(0, begin - (self._n_scored - len(silent))) :][: n - begin]
        weights = np.where(silent, SILENCE_WEIGHT, 1.0)
        before = self._weights[begin - 1] if begin else SILENCE_WEIGHT
        last = weights[-1] if len(weights) else before
        weights = np.concatenate([weights, np.full(n - begin - len(weights), last)])
        change = weights - self._weights[begin:]
        self._weights[begin:] = weights
        return [(frame * step + i, float(change[frame - begin]))
                for frame in (np.flatnonzero(change) + begin).tolist() for i in range(step)]
