"""Extended Baum–Welch: the update of Gaussians from statistics of numerator and denominator.

The constant D keeps a Gaussian near where it was, so that the objective rises. Source:
Gopalakrishnan et al. 1991; D of each Gaussian, I-smoothing and weights after Povey 2003,
"Discriminative training for large vocabulary speech recognition", chapters 4 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic import DiagonalMixtures
from factored_asr.acoustic.gmm.statistics import GaussianStatistics
from factored_asr.errors import OptionError


@dataclass(frozen=True)
class EbwOptions:
    """How far Gaussians move."""

    e: float = 2.0
    """D of a Gaussian is at least this times its denominator count; higher: slower, safer."""
    tau: float = 100.0
    """Frames by which a Gaussian is held where it was; higher: slower, safer where data are
    few."""
    weight_tau: float = 10.0
    """The same for mixture weights."""
    variance_floor: float = 0.1
    """Lowest variance, as a share of what it was before the pass, (0, 1]."""
    weight_passes: int = 50
    """Steps towards the best weights."""
    min_weight: float = 1e-5
    """Lowest weight of a Gaussian."""

    def __post_init__(self) -> None:
        if self.e <= 0 or self.tau < 0 or self.weight_tau < 0:
            raise OptionError("e must be above 0, tau and weight_tau 0 or more")
        if not 0 < self.variance_floor <= 1:
            raise OptionError(f"variance_floor must lie in (0, 1], got {self.variance_floor}")


def update_ebw(
    densities: DiagonalMixtures, numerator: GaussianStatistics, denominator: GaussianStatistics,
    options: EbwOptions | None = None,
) -> DiagonalMixtures:
    """Return the densities after one pass.

    Examples
    --------
    Four frames around 1 that are right and one at -1 that is taken for it by mistake:

    >>> one = DiagonalMixtures([[0.0]], [[1.0]], [1.0], [0, 1])
    >>> right = GaussianStatistics(np.array([4.0]), np.array([[4.0]]), np.array([[8.0]]))
    >>> wrong = GaussianStatistics(np.array([1.0]), np.array([[-1.0]]), np.array([[1.0]]))
    >>> update_ebw(one, right, wrong, EbwOptions(tau=0)).means
    array([[1.]], dtype=float32)
    """
    options = options or EbwOptions()
    means = densities.means.astype(np.float64)
    spread = densities.variances.astype(np.float64)
    count = numerator.occupancy - denominator.occupancy
    first, second = numerator.first - denominator.first, numerator.second - denominator.second
    half = 0.5 * (options.tau + options.e * denominator.occupancy)
    half = np.where(half + count <= 0, -1.0001 * count + 1e-10, half)

    def moved(d: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total = np.maximum(count[own] + d, 1e-300)[:, None]
        mean = (first[own] + d[:, None] * means[own]) / total
        square = (second[own] + d[:, None] * (spread[own] + means[own] ** 2)) / total
        return mean, square - mean**2

    seen = np.flatnonzero((numerator.occupancy > 0) | (denominator.occupancy > 0))
    bad = seen
    for _ in range(500):
        bad = bad[(moved(half[bad], bad)[1] <= 0).any(axis=1)]
        if not len(bad):
            break
        half[bad] *= 1.1
    else:
        seen = np.setdiff1d(seen, bad)
    mean, variance = moved(2 * half[seen], seen)
    new_means, new_variances = means.copy(), spread.copy()
    new_means[seen] = mean
    new_variances[seen] = np.maximum(variance, options.variance_floor * spread[seen])
    weights = _weights(densities, numerator.occupancy, denominator.occupancy, options)
    return replace(densities, means=new_means, variances=new_variances, weights=weights)


def _weights(
    densities: DiagonalMixtures, wanted: np.ndarray, unwanted: np.ndarray, options: EbwOptions
) -> np.ndarray:
    """Return the weights w of each pdf that maximise Σ wanted log w - Σ unwanted w / w_old."""
    first = densities.first_gaussian
    pdf_of = np.repeat(np.arange(densities.n_pdfs), np.diff(first))
    old = densities.weights.astype(np.float64)
    wanted = wanted + options.weight_tau * old
    pull = unwanted / old
    room = np.maximum.reduceat(pull, first[:-1])[pdf_of] - pull
    weights = old
    for _ in range(options.weight_passes):
        weights = wanted + room * weights
        weights = weights / np.maximum(np.add.reduceat(weights, first[:-1])[pdf_of], 1e-300)
    weights = np.maximum(weights, options.min_weight)
    return weights / np.add.reduceat(weights, first[:-1])[pdf_of]
