"""Linear maps of features.

An affine map of features is one matrix ``W = [A b]``, (n_outputs, n_inputs + 1): a frame x becomes
``A x + b``. Maps compose, so that LDA, MLLT and a speaker's fMLLR are one product at decoding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic.gmm.sums import Sums
from factored_asr.errors import OptionError


def apply_affine(affine: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Map frames: (n_frames, n_inputs) → (n_frames, n_outputs) float32.

    Raises OptionError for frames of another size, or a value that is not finite.

    Examples
    --------
    >>> apply_affine([[2.0, 0.0, 1.0]], [[3.0, 4.0]])
    array([[7.]], dtype=float32)
    """
    affine = check_affine(affine, None)
    features = np.asarray(features, np.float32)
    if features.ndim != 2 or features.shape[1] != affine.shape[1] - 1:
        raise OptionError(
            f"features must have shape (n_frames, {affine.shape[1] - 1}), got {features.shape}"
        )
    if not np.isfinite(features).all():
        frame = np.argmin(np.isfinite(features).all(axis=1))
        raise OptionError(f"features must be finite, frame {frame} is not")
    return features @ affine[:, :-1].T + affine[:, -1]


def compose(second: np.ndarray, first: np.ndarray | None) -> np.ndarray:
    """Return one map for two in turn, float32; None stands for the identity.

    Examples
    --------
    >>> twice, minus_three = [[2.0, 0.0]], [[1.0, -3.0]]
    >>> compose(minus_three, twice)
    array([[ 2., -3.]], dtype=float32)
    """
    outer = np.asarray(second, np.float64)
    if first is None:
        return outer.astype(np.float32)
    product = outer[:, :-1] @ np.asarray(first, np.float64)
    product[:, -1] += outer[:, -1]
    return product.astype(np.float32)


def identity(n_features: int) -> np.ndarray:
    """Return the identity as an affine map, (n_features, n_features + 1) float32."""
    return np.eye(n_features, n_features + 1, dtype=np.float32)


def check_affine(affine: np.ndarray, n_inputs: int | None) -> np.ndarray:
    """Check a map at the door: float32, contiguous, for frames of n_inputs values."""
    affine = np.ascontiguousarray(affine, np.float32)
    columns = affine.shape[-1] if n_inputs is None else n_inputs + 1
    if affine.ndim != 2 or not affine.size or affine.shape[1] != max(columns, 2):
        wanted = "n_inputs + 1" if n_inputs is None else str(columns)
        raise OptionError(
            f"an affine map must have shape (n_outputs, {wanted}), got {affine.shape}"
        )
    if not np.isfinite(affine).all():
        raise OptionError("an affine map must be finite")
    return affine


@dataclass(frozen=True, eq=False)
class ClassStatistics(Sums):
    """Statistics for LDA of frames in classes."""

    counts: np.ndarray
    """(n_classes,) float64: frames, or their weights, in each class."""
    sums: np.ndarray
    """(n_classes, n_features) float64: sum of the frames of each class."""
    second: np.ndarray
    """(n_features, n_features) float64: sum of the frames' outer products with themselves."""

    @staticmethod
    def of(
        features: np.ndarray, classes: np.ndarray, n_classes: int, weights: np.ndarray | None = None
    ) -> ClassStatistics:
        """Return those of frames (n_frames, n_features), of their classes 0..n_classes - 1, and
        their weights, 1 where None."""
        frames = np.asarray(features, np.float64)
        classes = np.asarray(classes, np.int64)
        if classes.shape != frames.shape[:1] or (
            classes.size and not 0 <= classes.min() <= classes.max() < n_classes
        ):
            raise OptionError(f"{len(frames)} frames need a class each, 0..{n_classes - 1}")
        share = np.ones(len(frames)) if weights is None else np.asarray(weights, np.float64)
        weighed = frames * share[:, None]
        sums = np.zeros((n_classes, frames.shape[1]))
        np.add.at(sums, classes, weighed)
        counts = np.bincount(classes, share, n_classes)
        return ClassStatistics(counts, sums, weighed.T @ frames)

    def scatter(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mean, covariance within classes, and covariance of the classes' means."""
        total = self.counts.sum()
        mean = self.sums.sum(axis=0) / total
        seen = self.counts > 0
        centred = self.sums[seen] / self.counts[seen, None] - mean
        between = (centred * (self.counts[seen, None] / total)).T @ centred
        within = self.second / total - np.outer(mean, mean) - between
        return mean, within, between


def lda(statistics: ClassStatistics, n_outputs: int) -> np.ndarray:
    """Return the projection of linear discriminant analysis, (n_outputs, n_features + 1) float32.

    It maximises the ratio of the covariance between classes to that within them. Its outputs are
    centred, uncorrelated within a class and of variance 1 there, the most discriminative first.
    (Fukunaga, Introduction to Statistical Pattern Recognition, 10.2.) Raises OptionError for more
    outputs than features, or fewer frames than the covariance needs.

    Examples
    --------
    >>> frames = [[0, -1], [0, 1], [6, 9], [6, 11], [1, 0], [-1, 0], [7, 10], [5, 10]]
    >>> statistics = ClassStatistics.of(frames, [0, 0, 1, 1, 0, 0, 1, 1], 2)
    >>> abs(lda(statistics, 1)).round(3)  # along (6, 10), where the classes lie apart
    array([[0.728, 1.213, 8.246]], dtype=float32)
    """
    from scipy.linalg import eigh

    n_features = len(statistics.second)
    if not 1 <= n_outputs <= n_features:
        raise OptionError(f"n_outputs is {n_outputs}, must lie in 1..{n_features}")
    if not statistics.counts.sum() > 0:
        raise OptionError("LDA needs frames, there are none")
    mean, within, between = statistics.scatter()
    try:
        _, vectors = eigh(between, within)
    except np.linalg.LinAlgError:
        raise OptionError(
            f"{statistics.counts.sum():.0f} frames leave the covariance within classes singular"
        ) from None
    matrix = vectors[:, ::-1][:, :n_outputs].T
    return np.hstack([matrix, -(matrix @ mean)[:, None]]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class MlltStatistics(Sums):
    """Statistics for MLLT: for each dimension the precision-weighted scatter around means."""

    frames: float
    """Frames seen, or the sum of their weights."""
    scatter: np.ndarray
    """(n_features, n_features, n_features) float64: for each dimension i the sum over Gaussians
    and frames of posterior / variance_i * (x - mean)(x - mean)'."""

    def auxiliary(self, matrix: np.ndarray) -> float:
        """Return the expected log-likelihood of the frames behind a matrix, up to a constant."""
        quadratic = np.einsum("ij,ijk,ik->", matrix, self.scatter, matrix)
        return float(self.frames * np.linalg.slogdet(matrix)[1] - 0.5 * quadratic)


def mllt(statistics: MlltStatistics, n_sweeps: int = 20) -> np.ndarray:
    """Return the maximum likelihood linear transform for diagonal covariances.

    Row by row as in Gales, "Semi-tied covariance matrices for hidden Markov models" (1999),
    equation 20, with fixed variances; no update lowers the likelihood. The (n_features, n_features)
    matrix applies to features and to means alike, before the variances are re-estimated.
    """
    n_features = len(statistics.scatter)
    matrix = np.eye(n_features)
    inverses = np.linalg.inv(statistics.scatter)
    for _ in range(n_sweeps):
        before = matrix.copy()
        for i in range(n_features):
            cofactors = np.linalg.inv(matrix)[:, i]  # up to the determinant
            row = inverses[i] @ cofactors
            matrix[i] = row * np.sqrt(statistics.frames / (cofactors @ row))
        if np.abs(matrix - before).max() < 1e-6:
            break
    return matrix
