"""Several noises in one sound, each with its share: hum stays, clatter comes and goes.

Frames where nobody speaks are cut into as many parts as there are noises, by their level. From
there, each frame lies under every noise with some probability, whatever is said meanwhile, and each
noise moves to where it makes the frames under it most likely. A frame is scored under all noises,
so a Gaussian of clean speech becomes as many of noisy speech (A. Varga and R. Moore, "Hidden Markov
model decomposition of speech and noise", 1990, with noises that have no memory; the step along the
Jacobians is that of noise_adaptation.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic.gmm.mixtures import TiedMixtures, expand, gaussian_matrix
from factored_asr.acoustic.gmm.noise_mixing import Gaussians, Surroundings

PASSES = 3
LEAST_FRAMES = 8  # without speech, for each noise
PRIOR_FRAMES = 20.0  # that a noise's place and variance before a pass count for
LEAST_SHARE = 0.02
STEP = 10.0  # by which a cepstrum of a noise moves in one pass at most


@dataclass(frozen=True, eq=False)
class SpeechPrior:
    """What speech is like before anything is known of a sound."""

    gaussians: Gaussians
    """Of clean, normalised static cepstra."""
    shares: np.ndarray
    """(n_gaussians,): the share of a sound's frames that each has."""
    silent: np.ndarray
    """(n_gaussians,) bool: which are silence."""
    transform: np.ndarray
    """(n_mels, n_cepstra) from log powers to cepstra."""
    inverse: np.ndarray
    """(n_cepstra, n_mels) back."""


@dataclass(frozen=True, eq=False)
class Noise:
    """One of the noises of a sound."""

    around: Surroundings
    share: float
    """Of the frames that lie under it; those of all noises sum to 1."""


def divide(
    frames: np.ndarray, quiet: np.ndarray, around: Surroundings, prior: SpeechPrior, number: int
) -> list[Noise]:
    """The noises of a sound whose channel is known.

    Parameters
    ----------
    frames
        (n_frames, n_cepstra) float64: static cepstra before any mean is taken off.
    quiet
        The same of the frames where nobody speaks.
    around
        The surroundings with one noise for the whole sound.
    number
        How many noises; fewer where few frames are without speech.
    """
    number = min(number, len(quiet) // LEAST_FRAMES)
    if number < 2:
        return [Noise(around, 1.0)]
    parts = np.array_split(quiet[np.argsort(quiet[:, 0])], number)
    noises = [
        Noise(Surroundings(around.channel, part.mean(axis=0), part.var(axis=0) + 1.0), 1 / number)
        for part in parts
    ]
    for _ in range(PASSES):
        noises = _pass(frames, noises, prior)
    return noises


def _pass(frames: np.ndarray, noises: list[Noise], prior: SpeechPrior) -> list[Noise]:
    """Expectation over Gaussians and noises together, and a step of each noise."""
    moved = [noise.around for noise in noises]
    made = [prior.gaussians.in_noise(around, prior.transform, prior.inverse) for around in moved]
    logs = np.stack([
        expand(frames) @ gaussian_matrix(gaussians.means, gaussians.variances)
        + np.log(noise.share * prior.shares).astype(np.float32)
        for noise, (gaussians, _) in zip(noises, made, strict=True)
    ])  # fmt: skip
    posteriors = np.exp(logs - logs.max(axis=(0, 2), keepdims=True)).astype(np.float64)
    posteriors /= posteriors.sum(axis=(0, 2), keepdims=True)
    shares = np.maximum(posteriors.sum(axis=(1, 2)) / len(frames), LEAST_SHARE)
    return [
        Noise(_moved(frames, noise.around, under, *of_noise, prior), float(share))
        for noise, under, of_noise, share in zip(
            noises, posteriors, made, shares / shares.sum(), strict=True
        )
    ]


def _moved(
    frames: np.ndarray, around: Surroundings, posteriors: np.ndarray, gaussians: Gaussians,
    jacobians: np.ndarray, prior: SpeechPrior,
) -> Surroundings:  # fmt: skip
    """The surroundings, their noise moved by the frames under it, (n_frames, n_gaussians)."""
    heard = posteriors.sum(axis=0)
    off = (posteriors.T @ frames - heard[:, None] * gaussians.means) / gaussians.variances
    pull = np.eye(frames.shape[1]) - jacobians
    scaled = pull * (heard[:, None] / gaussians.variances)[:, None]
    curvature = np.tensordot(scaled, pull, ((0, 2), (0, 2)))
    curvature += np.diag(PRIOR_FRAMES / around.variance)
    slope = np.tensordot(pull, off, ((0, 2), (0, 1)))
    noise = around.noise + np.clip(np.linalg.solve(curvature, slope), -STEP, STEP)
    silence = posteriors[:, prior.silent].sum(axis=1)
    total = silence @ (frames - noise) ** 2 + PRIOR_FRAMES * around.variance
    return replace(around, noise=noise, variance=total / (silence.sum() + PRIOR_FRAMES))


def under_all(moved: list[TiedMixtures], shares: list[float]) -> TiedMixtures:
    """Densities of one stream under several noises, from those under each and their shares.

    Returns
    -------
    Tied mixtures whose codebooks hold every Gaussian once for each noise, its weight times the
    noise's share.
    """
    weights = [np.float32(share) * static.weights
               for static, share in zip(moved, shares, strict=True)]  # fmt: skip
    return TiedMixtures(
        np.concatenate([static.means for static in moved], axis=1),
        np.concatenate([static.variances for static in moved], axis=1),
        np.concatenate(weights, axis=1),
        moved[0].codebook,
    )
