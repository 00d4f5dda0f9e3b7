"""Speech and noise as cepstra: what lies between a voice and a sound, and Gaussians in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_EXPONENT = 80.0  # of a ratio of powers: beyond, the noise is all there is
RIDGE = 1e-3  # keeps the step finite where no frame tells noise or level
STEP = 15.0  # by which a cepstrum of noise or channel moves in one pass at most


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
        """Newton's step along the Jacobians, towards where these frames are most likely.

        Parameters
        ----------
        around
            The surroundings so far.
        moved, jacobians
            The Gaussians in them; see `Gaussians.in_noise`.
        mean, variance
            Of the channel's prior, level aside: (n_cepstra,) and one for all cepstra.

        Returns
        -------
        The channel and the noise, (n_cepstra,) each.
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
