"""Deltas in noise: each frame's count for as much as there is speech in it.

Where speech is a share g of what is heard, differences of speech show by g and those of the noise
by 1 - g::

    dy = g dx + (1 - g) dn

so a Gaussian of deltas with mean m and variance v gets the mean g m and the variance
g² v + (1 - g)² n, n that of the noise's deltas. In tied mixtures no Gaussian of a delta belongs to
one of a static cepstrum, so its own Jacobian is not known; that of the frame is: the mean, over the
Gaussians that may have made it, of their speech's share (compare the Jacobians of A. Acero and
others, 2000, which belong to Gaussians). Frames of like share are scored together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from factored_asr.acoustic.gmm.mixtures import TiedMixtures, TiedScorer

LEVELS = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
"""Shares of speech that are told apart."""


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
            self._scorers[level] = self._scorer.moved(
                in_share(self._densities, self._noise, share)
            )
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
