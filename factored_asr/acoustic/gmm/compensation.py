"""Noise compensation: the model moved to the noise of a sound by a vector Taylor series.

Noise adds to speech as power, so the cepstra y of noisy speech are::

    y = x + h + log(1 + exp((n - x - h) D)) C

with x clean speech, h the channel with its level, n the noise, C the cosine transform, and D its
pseudo-inverse. Rows are as in the code.

Around a Gaussian's mean this is nearly linear, with a Jacobian G for speech and I - G for noise. So
a Gaussian of clean speech becomes one of this very sound. Noise and channel are those under which
the frames of the sound are most likely, given a mixture of all speech (P. Moreno, "Speech
recognition in noisy environments", 1996; A. Acero and others, "HMM adaptation using vector Taylor
series for noisy speech recognition", 2000; J. Li and others, "A unified framework of HMM adaptation
with joint compensation of additive and convolutive distortions", 2009).

A model whose front end removes noise is moved to what the removal leaves. One noise stands for the
whole sound, so that steady noise is met best.

Differences of speech show in deltas by the share g of speech in a frame, those of noise by 1 - g.
So a Gaussian of deltas with mean m and variance v gets the mean g m and the variance g² v + (1 -
g)² n. Here n is the variance of the noise's deltas. In tied mixtures no Gaussian of a delta has one
of static cepstra; g is the mean over the Gaussians that may have made the frame. Frames of like
share are scored together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic.gmm.mixtures import (
    Score,
    TiedMixtures,
    TiedScorer,
    check_features,
    expand,
    gaussian_matrix,
)
from factored_asr.acoustic.gmm.parameters import GmmParameters
from factored_asr.acoustic.gmm.tools import NoiseOptions
from factored_asr.errors import OptionError
from factored_asr.features import speech_frames
from factored_asr.features.deltas import apply_kernels, delta_kernels
from factored_asr.features.mel import cepstral_transform
from factored_asr.features.normalisation import stored_mean

MIN_FRAMES = 10  # of speech, and of what is none: fewer say nothing of channel or noise
MAX_FRAMES = 5000  # looked at in a pass, about: an hour takes no more memory than a minute
MIN_VARIANCE = 0.01  # of a noise whose frames are all alike
SILENT = 1e3  # by which c0 of no noise lies below the speech
MAX_EXPONENT = 80.0  # of a ratio of powers: beyond, the noise is all there is
RIDGE = 1e-3  # keeps the step finite where no frame tells noise or level
STEP = 15.0  # by which a cepstrum of noise or channel moves in one pass at most
LEVELS = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
"""Shares of speech that are told apart."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What stands between a clean voice and a sound, as cepstra of the front end; float64."""

    channel: np.ndarray
    """(n_cepstra,): what is added to the model's normalised cepstra, the level in c0."""
    noise: np.ndarray
    """(n_cepstra,): mean of the noise."""
    variance: np.ndarray
    """(n_cepstra,): its variance."""


@dataclass(frozen=True, eq=False)
class Gaussians:
    """Gaussians of static cepstra."""

    means: np.ndarray
    """(n_gaussians, n_cepstra) float64."""
    variances: np.ndarray
    """The same shape."""

    def in_noise(
        self, around: Surroundings, transform: np.ndarray, inverse: np.ndarray
    ) -> tuple[Gaussians, np.ndarray]:
        """The Gaussians as they are in these surroundings, and their Jacobians.

        Parameters
        ----------
        transform, inverse
            (n_mels, n_cepstra) from log powers to cepstra, (n_cepstra, n_mels) back.

        Returns
        -------
        The Gaussians, and (n_gaussians, n_cepstra, n_cepstra) Jacobians: a small change of clean
        cepstra, times these from the right, is the change of noisy ones.
        """
        size = self.means.shape[1]
        clean = self.means + around.channel
        ratio = (around.noise - clean) @ inverse
        share = 1 / (1 + np.exp(np.minimum(ratio, MAX_EXPONENT)))  # of speech in a band's power
        outer = (inverse.T[:, :, None] * transform[:, None, :]).reshape(len(transform), -1)
        jacobians = (share @ outer).reshape(-1, size, size)
        means = clean + np.logaddexp(0, ratio) @ transform
        variances = np.matmul(self.variances[:, None], jacobians**2)[:, 0]
        variances += np.matmul(around.variance, (np.eye(size) - jacobians) ** 2)
        return Gaussians(means, variances), jacobians


@dataclass(frozen=True, eq=False)
class Counts:
    """How much of a sound each Gaussian may have made; float64."""

    frames: np.ndarray
    """(n_gaussians,): sum of the posteriors."""
    total: np.ndarray
    """(n_gaussians, n_cepstra): sum of the frames, each by its posterior."""

    def channel_and_noise(
        self, around: Surroundings, moved: Gaussians, jacobians: np.ndarray, mean: np.ndarray,
        variance: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return channel and noise, (n_cepstra,) each, after Newton's step to likelier frames.

        `moved` and `jacobians` are those of `Gaussians.in_noise` in the surroundings so far; `mean`
        (n_cepstra,) and `variance` are the channel's prior, level aside.
        """
        size = len(mean)
        off = (self.total - self.frames[:, None] * moved.means) / moved.variances
        # Rows: how channel and noise, side by side, move a Gaussian's mean.
        pull = np.concatenate([jacobians, np.eye(size) - jacobians], axis=1)
        scaled = pull * (self.frames[:, None] / moved.variances)[:, None]
        curvature = np.tensordot(scaled, pull, ((0, 2), (0, 2)))
        slope = np.tensordot(pull, off, ((0, 2), (0, 1)))
        belief = np.zeros(2 * size)  # in the channel's prior, and a ridge for level and noise
        belief[1:size] = 1 / variance
        slope[:size] += belief[:size] * (mean - around.channel)
        belief[[0, *range(size, 2 * size)]] = RIDGE
        step = np.clip(np.linalg.solve(curvature + np.diag(belief), slope), -STEP, STEP)
        return around.channel + step[:size], around.noise + step[size:]


class DeltaScorer:
    """Scores the deltas of one sound; threads may share it.

    Parameters
    ----------
    densities
        Of the streams of deltas alone.
    noise
        (n_features,) variance of the noise's deltas.
    scorer
        Of these densities, for the pdfs that are scored.
    """

    def __init__(self, densities: TiedMixtures, noise: np.ndarray, scorer: TiedScorer):
        self._densities, self._noise, self._scorer = densities, noise, scorer
        self._scorers: dict[int, TiedScorer] = {}

    def __call__(self, deltas: np.ndarray, presence: np.ndarray) -> np.ndarray:
        """Return scores, (n_frames, n_columns), of deltas and the share of speech in each frame."""
        levels = np.abs(presence[:, None] - LEVELS).argmin(axis=1)
        scores = np.zeros((len(deltas), len(self._scorer.columns)), np.float32)
        for level in np.unique(levels).tolist():
            scores[levels == level] = self._at(level)(deltas[levels == level])
        return scores

    def _at(self, level: int) -> TiedScorer:
        if level not in self._scorers:
            share = float(LEVELS[level])
            self._scorers[level] = self._scorer.moved(in_share(self._densities, self._noise, share))
        return self._scorers[level]


def in_share(densities: TiedMixtures, noise: np.ndarray, share: float) -> TiedMixtures:
    """Densities of deltas where speech is that share of the sound.

    Examples
    --------
    >>> clean = TiedMixtures([[[4.0]]], [[[8.0]]], [[[1.0]]], codebook=[0])
    >>> noisy = in_share(clean, np.array([4.0]), share=0.5)
    >>> noisy.means.item(), noisy.variances.item()
    (2.0, 3.0)
    """
    return replace(
        densities, means=share * densities.means,
        variances=share**2 * densities.variances + (1 - share) ** 2 * noise,
    )  # fmt: skip


class NoiseAdapter:
    """Moves the static Gaussians of a model to each sound; threads may share it.

    Parameters
    ----------
    model
        Of tied mixtures whose first stream holds the static cepstra.
    pdfs
        Those of what may be recognised, ascending: the noise is estimated by them, and they are
        scored by default. None: all.

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
    >>> mean = np.zeros(13, np.float32)
    >>> adapter.scorer(front_end.cepstra(hiss), mean)(front_end.features(hiss)).shape
    (99, 30)
    """

    def __init__(
        self,
        model: GmmParameters,
        pdfs: np.ndarray | None = None,
        options: NoiseOptions | None = None,
    ):
        densities, size = check_movable(model), model.features.n_cepstra
        self.options = options or NoiseOptions()
        self._densities, self._size = densities, size
        self._pdfs = np.arange(densities.n_pdfs) if pdfs is None else np.unique(pdfs)
        self._transform = cepstral_transform(model.features)
        self._inverse = np.linalg.pinv(self._transform)
        self._mean = stored_mean(model.features)
        self.features = model.features
        self._kernels = delta_kernels(model.features)
        self._books = np.unique(densities.codebook[self._pdfs])
        self._static = densities.part(slice(0, 1))
        self._rest = densities.part(slice(1, None)) if len(densities.streams) > 1 else None
        self._scorers = self._scorers_of(self._pdfs)
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

    def counts_as_clean(self, snr: float) -> bool:
        """Whether speech stands so far above the noise, in dB, that the model stays as it is."""
        return snr >= self.options.clean

    def scorer(
        self, cepstra: np.ndarray, mean: np.ndarray, surroundings: Surroundings | None = None,
        pdfs: np.ndarray | None = None,
    ) -> Score:
        """Return the scorer of one sound: like `scorer` of the model moved to its noise.

        Parameters
        ----------
        cepstra
            (n_frames, n_cepstra) of the whole sound, before any mean is taken off.
        mean
            (n_cepstra,): what was taken off for the features.
        surroundings
            What `estimate` found; None estimates them.
        pdfs
            Those to score; the adapter's own where None.

        Returns
        -------
        A function from the sound's features, as the model's front end gives them, to scores,
        weighted as the options say, with one column for each pdf.
        """
        frames = np.asarray(cepstra, np.float32)
        surroundings = surroundings or self.estimate(frames)
        own, others = self._scorers if pdfs is None else self._scorers_of(pdfs)
        static = own.moved(self.static(surroundings, mean, own.books))
        size, deltas = self._size, self._delta_scorer(frames, others)
        static_weight = np.float32(self.options.static_weight)
        delta_weight = np.float32(self.options.delta_weight)
        presence = self.presence(surroundings)

        def score(features: np.ndarray) -> np.ndarray:
            scores = static(features[:, :size])
            scores *= static_weight
            if deltas is not None:
                share = presence(features[:, :size] + mean)
                scores += delta_weight * deltas(features[:, size:], share)
            return scores

        return score

    def _scorers_of(self, pdfs: np.ndarray) -> tuple[TiedScorer, TiedScorer | None]:
        """Scorers of the static cepstra and of the deltas, before they are moved."""
        rest = None if self._rest is None else self._rest.scorer(pdfs)
        return self._static.scorer(pdfs), rest

    def presence(self, around: Surroundings) -> Callable[[np.ndarray], np.ndarray]:
        """From cepstra in these surroundings, (n_frames, n_cepstra), to the share of speech in the
        power of each frame, (n_frames,), as is to be expected."""
        if not self.options.dynamic:
            return lambda cepstra: np.ones(len(cepstra))
        moved, jacobians = self._groups.in_noise(around, self._transform, self._inverse)
        shares = np.trace(jacobians, axis1=1, axis2=2) / self._size
        return lambda cepstra: np.clip(self._posteriors(cepstra, moved) @ shares, 0.0, 1.0)

    def _delta_scorer(self, cepstra: np.ndarray, scorer: TiedScorer | None) -> DeltaScorer | None:
        """A scorer of a sound's deltas, whose noise varies as the frames without speech do."""
        densities, size = self._densities, self._size
        if self._rest is None or scorer is None:
            return None
        quiet = ~speech_frames(cepstra, min_range=0.0)
        noise: np.ndarray = np.ones(densities.n_features - size)
        if quiet.sum() >= MIN_FRAMES:
            around = len(self._kernels[0]) // 2
            padded = np.pad(cepstra, ((around, around), (0, 0)), mode="edge")
            noise = apply_kernels(padded, self._kernels)[quiet, size:].var(axis=0) + MIN_VARIANCE
        return DeltaScorer(self._rest, noise, scorer)

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

    def static(
        self, surroundings: Surroundings, mean: np.ndarray, books: np.ndarray
    ) -> TiedMixtures:
        """The static stream in these surroundings, of cepstra that have `mean` taken off.

        Only the codebooks `books` are moved.
        """
        moved, _ = self._gaussians(books).in_noise(surroundings, self._transform, self._inverse)
        means, variances = self._static.means.copy(), self._static.variances.copy()
        shape = (len(books), -1, self._size)
        means[books] = moved.means.reshape(shape) - mean
        variances[books] = moved.variances.reshape(shape)
        return replace(self._static, means=means, variances=variances)

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
        channel, noise = counts.channel_and_noise(around, moved, jacobians, self._mean,
                                                  self.options.channel_variance)
        # The variance of the noise is that of the frames, weighted by their share of silence.
        silence, prior = posteriors[:, self._silent].sum(axis=1), self.options.noise_frames
        total = silence @ (frames - noise) ** 2 + prior * around.variance
        return Surroundings(channel, noise, total / max(silence.sum() + prior, 1e-9) + MIN_VARIANCE)


def check_movable(model: GmmParameters) -> TiedMixtures:
    """Return the densities of a model that can be moved to a noise.

    Raises
    ------
    OptionError
        The model's features or densities are of another kind.
    """
    size, densities = model.features.n_cepstra, model.densities
    if not isinstance(densities, TiedMixtures) or model.transform is not None:
        raise OptionError("only tied mixtures of plain features can be moved to a noise")
    if densities.streams[0] != size or model.features.splice:
        raise OptionError(
            f"the first stream holds {densities.streams[0]} features, must hold the "
            f"{size} static cepstra"
        )
    return densities
