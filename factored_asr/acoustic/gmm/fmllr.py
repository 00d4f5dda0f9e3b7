"""fMLLR: an affine map of a speaker's features towards the training speakers of a model.

Also called constrained MLLR (Gales, "Maximum likelihood linear transformations for HMM-based
speech recognition", 1998, section 2.2 and appendix B).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from factored_asr.acoustic.gmm.mixtures import DiagonalMixtures
from factored_asr.acoustic.gmm.statistics import Densities, expected_precisions, weighted_outer
from factored_asr.acoustic.gmm.sums import Sums
from factored_asr.acoustic.gmm.transforms import identity
from factored_asr.errors import OptionError

Kind = Literal["auto", "full", "diagonal", "offset"]


@dataclass(frozen=True)
class FmllrOptions:
    """How freely a speaker's map may move."""

    kind: Kind = "auto"
    """A full matrix, a scale for each dimension, or an offset alone; auto: by the frames."""
    full_frames: float = 500.0
    """Frames from which auto takes a full matrix. Lower: adapts earlier, with more errors."""
    diagonal_frames: float = 100.0
    """Frames from which auto takes scales; with fewer, offsets alone."""
    offset_frames: float = 20.0
    """With fewer frames the map is the identity."""
    prior_frames: float = 0.0
    """Weight of the identity, in frames. Higher: safer for a few seconds, too little change for a
    minute."""
    sweeps: int = 40
    """Updates of all rows of a full matrix, at most."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise OptionError(f"kind is {self.kind!r}, must be one of {', '.join(get_args(Kind))}")
        if not 0 <= self.offset_frames <= self.diagonal_frames <= self.full_frames:
            raise OptionError(
                f"offset_frames {self.offset_frames}, diagonal_frames {self.diagonal_frames} and "
                f"full_frames {self.full_frames} must ascend"
            )
        if self.sweeps < 1 or not 0 <= self.prior_frames < np.inf:
            raise OptionError(
                f"sweeps {self.sweeps} must be at least 1, "
                f"prior_frames {self.prior_frames} not negative"
            )

    def chosen(self, frames: float) -> Kind | None:
        """Return the kind for so many frames; None for no map."""
        if frames < max(self.offset_frames, 1e-6):
            return None
        if self.kind != "auto":
            return self.kind
        if frames >= self.full_frames:
            return "full"
        return "diagonal" if frames >= self.diagonal_frames else "offset"


@dataclass(frozen=True, eq=False)
class FmllrStatistics(Sums):
    """Statistics of a speaker's frames, float64.

    With z = [x 1], the i-th row w of the map has the auxiliary function
    ``frames * log |det A| + w · linear[i] - ½ w' quadratic[i] w``.
    """

    frames: float
    """Sum of the frames' weights."""
    linear: np.ndarray
    """(n_features, n_features + 1)."""
    quadratic: np.ndarray
    """(n_features, n_features + 1, n_features + 1), symmetric."""

    def auxiliary(self, affine: np.ndarray) -> float:
        """Return the expected log-likelihood of the mapped frames, up to a constant."""
        affine = np.asarray(affine, np.float64)
        quadratic = np.einsum("ij,ijk,ik->", affine, self.quadratic, affine)
        log_det = np.linalg.slogdet(affine[:, :-1])[1]
        return float(self.frames * log_det + (affine * self.linear).sum() - 0.5 * quadratic)


def fmllr_statistics(
    densities: Densities, features: np.ndarray, pdfs: np.ndarray, weights: np.ndarray | None = None,
    posterior_features: np.ndarray | None = None,
) -> FmllrStatistics:
    """Sum up a speaker's statistics from aligned frames.

    Leave silence out, or give it the weight 0. The Gaussians' posteriors are computed from
    `posterior_features`: frames behind the map found so far, or in the space of a first pass; from
    `features` where None. See statistics.py for the rest.
    """
    seen = features if posterior_features is None else posterior_features
    precisions, targets = expected_precisions(densities, seen, pdfs, weights)
    extended = np.ones((len(features), np.shape(features)[1] + 1))
    extended[:, :-1] = features
    frames = float(len(extended) if weights is None else np.sum(weights))
    return FmllrStatistics(frames, targets.T @ extended, weighted_outer(extended, precisions))


def prior_statistics(densities: DiagonalMixtures, occupancy: np.ndarray) -> FmllrStatistics:
    """Return the statistics of one frame as the model expects it: they give the identity.

    Gaussians are weighted by their occupancy, (n_gaussians,).
    """
    share = np.asarray(occupancy, np.float64) / np.sum(occupancy)
    means, variances = densities.means.astype(np.float64), densities.variances.astype(np.float64)
    extended = np.hstack([means, np.ones((len(means), 1))])
    weights = share[:, None] / variances
    quadratic = weighted_outer(extended, weights)
    n = densities.n_features
    quadratic[:, range(n), range(n)] += weights.T @ variances
    return FmllrStatistics(1.0, (weights * means).T @ extended, quadratic)


def fmllr(
    statistics: FmllrStatistics, options: FmllrOptions | None = None,
    prior: FmllrStatistics | None = None, start: np.ndarray | None = None,
) -> np.ndarray:
    """Return the map under which the frames are most likely.

    It is (n_features, n_features + 1) float32; the identity where there are too few frames. From
    `start`, the present map, a full map never becomes worse. Raises OptionError if
    options.prior_frames are given without a `prior`, see `prior_statistics`.
    """
    options = options or FmllrOptions()
    kind = options.chosen(statistics.frames)
    if kind is None:
        return identity(len(statistics.linear))
    if options.prior_frames:
        if prior is None:
            raise OptionError("prior_frames need prior statistics")
        tau = options.prior_frames
        statistics += FmllrStatistics(tau * prior.frames, tau * prior.linear, tau * prior.quadratic)
    affine = _offset(statistics) if kind == "offset" else _diagonal(statistics)
    if kind == "full":
        begin = affine if start is None else np.asarray(start, np.float64)
        affine = _full(statistics, begin, options.sweeps)
    return affine.astype(np.float32)


def _offset(statistics: FmllrStatistics) -> np.ndarray:
    n = len(statistics.linear)
    affine = np.eye(n, n + 1)
    own = statistics.quadratic[range(n), range(n), n]  # of x_i with the constant
    affine[:, n] = (statistics.linear[:, n] - own) / statistics.quadratic[:, n, n]
    return affine


def _diagonal(statistics: FmllrStatistics) -> np.ndarray:
    """Return a scale and an offset for each dimension: the row's problem in two unknowns."""
    n = len(statistics.linear)
    affine = np.zeros((n, n + 1))
    for i in range(n):
        pair = [i, n]
        inverse = np.linalg.inv(statistics.quadratic[i][np.ix_(pair, pair)])
        affine[i, pair] = _best_row(np.array([1.0, 0.0]), inverse, statistics.linear[i, pair],
                                    statistics.frames)
    return affine


def _full(statistics: FmllrStatistics, affine: np.ndarray, sweeps: int) -> np.ndarray:
    """Update row by row, each given the others, until a sweep gains next to nothing."""
    affine, n = affine.copy(), len(affine)
    inverses = np.linalg.inv(statistics.quadratic)
    reached = statistics.auxiliary(affine)
    for _ in range(sweeps):
        inverse = np.linalg.inv(affine[:, :-1])
        for i in range(n):
            cofactors = np.append(inverse[:, i], 0.0)  # up to the determinant
            row = _best_row(cofactors, inverses[i], statistics.linear[i], statistics.frames)
            change = (row - affine[i])[:-1]
            # Sherman and Morrison: the inverse after one row has changed.
            column = inverse[:, i] / (1 + change @ inverse[:, i])
            inverse -= np.outer(column, change @ inverse)
            affine[i] = row
        before, reached = reached, statistics.auxiliary(affine)
        if reached - before < 1e-5 * statistics.frames:
            break
    return affine


def _best_row(
    cofactors: np.ndarray, inverse: np.ndarray, linear: np.ndarray, frames: float
) -> np.ndarray:
    """Return the w that maximises ``frames * log |w · p| + w · k - ½ w' G w`` (Gales 1998, B.2).

    It is (a p + k) G⁻¹ for one of the two roots of a² p G⁻¹ p + a p G⁻¹ k = frames.
    """
    along = inverse @ cofactors
    square, cross = cofactors @ along, linear @ along
    root = np.sqrt(cross * cross + 4 * square * frames)
    # Vieta: neither root is a difference of two large numbers.
    larger = (-cross - np.copysign(root, cross)) / 2
    alphas = np.array([larger / square, -frames / larger])
    reached = frames * np.log(np.abs(alphas * square + cross)) - 0.5 * alphas**2 * square
    return alphas[np.argmax(reached)] * along + inverse @ linear
