"""Gaussian mixture densities as matrix products.

The log density of a diagonal Gaussian is linear in ``[x, x², 1]``::

    log N(x; m, v) = x · (m / v) - x² · (1 / 2v) - ½ Σ (m² / v + log 2πv)

so all Gaussians at all frames are one matrix product, and no selection of Gaussians is needed.
Densities are plain arrays; a *scorer* holds the matrices made of them for the pdfs one wants, and
is what a stream keeps between its chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic.gmm import _kernels
from factored_asr.errors import OptionError

Score = Callable[[np.ndarray], np.ndarray]
"""Features, (n_frames, n_features), to log-likelihoods, (n_frames, n_columns)."""

_LARGEST_MEAN, _LARGEST_VARIANCE = 1e9, 1e12  # their ratios are still float32
_BLOCK_BYTES = 1 << 21  # about what a core's cache holds


@dataclass(frozen=True, eq=False)
class DiagonalMixtures:
    """Every pdf is a mixture of diagonal Gaussians of its own.

    Examples
    --------
    >>> mixtures = DiagonalMixtures([[0.0], [4.0]], [[1.0], [1.0]], [1.0, 1.0], [0, 1, 2])
    >>> mixtures.scorer()([[0.0], [2.0]]).round(3).tolist()
    [[-0.9190000295639038, -8.918999671936035], [-2.9189999103546143, -2.9189999103546143]]
    """

    means: np.ndarray
    """(n_gaussians, n_features) float32, those of one pdf together."""
    variances: np.ndarray
    """The same shape, positive."""
    weights: np.ndarray
    """(n_gaussians,) float32, positive; they sum to 1 over the Gaussians of a pdf."""
    first_gaussian: np.ndarray
    """(n_pdfs + 1,) int32: pdf p has the Gaussians first_gaussian[p]:first_gaussian[p + 1]."""

    def __post_init__(self) -> None:
        _freeze(self, ("means", "variances", "weights"), np.float32)
        _freeze(self, ("first_gaussian",), np.int32)
        _check_gaussians(self.means, self.variances, 2)
        first = self.first_gaussian
        whole = (self.weights > 0) & (self.weights < np.inf)
        if self.weights.shape != (len(self.means),) or not whole.all():
            raise OptionError(f"{len(self.means)} Gaussians need as many positive weights")
        if first.ndim != 1 or len(first) < 2 or first[0] != 0 or first[-1] != len(self.means):
            raise OptionError(f"first_gaussian must run from 0 to {len(self.means)}, got {first}")
        if (np.diff(first) < 1).any():
            raise OptionError(f"pdf {np.argmax(np.diff(first) < 1)} has no Gaussian")

    @property
    def n_pdfs(self) -> int:
        """Number of pdfs, the columns of a score matrix."""
        return len(self.first_gaussian) - 1

    @property
    def n_features(self) -> int:
        """Values that a frame of features has."""
        return self.means.shape[1]

    def scorer(self, pdfs: np.ndarray | None = None) -> DiagonalScorer:
        """Prepare the scores of some pdfs (default: all); see `GmmModel.scorer`."""
        columns = check_pdfs(pdfs, self.n_pdfs)
        size = np.diff(self.first_gaussian)[columns]
        first = np.concatenate([[0], np.cumsum(size)]).astype(np.int32)
        chosen = np.arange(first[-1]) + np.repeat(self.first_gaussian[columns] - first[:-1], size)
        matrix = gaussian_matrix(self.means[chosen], self.variances[chosen])
        matrix[-1] += np.log(self.weights[chosen])
        return DiagonalScorer(matrix, first)


@dataclass(frozen=True, eq=False)
class DiagonalScorer:
    """Log-likelihoods of frames under plain Gaussian mixtures."""

    matrix: np.ndarray
    """(2 * n_features + 1, n_gaussians) float32: the factor of [x, x², 1]."""
    first: np.ndarray
    """(n_columns + 1,) int32: the Gaussians of each column."""

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(n_frames, n_features) → (n_frames, n_columns) float32."""
        features = check_features(features, self.matrix.shape[0] // 2)
        scores = np.empty((len(features), len(self.first) - 1), np.float32)
        for block in _blocks(len(features), self.matrix.shape[1]):
            logs = expand(features[block]) @ self.matrix
            _kernels.log_sum_exp(logs, self.first, scores[block])
        return scores


@dataclass(frozen=True, eq=False)
class TiedMixtures:
    """Pdfs that share codebooks of Gaussians and differ in their mixture weights.

    One codebook for all is a semi-continuous model, one a phone a phonetically-tied one. A frame
    may be cut into streams, taken as independent: a pdf's likelihood is the product over streams
    of its mixtures.

    Examples
    --------
    >>> means, variances = [[[0.0], [4.0]]], [[[1.0], [1.0]]]  # one codebook of two Gaussians
    >>> weights = [[[0.5, 0.1], [0.5, 0.9]]]  # one stream, two Gaussians, two pdfs
    >>> TiedMixtures(means, variances, weights, codebook=[0, 0]).scorer()([[2.0]]).round(2)
    array([[-2.92, -2.92]], dtype=float32)
    """

    means: np.ndarray
    """(n_codebooks, n_gaussians, n_features) float32, the streams side by side."""
    variances: np.ndarray
    """The same shape, positive."""
    weights: np.ndarray
    """(n_streams, n_gaussians, n_pdfs) float32, positive; sum over Gaussians is 1."""
    codebook: np.ndarray
    """(n_pdfs,) int32: the codebook of each pdf."""
    streams: tuple[int, ...] = ()
    """Features in each stream, in order; empty: one stream of all."""

    def __post_init__(self) -> None:
        _freeze(self, ("means", "variances", "weights"), np.float32)
        _freeze(self, ("codebook",), np.int32)
        _check_gaussians(self.means, self.variances, 3)
        streams = tuple(map(int, self.streams)) or (self.n_features,)
        object.__setattr__(self, "streams", streams)
        if min(streams) < 1 or sum(streams) != self.n_features:
            raise OptionError(f"streams {streams} must add up to {self.n_features} features")
        if self.codebook.ndim != 1:
            raise OptionError(f"codebook must be (n_pdfs,), got {self.codebook.shape}")
        expected = (len(streams), self.means.shape[1], len(self.codebook))
        if self.weights.shape != expected or not self.weights.size:
            raise OptionError(
                f"weights must have shape {expected} (streams, Gaussians, pdfs), "
                f"got {self.weights.shape}"
            )
        if self.codebook.min() < 0 or self.codebook.max() >= len(self.means):
            raise OptionError(f"codebooks of pdfs must lie in 0..{len(self.means) - 1}")
        # In every stream the best Gaussian has likelihood 1 after scaling, so a pdf's product
        # over streams is at least the product of its smallest weights: that must be a number.
        floor = np.finfo(np.float32).tiny ** (1 / len(streams))
        if not floor <= self.weights.min() <= self.weights.max() < np.inf:
            raise OptionError(
                f"weights of {len(streams)} streams must be at least {floor:.1e}, "
                f"got {self.weights.min():.1e}: floor and renormalise them"
            )

    @property
    def n_pdfs(self) -> int:
        """Number of pdfs, the columns of a score matrix."""
        return len(self.codebook)

    @property
    def n_features(self) -> int:
        """Values that a frame of features has."""
        return self.means.shape[2]

    def scorer(self, pdfs: np.ndarray | None = None) -> TiedScorer:
        """Prepare the scores of some pdfs (default: all); see `GmmModel.scorer`."""
        wanted = check_pdfs(pdfs, self.n_pdfs)
        columns = np.argsort(self.codebook[wanted], kind="stable").astype(np.int32)
        books, size = np.unique(self.codebook[wanted], return_counts=True)
        weights = tuple(
            np.take(self.weights, wanted[part], axis=2)
            for part in np.split(columns, np.cumsum(size)[:-1])
        )
        book_of = np.repeat(np.arange(len(books), dtype=np.int32), size)
        return TiedScorer(self._matrices(books), weights, columns, books, book_of, self.streams)

    def part(self, chosen: slice) -> TiedMixtures:
        """Some neighbouring streams, with their features."""
        ends = np.cumsum([0, *self.streams])
        features = slice(ends[:-1][chosen][0], ends[1:][chosen][-1])
        return replace(
            self, means=self.means[:, :, features], variances=self.variances[:, :, features],
            weights=self.weights[chosen], streams=self.streams[chosen],
        )  # fmt: skip

    def _matrices(self, books: np.ndarray) -> tuple[np.ndarray, ...]:
        """By stream, the factor of [x, x², 1] for the Gaussians of these codebooks."""
        return tuple(
            gaussian_matrix(
                self.means[books, :, end - n : end].reshape(-1, n),
                self.variances[books, :, end - n : end].reshape(-1, n),
            )
            for n, end in zip(self.streams, np.cumsum(self.streams), strict=True)
        )


@dataclass(frozen=True, eq=False)
class TiedScorer:
    """Log-likelihoods of frames under tied mixtures."""

    gaussians: tuple[np.ndarray, ...]
    """By stream: the factor of [x, x², 1] for the Gaussians of all codebooks in use."""
    weights: tuple[np.ndarray, ...]
    """By codebook: (n_streams, n_gaussians, columns of the codebook)."""
    columns: np.ndarray
    """(n_columns,) int32: the columns of the scores, those of one codebook together."""
    books: np.ndarray
    """(n_books,) int32: the codebooks in use."""
    book_of: np.ndarray
    """(n_columns,) int32: the codebook in use of each."""
    streams: tuple[int, ...]

    def moved(self, densities: TiedMixtures) -> TiedScorer:
        """The same for Gaussians that lie elsewhere; the weights are shared, not copied."""
        return replace(self, gaussians=densities._matrices(self.books))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(n_frames, n_features) → (n_frames, n_columns) float32."""
        features = check_features(features, sum(self.streams))
        scores = np.empty((len(features), len(self.columns)), np.float32)
        if not len(self.columns):
            return scores
        for block in _blocks(len(features), self.gaussians[0].shape[1]):
            likelihood, scale = self._mixtures(features[block])
            np.log(likelihood, out=likelihood)
            _kernels.scatter_scaled(likelihood, scale, self.book_of, self.columns, scores[block])
        return scores

    def _mixtures(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each column's product over streams of weighted sums of scaled Gaussians, (n_frames,
        n_columns). And the log of the scale that keeps them from underflow, (n_frames, n_books):
        each codebook's largest Gaussian in each stream."""
        ends = np.cumsum([0, *(weights.shape[2] for weights in self.weights)])
        scale = np.zeros((len(frames), len(self.weights)), np.float32)
        product = np.ones((len(frames), ends[-1]), np.float32)
        mixture = np.empty_like(product)
        parts = np.split(frames, np.cumsum(self.streams)[:-1], axis=1)
        for stream, (part, matrix) in enumerate(zip(parts, self.gaussians, strict=True)):
            logs = (expand(part) @ matrix).reshape(len(frames), len(self.weights), -1)
            largest = logs.max(axis=2)
            scale += largest
            logs -= largest[:, :, None]
            np.exp(logs, out=logs)
            for book, weights in enumerate(self.weights):
                out = mixture[:, ends[book] : ends[book + 1]]
                np.matmul(logs[:, book], weights[stream], out=out)
            product *= mixture
        return product, scale


def gaussian_matrix(
    means: np.ndarray, variances: np.ndarray, dtype: type = np.float32
) -> np.ndarray:
    """The factor of [x, x², 1] that gives log densities; (2 n_features + 1, n_gaussians).

    Examples
    --------
    >>> gaussian_matrix([[1.0]], [[2.0]]).round(3).tolist()
    [[0.5], [-0.25], [-1.5160000324249268]]
    """
    m, v = np.asarray(means, np.float64), np.asarray(variances, np.float64)
    constant = -0.5 * (m * m / v + np.log(2 * np.pi * v)).sum(axis=1)
    return np.vstack([(m / v).T, (-0.5 / v).T, constant]).astype(dtype)


def expand(features: np.ndarray) -> np.ndarray:
    """Frames x as rows [x, x², 1], float32."""
    n = features.shape[1]
    expanded = np.ones((len(features), 2 * n + 1), np.float32)
    expanded[:, :n] = features
    np.square(expanded[:, :n], out=expanded[:, n : 2 * n])
    return expanded


def check_features(features: np.ndarray, n_features: int) -> np.ndarray:
    """Check a matrix of features at the door."""
    features = np.asarray(features, np.float32)
    if features.ndim != 2 or features.shape[1] != n_features:
        raise OptionError(
            f"features must have shape (n_frames, {n_features}), got {features.shape}"
        )
    if not np.isfinite(features).all():
        frame = np.argmin(np.isfinite(features).all(axis=1))
        raise OptionError(f"features must be finite, frame {frame} is not")
    return features


def check_pdfs(pdfs: np.ndarray | None, n_pdfs: int) -> np.ndarray:
    """The pdfs asked for, int32, in their order; None stands for all."""
    if pdfs is None:
        return np.arange(n_pdfs, dtype=np.int32)
    wanted = np.asarray(pdfs, dtype=np.int64).ravel()
    if wanted.size and (wanted.min() < 0 or wanted.max() >= n_pdfs):
        wrong = wanted.min() if wanted.min() < 0 else wanted.max()
        raise OptionError(f"pdf {wrong} is not one of the model's {n_pdfs} (0..{n_pdfs - 1})")
    return wanted.astype(np.int32)


def _blocks(n_frames: int, n_gaussians: int) -> Iterator[slice]:
    """Cut the frames so that a block's Gaussians fit a core's cache."""
    size = min(max(_BLOCK_BYTES // (4 * max(n_gaussians, 1)), 16), 1024)
    for start in range(0, n_frames, size):
        yield slice(start, min(start + size, n_frames))


def _freeze(owner: object, names: tuple[str, ...], dtype: type) -> None:
    for name in names:
        object.__setattr__(owner, name, np.ascontiguousarray(getattr(owner, name), dtype))


def _check_gaussians(means: np.ndarray, variances: np.ndarray, n_axes: int) -> None:
    if means.ndim != n_axes or means.shape != variances.shape or not means.size:
        raise OptionError(
            f"means and variances must be arrays of one shape with {n_axes} axes, "
            f"got {means.shape} and {variances.shape}"
        )
    if not (np.isfinite(means).all() and (variances > 0).all() and np.isfinite(variances).all()):
        raise OptionError("means must be finite, variances finite and positive")
    if np.abs(means).max() > _LARGEST_MEAN or not (
        1 / _LARGEST_VARIANCE <= variances.min() <= variances.max() <= _LARGEST_VARIANCE
    ):
        raise OptionError(
            f"means beyond {_LARGEST_MEAN:g}, or variances further from 1 than "
            f"{_LARGEST_VARIANCE:g} times, give densities that are no numbers"
        )
