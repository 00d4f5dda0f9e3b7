"""The scoring of one sound by Gaussian mixtures: front end, mean, noise, log-likelihoods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from factored_asr.acoustic.gmm.compensation import NoiseAdapter, Surroundings
from factored_asr.acoustic.gmm.mixtures import Score
from factored_asr.acoustic.gmm.parameters import GmmParameters
from factored_asr.acoustic.model import NO_CLARITY, AcousticSession, Frames
from factored_asr.errors import OptionError
from factored_asr.features import FeatureStream, speech_frames
from factored_asr.features.frontend import CepstraStream
from factored_asr.features.normalisation import mean_of, min_range
from factored_asr.features.snr import MOST, cepstral_levels, estimate_snr

BLOCK_FRAMES = 500  # scored at once: memory stays small on an hour of audio
PATH_FRAMES = 2000  # the same for one pdf a frame


class Scoring:
    """What all sessions of a model that score the same pdfs share; threads may share it."""

    def __init__(self, model: GmmParameters, pdfs: np.ndarray):
        own = model.unadapted
        self.pdfs = np.asarray(pdfs, np.int64)
        self.plain = own.scorer(self.pdfs)
        self.adapter: NoiseAdapter | None = None
        if model.noise is not None and model.transform is None:
            self.adapter = NoiseAdapter(own, self.pdfs, model.noise)


class GmmSession:
    """One sound, scored as it comes or, with ``whole=True``, once all of it is there.

    A whole sound has the mean of its own speech taken off and, where the model is to be moved to
    noise, scores of a model that fits its noise. As it comes, a sound has a running mean taken
    off, and nothing is known of its noise.
    """

    clarity = NO_CLARITY

    def __init__(
        self, model: GmmParameters, scoring: Scoring, whole: bool,
        after: AcousticSession | None = None,
    ):
        self._model, self._scoring, self._score = model, scoring, scoring.plain
        self._cepstra = CepstraStream(model.front_end)
        self._static: list[np.ndarray] = []  # of a whole sound; else the energies alone
        self._snr = MOST  # of a whole sound, once it is finished
        self._surroundings: Surroundings | None = None  # None: the model is not moved
        self._features: np.ndarray | None = None
        self._stream: FeatureStream | None = None
        if not whole:
            mean = after.running_mean if isinstance(after, GmmSession) else None
            self._stream = model.front_end.stream(mean if model.mean is None else model.mean)

    @property
    def running_mean(self) -> np.ndarray | None:
        """(n_cepstra,): the mean that a sound is left with; None for a whole one."""
        return None if self._stream is None else self._stream.mean

    @property
    def speech(self) -> np.ndarray:
        """(n_frames,) bool: the frames so far that stand out of the background as speech."""
        if not self._static:
            return np.ones(0 if self._features is None else len(self._features), np.bool_)
        energies = np.concatenate([frames[:, 0] for frames in self._static])
        return speech_frames(energies, min_range(self._model.features))

    @property
    def in_noise(self) -> bool:
        """True where the scores are those of the model moved to the noise of the sound."""
        return self._surroundings is not None

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """Return the scores that are ready; see `AcousticSession.accept`."""
        return self._accept(self._cepstra.accept(samples))

    def accept_frames(self, frames: Frames) -> np.ndarray:
        """Return the scores of cepstra, before any mean is taken off; see `AcousticSession`."""
        if frames.normalised:
            self._features = np.asarray(frames.values, np.float32)
            return self._nothing()
        return self._accept(self._model.front_end.checked_cepstra(frames.values))

    def _accept(self, cepstra: np.ndarray) -> np.ndarray:
        if self._stream is None:
            self._static.append(cepstra)
            return self._nothing()
        self._static.append(cepstra[:, :1].copy())
        return self._scored(self._stream.accept_cepstra(cepstra))

    def finish(self) -> Iterator[np.ndarray]:
        """End the sound; yield the scores still missing in blocks."""
        last = self._cepstra.finish()
        if self._stream is not None:
            self._static.append(last[:, :1].copy())
            ready = self._stream.accept_cepstra(last), self._stream.finish()
            return iter([self._scored(np.concatenate(ready))])
        if self._features is None:
            cepstra = np.concatenate([*self._static, last])
            self._static, self._features = [cepstra], self._model.features_of(cepstra)
            self._listen(cepstra)
            self._score = self._in_its_noise(self._scoring.plain)
        return self._blocks(self._score)

    def _listen(self, cepstra: np.ndarray) -> None:
        """Estimate the ratio of speech to noise, and the noise, if a tool asks for them."""
        adapter = self._scoring.adapter
        if not len(cepstra) or (adapter is None and self._model.snr_scale is None):
            return
        self._snr = estimate_snr(cepstral_levels(cepstra, self._model.features))
        if adapter is not None and not adapter.counts_as_clean(self._snr):
            self._surroundings = adapter.estimate(cepstra)

    def scores(self, pdfs: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the scores of the whole finished sound for any pdfs, in blocks."""
        return self._blocks(self._score_of(pdfs))

    def path_scores(self, pdfs: np.ndarray) -> np.ndarray:
        """Return the score of each frame of the whole finished sound under one pdf, (n_frames,)."""
        features, scores = self._finished(), [np.zeros(0, np.float32)]
        for first in range(0, len(features), PATH_FRAMES):
            part = slice(first, first + PATH_FRAMES)
            distinct, column = np.unique(pdfs[part], return_inverse=True)
            # A scorer of this block's few pdfs: making it costs a thirtieth of using it.
            block = self._score_of(distinct)(features[part])
            scores.append(block[np.arange(len(block)), column])
        return np.concatenate(scores)

    def features(self) -> np.ndarray:
        """Return the features of the whole finished sound, (n_frames, n_features)."""
        return self._finished()

    def cepstra(self) -> np.ndarray:
        """Return the static cepstra of the whole finished sound, before any mean is taken off."""
        self._finished()
        if not self._static:
            raise OptionError("a sound that was given as features has no cepstra")
        return self._static[0]

    def _score_of(self, pdfs: np.ndarray) -> Score:
        pdfs = np.asarray(pdfs)
        if np.array_equal(pdfs, self._scoring.pdfs):
            return self._score
        return self._in_its_noise(self._model.unadapted.scorer(pdfs), pdfs)

    def _in_its_noise(self, score: Score, pdfs: np.ndarray | None = None) -> Score:
        """The scores of a whole sound as its noise has them; `score` is the model's as it is,
        `pdfs` are those to score, the session's own where None."""
        adapter, scale = self._scoring.adapter, self._model.snr_scale
        if adapter is not None and self._surroundings is not None:
            cepstra = self._static[0]
            mean = cepstra[0] - self._finished()[0, : cepstra.shape[1]]
            score = adapter.scorer(cepstra, mean, self._surroundings, pdfs)
        if scale is None or not self._static:
            return score
        share = np.float32(scale.share(self._snr))
        return lambda features: score(features) * share

    def _finished(self) -> np.ndarray:
        if self._features is None:
            raise OptionError("the scores of a whole sound are there once it is finished")
        return self._features

    def _scored(self, features: np.ndarray) -> np.ndarray:
        return np.concatenate([self._nothing(), *self._in_blocks(features, self._score)])

    def _blocks(self, score: Score) -> Iterator[np.ndarray]:
        return self._in_blocks(self._finished(), score)

    def _in_blocks(self, features: np.ndarray, score: Score) -> Iterator[np.ndarray]:
        for first in range(0, len(features), BLOCK_FRAMES):
            yield score(features[first : first + BLOCK_FRAMES])

    def _nothing(self) -> np.ndarray:
        return np.zeros((0, len(self._scoring.pdfs)), np.float32)


@runtime_checkable
class CepstralSession(Protocol):
    """A finished session of a whole sound that has cepstra and features; see `GmmSession`."""

    def features(self) -> np.ndarray: ...

    def cepstra(self) -> np.ndarray: ...


def joint_mean(sounds: Sequence[AcousticSession], model: GmmParameters) -> np.ndarray:
    """The cepstral mean that the front end takes off all of these sounds together."""
    cepstra = np.concatenate([each.cepstra() for each in sounds
                              if isinstance(each, CepstralSession)])
    return mean_of(cepstra, model.features)
