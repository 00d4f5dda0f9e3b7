"""Speech and noise as cepstra: what lies between a voice and a sound, and Gaussians in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_EXPONENT = 80.0  # of a ratio of powers: beyond, the noise is all there is


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
