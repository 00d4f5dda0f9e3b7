"""What words that were heard tell of a sound's noise: each frame has its pdf.

Without words every frame may be any speech. With them it is of one pdf, so that only the Gaussians
of that pdf's codebook share it, by the pdf's own weights (J. Li and others, "A unified framework of
HMM adaptation with joint compensation of additive and convolutive distortions", 2009, who align a
first pass in this way). A frame counts for as much as its word is sure.
"""

from __future__ import annotations

import numpy as np

from factored_asr.acoustic.gmm.mixtures import TiedMixtures, expand, gaussian_matrix
from factored_asr.acoustic.gmm.noise_mixing import Gaussians, Heard


class KnownSpeech:
    """The frames of a sound, by the codebooks that made them.

    Parameters
    ----------
    densities
        Their first stream holds the static cepstra.
    pdfs
        (n_frames,): that of each frame.
    weights
        (n_frames,): how much each counts.
    """

    def __init__(self, densities: TiedMixtures, pdfs: np.ndarray, weights: np.ndarray):
        self.weights = np.asarray(weights, np.float64)
        self.books = densities.codebook[pdfs]
        """(n_frames,): the codebook of each frame."""
        self.used = np.unique(self.books)
        """Codebooks that made any frame."""
        self._log_weights = np.log(densities.weights[0].T[pdfs])

    def counts(self, frames: np.ndarray, moved: Gaussians) -> Heard:
        """What each Gaussian made of the frames.

        Parameters
        ----------
        frames
            (n_frames, n_cepstra) float64.
        moved
            Static Gaussians of the codebooks in `used`, one codebook after the other.
        """
        n_books, size = len(self.used), frames.shape[1]
        shape = (n_books, -1, size)
        means, variances = moved.means.reshape(shape), moved.variances.reshape(shape)
        occupied, total = np.zeros(means.shape[:2]), np.zeros(means.shape)
        for i, book in enumerate(self.used):
            at = self.books == book
            logs = expand(frames[at]) @ gaussian_matrix(means[i], variances[i])
            logs += self._log_weights[at]
            posteriors = np.exp(logs - logs.max(axis=1, keepdims=True)).astype(np.float64)
            posteriors *= (self.weights[at] / posteriors.sum(axis=1))[:, None]
            occupied[i], total[i] = posteriors.sum(axis=0), posteriors.T @ frames[at]
        return Heard(occupied.ravel(), total.reshape(-1, size))
