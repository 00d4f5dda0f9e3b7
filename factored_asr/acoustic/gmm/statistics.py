"""Statistics of Gaussians: posteriors, and the sums over frames that models are estimated from.

All functions take *aligned frames*: features (n, n_features), the pdf of each, and its weight. A
frame that several pdfs may have emitted (posteriors of states or lattices) stands there once for
each. All sums are float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from factored_asr.acoustic.gmm.mixtures import (
    DiagonalMixtures,
    TiedMixtures,
    check_features,
    gaussian_matrix,
)
from factored_asr.acoustic.gmm.sums import Sums
from factored_asr.acoustic.gmm.transforms import MlltStatistics
from factored_asr.errors import OptionError

Densities = DiagonalMixtures | TiedMixtures
_BLOCK_FRAMES = 2000  # outer products held at once


@dataclass(frozen=True, eq=False)
class GaussianStatistics(Sums):
    """Expected counts and moments of every Gaussian."""

    occupancy: np.ndarray
    """Sum of posteriors, in the shape of the densities' weights, float64."""
    first: np.ndarray
    """(n_gaussians, n_features) float64: sum of posterior * x. Gaussians of tied mixtures are
    counted through all codebooks."""
    second: np.ndarray
    """(n_gaussians, n_features) float64: sum of posterior * x²."""
    log_likelihood: float = 0.0
    """Weighted sum over frames of the log density of their pdf."""
    frames: float = 0.0
    """Sum of the frames' weights."""

    @classmethod
    def zeros(cls, densities: Densities) -> GaussianStatistics:
        """Return the statistics of no frames."""
        shape = densities.means.size // densities.n_features, densities.n_features
        return cls(np.zeros(densities.weights.shape), np.zeros(shape), np.zeros(shape))

    def by_stream(self, densities: Densities) -> np.ndarray:
        """Return the occupancy of each Gaussian in each stream, (n_streams, n_gaussians)."""
        if isinstance(densities, DiagonalMixtures):
            return self.occupancy[None]
        n_streams, n_gaussians, _ = densities.weights.shape
        found = np.zeros((n_streams, len(densities.means), n_gaussians))
        np.add.at(found.swapaxes(0, 1), densities.codebook, self.occupancy.transpose(2, 0, 1))
        return found.reshape(n_streams, -1)

    def of_pdfs(self, densities: DiagonalMixtures) -> np.ndarray:
        """Return the expected number of frames of each pdf, (n_pdfs,)."""
        return np.add.reduceat(self.occupancy, densities.first_gaussian[:-1])


class Part(NamedTuple):
    """Frames that share a set of Gaussians: those of one pdf, or of a codebook in one stream."""

    rows: slice
    """The frames among those given, which are sorted by pdf or codebook."""
    gaussians: slice
    """Gaussians, counted through all pdfs or codebooks."""
    stream: int
    columns: slice
    """Features of the stream."""
    posteriors: np.ndarray
    """(n_rows, n_gaussians) float64; a row sums to the frame's weight."""
    log_likelihood: float
    """Weighted sum over the frames."""


class Aligned(NamedTuple):
    """Checked frames, sorted so that those that share Gaussians stand together."""

    features: np.ndarray
    pdfs: np.ndarray
    weights: np.ndarray
    keys: np.ndarray
    """The pdf of each frame, or the codebook of its pdf."""
    order: np.ndarray
    """Row of each frame as it was given."""


def accumulate(
    densities: Densities, features: np.ndarray, pdfs: np.ndarray, weights: np.ndarray | None = None,
    posterior_features: np.ndarray | None = None,
) -> GaussianStatistics:
    """Sum up the statistics that means, variances and weights are estimated from (the E step).

    With E the rows ``[x, x², 1]`` of the frames of one pdf and W the matrix that gives log
    densities, the posteriors are ``softmax(E W)``, and the statistics are ``posteriorsᵀ E``.

    Features are (n, n_features), pdfs and weights (n,); weights are 1 where None. The posteriors
    are computed from `posterior_features`, such as frames behind speakers' maps; from `features`
    where None. Raises OptionError for features of another size or not finite, a pdf that does not
    exist, or bad weights.

    Examples
    --------
    >>> mixtures = DiagonalMixtures([[0.0], [4.0]], [[1.0], [1.0]], [1.0, 1.0], [0, 1, 2])
    >>> statistics = accumulate(mixtures, [[1.0], [3.0], [5.0]], [0, 1, 1])
    >>> statistics.occupancy.tolist(), statistics.first.tolist(), statistics.second.tolist()
    ([1.0, 2.0], [[1.0], [8.0]], [[1.0], [34.0]])
    """
    frames = _aligned(densities, features, pdfs, weights)
    own = seen = _expanded(densities, frames.features)
    if posterior_features is not None:
        others = check_features(posterior_features, densities.n_features)
        seen = _expanded(densities, others[frames.order])
    total = GaussianStatistics.zeros(densities)
    log_likelihood = 0.0
    for part in _parts(densities, seen, frames):
        sums = part.posteriors.T @ own[part.stream][part.rows]
        n = sums.shape[1] // 2
        total.first[part.gaussians, part.columns] += sums[:, :n]
        total.second[part.gaussians, part.columns] += sums[:, n:-1]
        log_likelihood += part.log_likelihood
        if isinstance(densities, DiagonalMixtures):
            total.occupancy[part.gaussians] += sums[:, -1]
        else:
            np.add.at(total.occupancy[part.stream].T, frames.pdfs[part.rows], part.posteriors)
    return GaussianStatistics(total.occupancy, total.first, total.second, log_likelihood,
                              float(frames.weights.sum()))


def expected_precisions(
    densities: Densities, features: np.ndarray, pdfs: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what transforms of features need to know of each frame's Gaussians.

    These are two arrays (n, n_features) float64: the sum over Gaussians of posterior / variance,
    and that of posterior * mean / variance. Arguments and errors are those of `accumulate`.
    """
    frames = _aligned(densities, features, pdfs, weights)
    inverse = 1 / densities.variances.reshape(-1, densities.n_features).astype(np.float64)
    both = inverse, densities.means.reshape(-1, densities.n_features) * inverse
    found = np.zeros((2, *frames.features.shape))
    for part in _parts(densities, _expanded(densities, frames.features), frames):
        for sums, values in zip(found, both, strict=True):
            sums[frames.order[part.rows],
                 part.columns] = (part.posteriors @ values[part.gaussians, part.columns])
    return found[0], found[1]


def mllt_statistics(
    densities: DiagonalMixtures, features: np.ndarray, pdfs: np.ndarray,
    weights: np.ndarray | None = None,
) -> MlltStatistics:
    """Return what MLLT needs; arguments and errors are those of `accumulate`.

    The scatter around a mean m is that around 0, less what is linear in m:
    ``Σ γ (x - m)(x - m)' = Σ γ x x' - f m' - m f' + n m m'`` with f and n the Gaussian's own.
    """
    statistics = accumulate(densities, features, pdfs, weights)
    precisions, _ = expected_precisions(densities, features, pdfs, weights)
    means, inverse = densities.means.astype(np.float64), 1 / densities.variances.astype(np.float64)
    linear = statistics.occupancy[:, None] * means - 2 * statistics.first
    scatter = weighted_outer(features, precisions)
    for i, row in enumerate(inverse.T):
        change = (linear * row[:, None]).T @ means
        scatter[i] += (change + change.T) / 2
    return MlltStatistics(statistics.frames, scatter)


def softmax(logs: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Turn joint log-likelihoods (n_frames, n_gaussians) into posteriors, in place.

    Rows sum to `weights`, 1 where None. Returns the posteriors, and the log of each row's sum of
    likelihoods.

    Examples
    --------
    >>> posteriors, totals = softmax(np.log([[3.0, 1.0]]))
    >>> posteriors.tolist(), totals.round(4).tolist()
    ([[0.75, 0.25]], [1.3863])
    """
    top = logs.max(axis=1)
    logs -= top[:, None]
    np.exp(logs, out=logs)
    total = logs.sum(axis=1)
    logs *= ((1.0 if weights is None else weights) / total)[:, None]
    return logs, top + np.log(total)


def weighted_outer(frames: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return sums over frames of weight * x x', for each column of weights; float64.

    (n, d) and (n, k) → (k, d, d), one matrix product over the upper triangle.

    Examples
    --------
    >>> weighted_outer([[1.0, 2.0], [0.0, 1.0]], [[1.0], [10.0]]).tolist()
    [[[1.0, 2.0], [2.0, 14.0]]]
    """
    frames, weights = np.asarray(frames, np.float64), np.asarray(weights, np.float64)
    size = frames.shape[1]
    rows, columns = np.triu_indices(size)
    sums = np.zeros((weights.shape[1], len(rows)))
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = frames[start : start + _BLOCK_FRAMES]
        sums += weights[start : start + _BLOCK_FRAMES].T @ (block[:, rows] * block[:, columns])
    full = np.zeros((len(sums), size, size))
    full[:, rows, columns] = sums
    full[:, columns, rows] = sums
    return full


def streams_of(densities: Densities) -> list[slice]:
    """Return the features of each stream; plain mixtures have one stream."""
    sizes = densities.streams if isinstance(densities, TiedMixtures) else (densities.n_features,)
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]


def _parts(densities: Densities, expanded: list[np.ndarray], frames: Aligned) -> Iterator[Part]:
    """Yield posteriors of Gaussians, frames of one pdf (or codebook and stream) at a time."""
    present, first = np.unique(frames.keys, return_index=True)
    bounds = np.append(first, len(frames.keys)).tolist()
    means, variances = (
        array.reshape(-1, densities.n_features) for array in (densities.means, densities.variances)
    )
    for stream, columns in enumerate(streams_of(densities)):
        matrix = gaussian_matrix(means[:, columns], variances[:, columns], np.float64)
        for key, start, end in zip(present.tolist(), bounds, bounds[1:], strict=False):
            rows = slice(start, end)
            if isinstance(densities, DiagonalMixtures):
                own = slice(*densities.first_gaussian[key : key + 2].tolist())
                prior = densities.weights[own]
            else:
                size = densities.means.shape[1]
                own = slice(key * size, (key + 1) * size)
                prior = densities.weights[stream][:, frames.pdfs[rows]].T
            logs = expanded[stream][rows] @ matrix[:, own] + np.log(prior.astype(np.float64))
            weights = frames.weights[rows]
            posteriors, logs = softmax(logs, weights)
            yield Part(rows, own, stream, columns, posteriors, float(weights @ logs))


def _expanded(densities: Densities, features: np.ndarray) -> list[np.ndarray]:
    """Return rows [x, x², 1] of each stream, float64."""
    found = []
    for columns in streams_of(densities):
        x = features[:, columns].astype(np.float64)
        found.append(np.hstack([x, np.square(x), np.ones((len(x), 1))]))
    return found


def _aligned(
    densities: Densities, features: np.ndarray, pdfs: np.ndarray, weights: np.ndarray | None
) -> Aligned:
    """Check and sort aligned frames; weights of 1 where None."""
    features = check_features(features, densities.n_features)
    pdfs = np.asarray(pdfs, np.int64)
    weights = np.ones(len(features)) if weights is None else np.asarray(weights, np.float64)
    if pdfs.shape != (len(features),) or weights.shape != pdfs.shape:
        raise OptionError(
            f"{len(features)} frames need as many pdfs and weights, "
            f"got {pdfs.shape} and {weights.shape}"
        )
    if pdfs.size and not 0 <= pdfs.min() <= pdfs.max() < densities.n_pdfs:
        wrong = pdfs.min() if pdfs.min() < 0 else pdfs.max()
        raise OptionError(f"pdf {wrong} is not one of the model's {densities.n_pdfs}")
    if not (weights >= 0).all() or not np.isfinite(weights).all():
        raise OptionError("weights of frames must be finite and not negative")
    keys = pdfs if isinstance(densities, DiagonalMixtures) else densities.codebook[pdfs]
    order = np.argsort(keys, kind="stable")
    return Aligned(features[order], pdfs[order], weights[order], keys[order], order)
