"""The model moved to the noise of a sound: compensation by a vector Taylor series.

Noise adds to speech as power, so in the cepstra y of noisy speech (x clean speech, h the channel
with its level, n the noise; C the cosine transform, D its pseudo-inverse, rows as in the code)::

    y = x + h + log(1 + exp((n - x - h) D)) C

Around a Gaussian's mean this is nearly linear, with a Jacobian G for speech and I - G for noise: so
a Gaussian of clean speech becomes one of this very sound, and noise and channel are what makes the
sound's frames most likely under a mixture of all speech (P. Moreno, "Speech recognition in noisy
environments", 1996; A. Acero and others, "HMM adaptation using vector Taylor series for noisy
speech recognition", 2000; J. Li and others, "A unified framework of HMM adaptation with joint
compensation of additive and convolutive distortions", 2009).

A model whose front end removes noise is moved to what the removal leaves behind. One noise stands
for the whole sound: steady noise is met best, the clatter of dishes least. Deltas are not moved but
weighed (see noise_deltas.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from factored_asr.acoustic.gmm.mixtures import TiedMixtures, check_features, expand, gaussian_matrix
from factored_asr.acoustic.gmm.model import GmmModel, Score
from factored_asr.acoustic.gmm.noise_deltas import DeltaScorer
from factored_asr.acoustic.gmm.noise_mixing import Counts, Gaussians, Surroundings
from factored_asr.errors import OptionError
from factored_asr.features import speech_frames
from factored_asr.features.deltas import apply_kernels, delta_kernels
from factored_asr.features.mel import cepstral_transform
from factored_asr.features.normalisation import normalise, stored_mean
from factored_asr.features.snr import cepstral_levels, estimate_snr

MIN_FRAMES = 10  # of speech, and of what is none: fewer say nothing of channel or noise
MAX_FRAMES = 5000  # looked at in a pass, about: an hour takes no more memory than a minute
MIN_VARIANCE = 0.01  # of a noise whose frames are all alike
SILENT = 1e3  # by which c0 of no noise lies below the speech
REMOVED = ("kinds", "rounds")  # options that older manifests hold; 1 had no effect


@dataclass(frozen=True)
class NoiseOptions:
    """How a model is moved to the noise of a sound."""

    clean: float = 25.0
    """Signal-to-noise ratio in decibels, as `estimate_snr` says, from which on a sound counts as
    clean and the model stays as it is; inf moves it for every sound."""
    passes: int = 4
    """Passes of estimation of noise and channel; each starts from the result of the last."""
    stride: int = 3
    """Every so many-th frame is looked at in the estimation; higher is faster."""
    groups: int = 16
    """Gaussians that a codebook is reduced to for the estimation, at most; lower is faster."""
    channel_variance: float = 25.0
    """Of the channel's cepstra around the stored mean, level aside; higher: trust the sound."""
    noise_frames: float = 10.0
    """Frames that the noise's variance before a pass counts for."""
    silence_share: float = 0.3
    """Of all frames that are expected to be silence, in (0, 1)."""
    trust: float = 0.5
    """Share of the log-likelihoods of static cepstra that counts: frames in noise are less sure
    than they look, and of a model these depend most on voice, room and microphone."""
    delta_trust: float = 0.75
    """The same of their deltas."""
    dynamic: bool = True
    """Whether a frame's deltas count for as much as there is speech in it (see noise_deltas.py)."""

    def __post_init__(self) -> None:
        for name in ("passes", "stride", "groups"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}, must be at least 1")
        if not self.channel_variance > 0 or not self.noise_frames >= 0:
            raise OptionError(
                f"channel_variance {self.channel_variance} must be above 0, noise_frames "
                f"{self.noise_frames} not negative"
            )
        if np.isnan(self.clean):
            raise OptionError("clean is no number of decibels")
        for name in ("trust", "delta_trust"):
            if not 0 < getattr(self, name) < np.inf:
                raise OptionError(f"{name} is {getattr(self, name)}, must be above 0 and finite")
        if not 0 < self.silence_share < 1:
            raise OptionError(f"silence_share is {self.silence_share}, must lie in (0, 1)")

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> NoiseOptions:
        """Return the options of a manifest, which may be older and hold options since removed.

        Raises
        ------
        OptionError
            A removed option has a value that had an effect.
        """
        for name in REMOVED:
            if values.get(name, 1) != 1:
                raise OptionError(
                    f"{name} is {values[name]}, but this option of noise was removed because it "
                    f"did not help; leave {name} out"
                )
        return NoiseOptions(**{name: v for name, v in values.items() if name not in REMOVED})


class NoiseAdapter:
    """Moves the static Gaussians of a model to each sound; threads may share it.

    Parameters
    ----------
    model
        Of tied mixtures whose first stream holds the static cepstra.
    pdfs
        Those of what may be heard; they are scored, and tell the noise. All where None.
    besides
        Others to be scored, too.

    Raises
    ------
    OptionError
        The model's features or densities are of another kind.

    Examples
    --------
    >>> from factored_asr.features import FrontEnd
    >>> from factored_asr.models.en_us import pocketsphinx_model_path
    >>> from factored_asr.models.importers.sphinx import read_sphinx_model
    >>> model = read_sphinx_model(pocketsphinx_model_path() / "en-us")
    >>> adapter = NoiseAdapter(model, model.hmm_pdfs[:10].ravel())
    >>> hiss = np.random.default_rng(0).normal(0, 0.01, 16000)
    >>> front_end = FrontEnd(model.features)
    >>> adapter.scorer(front_end.cepstra(hiss))(front_end.features(hiss)).shape
    (99, 5126)
    """

    def __init__(
        self,
        model: GmmModel,
        pdfs: np.ndarray | None = None,
        options: NoiseOptions | None = None,
        besides: np.ndarray | None = None,
    ):
        size, densities = model.features.n_cepstra, model.densities
        if not isinstance(densities, TiedMixtures) or model.transform is not None:
            raise OptionError("only tied mixtures of plain features can be moved to a noise")
        if densities.streams[0] != size or model.features.splice:
            raise OptionError(
                f"the first stream holds {densities.streams[0]} features, must hold the "
                f"{size} static cepstra"
            )
        self.options = options or NoiseOptions()
        self._densities, self._size = densities, size
        self._pdfs = np.arange(densities.n_pdfs) if pdfs is None else np.unique(pdfs)
        self._transform = cepstral_transform(model.features)
        self._inverse = np.linalg.pinv(self._transform)
        self._mean = stored_mean(model.features)
        self.features = model.features
        self._kernels = delta_kernels(model.features)
        self._scored = self._pdfs if besides is None else np.union1d(self._pdfs, besides)
        self._books = np.unique(densities.codebook[self._pdfs])
        self._moved = np.unique(densities.codebook[self._scored])
        self._static_scorer = densities.part(slice(0, 1)).scorer(self._scored)
        several = len(densities.streams) > 1
        self._rest = densities.part(slice(1, None)) if several else None
        self._rest_scorer = self._rest.scorer(self._scored) if self._rest else None
        self._all = self._gaussians(self._moved)
        self._weights = self._codebook_weights()
        silent = np.array([model.phones.index(model.silence)])
        fillers = np.array([model.phones.index(phone) for phone in model.fillers])
        books_of = [np.unique(densities.codebook[model.hmm_pdfs[phones, 0]])
                    for phones in (silent, fillers)]  # fmt: skip
        self._groups, self._shares, self._silent = self._grouped(*books_of)

    def _gaussians(self, books: np.ndarray) -> Gaussians:
        """Static Gaussians of these codebooks, one after the other."""
        means, variances = (array[books, :, : self._size].reshape(-1, self._size)
                            for array in (self._densities.means, self._densities.variances))
        return Gaussians(means.astype(np.float64), variances.astype(np.float64))

    def _codebook_weights(self) -> np.ndarray:
        """(n_books, n_gaussians): the mean weights of the pdfs in use."""
        weights, codebook = self._densities.weights[0], self._densities.codebook
        found = [weights[:, self._pdfs[codebook[self._pdfs] == book]].mean(axis=1)
                 for book in self._books]  # fmt: skip
        mean = np.array(found, np.float64)
        return mean / mean.sum(axis=1, keepdims=True)

    def _grouped(
        self, silent: np.ndarray, fillers: np.ndarray
    ) -> tuple[Gaussians, np.ndarray, np.ndarray]:
        """Gaussians of like level joined, their shares of a sound, and which are silence."""
        n_books, n_gaussians = self._weights.shape
        shape = (n_books, n_gaussians, self._size)
        gaussians = self._gaussians(self._books)
        means, variances = gaussians.means.reshape(shape), gaussians.variances.reshape(shape)
        order = np.argsort(means[:, :, 0], axis=1)
        parts = np.array_split(order, min(self.options.groups, n_gaussians), axis=1)
        is_silence = np.isin(self._books, silent)
        speech = ~np.isin(self._books, fillers)
        share = self.options.silence_share
        of_book = np.where(speech, (1 - share) / max(int(speech.sum()), 1), 0.0)
        of_book[is_silence] = share / max(int(is_silence.sum()), 1)
        joined: list[tuple[np.ndarray, ...]] = []
        for part in parts:
            weight = np.take_along_axis(self._weights, part, 1)[:, :, None]
            total = weight.sum(axis=1)
            own, spread = (np.take_along_axis(a, part[:, :, None], 1) for a in (means, variances))
            mean = (weight * own).sum(axis=1) / total
            around = (weight * (spread + (own - mean[:, None]) ** 2)).sum(axis=1) / total
            joined.append((mean, around, of_book * total[:, 0], is_silence))
        mean, around, shares, is_silent = map(np.concatenate, zip(*joined, strict=True))
        kept = shares > 0
        return Gaussians(mean[kept], around[kept]), shares[kept], is_silent[kept]

    def counts_as_clean(self, cepstra: np.ndarray) -> bool:
        """Whether speech stands so far above the noise that the model stays as it is."""
        if self.options.clean == np.inf:
            return False
        return estimate_snr(cepstral_levels(cepstra, self.features)) >= self.options.clean

    def scorer_if_noisy(self, cepstra: np.ndarray) -> Score | None:
        """Return `scorer` of a sound, or None where it counts as clean."""
        return None if self.counts_as_clean(cepstra) else self.scorer(cepstra)

    def scorer(self, cepstra: np.ndarray) -> Score:
        """Return the scorer of one sound: like `GmmModel.scorer`, of the model moved to its noise.

        Parameters
        ----------
        cepstra
            (n_frames, n_cepstra) of the whole sound, before any mean is taken off.

        Returns
        -------
        A function from the sound's features, as the model's front end gives them, to scores; log-
        likelihoods count for the trust that the options have in them.
        """
        frames = np.asarray(cepstra, np.float32)
        around = self.estimate(frames)
        mean = np.zeros(self._size, np.float32)
        if len(frames):
            mean = (frames - normalise(frames, self.features))[0]
        static = self._static_scorer.moved(self.static(around, mean))
        size, trust, delta_trust = self._size, self.options.trust, self.options.delta_trust
        deltas = self.delta_scorer(frames)
        presence = self.presence(around)

        def score(features: np.ndarray) -> np.ndarray:
            scores = static(features[:, :size])
            scores *= np.float32(trust)
            if deltas is not None:
                there = presence(features[:, :size] + mean)
                scores += np.float32(delta_trust) * deltas(features[:, size:], there)
            return scores

        return score

    def presence(self, around: Surroundings) -> Callable[[np.ndarray], np.ndarray]:
        """From cepstra in these surroundings, (n_frames, n_cepstra), to the share of speech in the
        power of each frame, (n_frames,), as is to be expected."""
        if not self.options.dynamic:
            return lambda cepstra: np.ones(len(cepstra))
        moved, jacobians = self._groups.in_noise(around, self._transform, self._inverse)
        shares = np.trace(jacobians, axis1=1, axis2=2) / self._size
        return lambda cepstra: np.clip(self._posteriors(cepstra, moved) @ shares, 0.0, 1.0)

    def delta_scorer(self, cepstra: np.ndarray) -> DeltaScorer | None:
        """A scorer of a sound's deltas, where the noise's vary as they do where nobody speaks;
        None where the model has no deltas."""
        densities, size = self._densities, self._size
        if self._rest is None or self._rest_scorer is None:
            return None
        quiet = ~speech_frames(cepstra, min_range=0.0)
        noise: np.ndarray = np.ones(densities.n_features - size)
        if quiet.sum() >= MIN_FRAMES:
            around = len(self._kernels[0]) // 2
            padded = np.pad(cepstra, ((around, around), (0, 0)), mode="edge")
            noise = apply_kernels(padded, self._kernels)[quiet, size:].var(axis=0) + MIN_VARIANCE
        return DeltaScorer(self._rest, noise, self._rest_scorer)

    def estimate(self, cepstra: np.ndarray) -> Surroundings:
        """Noise and channel of a sound, by expectation and maximisation over its frames.

        Noise begins as what is no speech by its level, the channel as the stored mean with the
        level of the speech. Where either is missing, the sound counts as clean.

        Raises
        ------
        OptionError
            The cepstra have another shape, or a value that is not finite.
        """
        frames = check_features(cepstra, self._size).astype(np.float64)
        speech = speech_frames(frames, min_range=0.0)
        if min(speech.sum(), (~speech).sum()) < MIN_FRAMES:
            mean = frames[speech].mean(axis=0) if speech.any() else self._mean
            return Surroundings(mean, mean - SILENT * np.eye(self._size)[0], np.ones(self._size))
        around = self._first_guess(frames[speech], frames[~speech])
        stride = max(self.options.stride, len(frames) // MAX_FRAMES)
        for _ in range(self.options.passes):
            around = self._pass(frames[::stride], around)
        return around

    def static(self, around: Surroundings, mean: np.ndarray) -> TiedMixtures:
        """The static stream in these surroundings, of cepstra that have `mean` taken off."""
        moved, _ = self._all.in_noise(around, self._transform, self._inverse)
        means = self._densities.means[:, :, : self._size].copy()
        variances = self._densities.variances[:, :, : self._size].copy()
        shape = (len(self._moved), -1, self._size)
        means[self._moved] = moved.means.reshape(shape) - mean
        variances[self._moved] = moved.variances.reshape(shape)
        return TiedMixtures(means, variances, self._densities.weights[:1], self._densities.codebook)

    def _first_guess(self, speech: np.ndarray, other: np.ndarray) -> Surroundings:
        channel = self._mean.copy()
        levels, shares = self._groups.means[~self._silent, 0], self._shares[~self._silent]
        loud = levels > np.average(levels, weights=shares)
        channel[0] = speech[:, 0].mean() - np.average(levels[loud], weights=shares[loud])
        return Surroundings(channel, other.mean(axis=0), other.var(axis=0) + MIN_VARIANCE)

    def _posteriors(self, frames: np.ndarray, moved: Gaussians) -> np.ndarray:
        """(n_frames, n_gaussians): which of the grouped Gaussians made each frame."""
        logs = expand(frames) @ gaussian_matrix(moved.means, moved.variances)
        logs += np.log(self._shares).astype(np.float32)
        posteriors = np.exp(logs - logs.max(axis=1, keepdims=True)).astype(np.float64)
        return posteriors / posteriors.sum(axis=1, keepdims=True)

    def _pass(self, frames: np.ndarray, around: Surroundings) -> Surroundings:
        """One pass of expectation and maximisation: Newton's step along the Jacobians."""
        moved, jacobians = self._groups.in_noise(around, self._transform, self._inverse)
        posteriors = self._posteriors(frames, moved)
        counts = Counts(posteriors.sum(axis=0), posteriors.T @ frames)
        channel, noise = counts.channel_and_noise(
            around, moved, jacobians, self._mean, self.options.channel_variance
        )
        # The variance of the noise is that of the frames, weighted by their share of silence.
        silence, prior = posteriors[:, self._silent].sum(axis=1), self.options.noise_frames
        total = silence @ (frames - noise) ** 2 + prior * around.variance
        return Surroundings(channel, noise, total / max(silence.sum() + prior, 1e-9) + MIN_VARIANCE)
