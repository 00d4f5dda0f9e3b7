"""Which Gaussians made a frame: posteriors, and the statistics that add up from them.

Everything here takes *aligned frames*: features (n, n_features), the pdf of each, and its weight.
A frame that several pdfs may have made (posteriors of a lattice) stands there once for each.
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
    expand,
    gaussian_matrix,
)
from factored_asr.acoustic.gmm.transforms import MlltStatistics
from factored_asr.errors import OptionError

_BLOCK_FRAMES = 2000  # outer products held at once


class Part(NamedTuple):
    """Frames that one set of Gaussians is asked for."""

    rows: np.ndarray
    """(n,) of the frames given."""
    gaussians: slice
    """The Gaussians, counted through all pdfs or codebooks."""
    stream: int
    columns: slice
    """The stream's features."""
    posteriors: np.ndarray
    """(n, n_gaussians) float64, a row sums to the frame's weight."""
    log_likelihood: float
    """Weighted sum over the frames."""


@dataclass(frozen=True, eq=False)
class GaussianStatistics:
    """Moments of the frames that each Gaussian made, float64; those of parts add up."""

    occupancy: np.ndarray
    """(n_streams, n_gaussians): sum of posteriors. Gaussians are counted through all codebooks."""
    first: np.ndarray
    """(n_gaussians, n_features): sum of the frames by posterior."""
    second: np.ndarray
    """The same of their squares."""
    weights: np.ndarray
    """Occupancy in the shape of the densities' weights."""
    frames: float
    """Sum of the frames' weights."""
    log_likelihood: float
    """Sum over frames, natural log."""

    def __add__(self, other: GaussianStatistics) -> GaussianStatistics:
        return GaussianStatistics(
            self.occupancy + other.occupancy, self.first + other.first,
            self.second + other.second, self.weights + other.weights,
            self.frames + other.frames, self.log_likelihood + other.log_likelihood,
        )  # fmt: skip


def gaussian_statistics(
    densities: DiagonalMixtures | TiedMixtures,
    features: np.ndarray,
    pdfs: np.ndarray,
    weights: np.ndarray | None = None,
    heard: np.ndarray | None = None,
) -> GaussianStatistics:
    """Accumulate the statistics that means, variances and weights are estimated from.

    Parameters
    ----------
    densities
        Under which the posteriors are taken.
    features, pdfs, weights
        Aligned frames: (n, n_features), (n,) and (n,); weights of 1 where None.
    heard
        The frames as the posteriors should see them, where these are to be estimated for others,
        such as features behind speakers' maps; the features themselves where None.

    Raises
    ------
    OptionError
        Features of another size or not finite, or a pdf that is not there.

    Examples
    --------
    >>> mixtures = DiagonalMixtures([[0.0], [4.0]], [[1.0], [1.0]], [1.0, 1.0], [0, 1, 2])
    >>> gaussian_statistics(mixtures, [[1.0], [3.0], [5.0]], [0, 1, 1]).first.tolist()
    [[1.0], [8.0]]
    """
    features, pdfs, weights = check_aligned(densities, features, pdfs, weights)
    n_streams = 1 if isinstance(densities, DiagonalMixtures) else len(densities.streams)
    n_gaussians = densities.means.size // densities.n_features
    occupancy = np.zeros((n_streams, n_gaussians))
    first = np.zeros((n_gaussians, densities.n_features))
    second = np.zeros_like(first)
    by_pdf = np.zeros(densities.weights.shape)
    log_likelihood = 0.0
    if heard is None:
        heard = features
    for part in parts(densities, check_features(heard, densities.n_features), pdfs, weights):
        frames = features[part.rows, part.columns].astype(np.float64)
        occupancy[part.stream, part.gaussians] += part.posteriors.sum(axis=0)
        first[part.gaussians, part.columns] += part.posteriors.T @ frames
        second[part.gaussians, part.columns] += part.posteriors.T @ (frames * frames)
        log_likelihood += part.log_likelihood
        if isinstance(densities, TiedMixtures):
            np.add.at(by_pdf[part.stream].T, pdfs[part.rows], part.posteriors)
    if isinstance(densities, DiagonalMixtures):
        by_pdf = occupancy[0].copy()
    return GaussianStatistics(
        occupancy, first, second, by_pdf, float(weights.sum()), log_likelihood
    )


def expected_precisions(
    densities: DiagonalMixtures | TiedMixtures,
    features: np.ndarray,
    pdfs: np.ndarray,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What a frame's Gaussians ask of it: all that feature transforms need to know of them.

    Returns
    -------
    Two arrays (n, n_features) float64: the sum over Gaussians of posterior / variance, and that
    of posterior * mean / variance. Parameters and errors are those of `gaussian_statistics`.
    """
    features, pdfs, weights = check_aligned(densities, features, pdfs, weights)
    precisions = np.zeros(features.shape)
    targets = np.zeros(features.shape)
    inverse = 1 / densities.variances.reshape(-1, densities.n_features).astype(np.float64)
    scaled = densities.means.reshape(-1, densities.n_features) * inverse
    for part in parts(densities, features, pdfs, weights):
        where = part.gaussians, part.columns
        precisions[part.rows, part.columns] = part.posteriors @ inverse[where]
        targets[part.rows, part.columns] = part.posteriors @ scaled[where]
    return precisions, targets


def mllt_statistics(
    densities: DiagonalMixtures,
    features: np.ndarray,
    pdfs: np.ndarray,
    weights: np.ndarray | None = None,
) -> MlltStatistics:
    """What MLLT needs; parameters and errors are those of `gaussian_statistics`.

    The scatter around a mean m is that of the frames about nought, less what is linear in m:
    ``Σ γ (x - m)(x - m)' = Σ γ x x' - f m' - m f' + n m m'`` with f and n the Gaussian's own.
    """
    features, pdfs, weights = check_aligned(densities, features, pdfs, weights)
    means, inverse = densities.means.astype(np.float64), 1 / densities.variances.astype(np.float64)
    precisions = np.zeros(features.shape)
    linear = np.zeros(means.shape)  # n m - 2 f, of which the symmetric part counts
    for part in parts(densities, features, pdfs, weights):
        own, gamma = part.gaussians, part.posteriors
        precisions[part.rows] = gamma @ inverse[own]
        first = gamma.T @ features[part.rows].astype(np.float64)
        linear[own] = gamma.sum(axis=0)[:, None] * means[own] - 2 * first
    scatter = weighted_outer(features, precisions)
    for i, row in enumerate(inverse.T):
        change = (linear * row[:, None]).T @ means
        scatter[i] += (change + change.T) / 2
    return MlltStatistics(float(weights.sum()), scatter)


def parts(
    densities: DiagonalMixtures | TiedMixtures,
    features: np.ndarray,
    pdfs: np.ndarray,
    weights: np.ndarray,
) -> Iterator[Part]:
    """Posteriors of Gaussians, frames of one pdf (or of one codebook and stream) at a time."""
    if isinstance(densities, DiagonalMixtures):
        yield from _diagonal_parts(densities, features, pdfs, weights)
    else:
        yield from _tied_parts(densities, features, pdfs, weights)


def _diagonal_parts(
    densities: DiagonalMixtures, features: np.ndarray, pdfs: np.ndarray, weights: np.ndarray
) -> Iterator[Part]:
    everything = slice(0, densities.n_features)
    for pdf, rows in _groups(pdfs):
        chosen = slice(*densities.first_gaussian[pdf : pdf + 2])
        matrix = gaussian_matrix(densities.means[chosen], densities.variances[chosen])
        matrix[-1] += np.log(densities.weights[chosen])
        logs = (expand(features[rows]) @ matrix).astype(np.float64)
        yield Part(rows, chosen, 0, everything, *_normalise(logs, weights[rows]))


def _tied_parts(
    densities: TiedMixtures, features: np.ndarray, pdfs: np.ndarray, weights: np.ndarray
) -> Iterator[Part]:
    n_gaussians = densities.means.shape[1]
    ends = np.cumsum(densities.streams)
    for book, rows in _groups(densities.codebook[pdfs]):
        chosen = slice(book * n_gaussians, (book + 1) * n_gaussians)
        for stream, (size, end) in enumerate(zip(densities.streams, ends, strict=True)):
            columns = slice(end - size, end)
            matrix = gaussian_matrix(
                densities.means[book, :, columns], densities.variances[book, :, columns]
            )
            logs = (expand(features[rows, columns]) @ matrix).astype(np.float64)
            logs += np.log(densities.weights[stream][:, pdfs[rows]].T)
            yield Part(rows, chosen, stream, columns, *_normalise(logs, weights[rows]))


def _groups(keys: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each key with the rows it stands in, ascending."""
    order = np.argsort(keys, kind="stable")
    values, first = np.unique(keys[order], return_index=True)
    ends = [*first[1:], len(keys)]
    for value, start, end in zip(values, first, ends[: len(values)], strict=True):
        yield int(value), order[start:end]


def _normalise(logs: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Rows of joint log-likelihoods → posteriors times weights, and the weighted sum of logs."""
    top = logs.max(axis=1, keepdims=True)
    np.exp(logs - top, out=logs)
    total = logs.sum(axis=1, keepdims=True)
    logs *= weights[:, None] / total
    return logs, float(weights @ (top + np.log(total))[:, 0])


def weighted_outer(frames: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums over frames of weight * x x', for each column of weights; float64.

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


def check_aligned(
    densities: DiagonalMixtures | TiedMixtures,
    features: np.ndarray,
    pdfs: np.ndarray,
    weights: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check aligned frames at the door; weights of 1 where None."""
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
    return features, pdfs, weights
