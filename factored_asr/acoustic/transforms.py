"""Linear maps of features.

An affine map of features is one matrix ``W = [A b]``, (n_outputs, n_inputs + 1): a frame x becomes
``A x + b``. Maps compose, so that LDA, MLLT and a speaker's fMLLR are one product at decoding.
"""

from __future__ import annotations

import numpy as np

from factored_asr.errors import OptionError


def apply_affine(affine: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Map frames: (n_frames, n_inputs) → (n_frames, n_outputs) float32.

    Raises
    ------
    OptionError
        Frames of another size, or a value that is not finite.

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
    """One map for two in turn, float32; None stands for no change.

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
    """The map that changes nothing, (n_features, n_features + 1) float32."""
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
