"""A linear classifier of stretches of frames, which a folder of examples trains in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from factored_asr.acoustic.threads import blas_threads
from factored_asr.errors import FormatError, OptionError
from factored_asr.storage.reading import read_arrays
from factored_asr.storage.writing import whole_file

VERSION = 1
"""Of the files."""
SMALLEST_SCALE = 1e-3


def pooled(frames: np.ndarray) -> np.ndarray:
    """Return the mean and the standard deviation of each value over some frames.

    Parameters
    ----------
    frames
        (n_frames, n_values), at least one frame.

    Returns (2 · n_values,) float32.
    """
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Classifier:
    """Multinomial logistic regression: softmax of ``(x - mean) / scale @ weights + bias``.

    Examples
    --------
    >>> one = np.ones(1, np.float32)
    >>> made = Classifier(("low", "high"), 5 * one, one, np.array([[-1.0, 1.0]]), np.zeros(2))
    >>> made.probabilities(np.array([[5.0], [9.0]])).round(3).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """

    names: tuple[str, ...]
    """Of the classes."""
    mean: np.ndarray
    """(n_values,) float32: subtracted from what is classified."""
    scale: np.ndarray
    """(n_values,) float32: divides it."""
    weights: np.ndarray
    """(n_values, n_classes) float32."""
    bias: np.ndarray
    """(n_classes,) float32."""
    description: str = ""
    """One line on its data and their licence."""

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, n_classes), for (n, n_values)."""
        logits = (x - self.mean) / self.scale @ self.weights + self.bias
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        return logits / logits.sum(axis=1, keepdims=True)

    def write(self, path: str | Path) -> None:
        """Write the classifier to a ``.npz`` file, which takes the place of an old one whole."""
        with whole_file(path) as part, open(part, "wb") as file:
            np.savez_compressed(
                file, version=np.int32(VERSION), names=np.array(self.names),
                mean=self.mean.astype(np.float32), scale=self.scale.astype(np.float32),
                weights=self.weights.astype(np.float16), bias=self.bias.astype(np.float32),
                description=np.array(self.description),
            )

    @staticmethod
    def read(path: str | Path) -> Classifier:
        """Read what `write` wrote; FormatError where the file is damaged or of another kind."""
        values = read_arrays(path)
        try:
            if int(values["version"]) != VERSION:
                raise ValueError(f"version {values['version']}, must be {VERSION}")
            mean, scale, weights, bias = (np.asarray(values[name], np.float32)
                                          for name in ("mean", "scale", "weights", "bias"))
            made = Classifier(tuple(map(str, values["names"])), mean, scale, weights, bias,
                              str(values["description"]))
            n, k = made.weights.shape
            if made.mean.shape != (n,) or made.scale.shape != (n,) or made.bias.shape != (k,) or (
                len(made.names) != k
            ):
                raise ValueError("its arrays do not fit each other")
            if not all(np.isfinite(each).all() for each in
                       (made.mean, made.scale, made.weights, made.bias)) or (made.scale <= 0).any():
                raise ValueError("a value is not finite, or a scale is not above 0")
        except (KeyError, ValueError, TypeError) as error:
            raise FormatError(f"its arrays do not make a classifier: {error}", path) from None
        return made


def fit(
    x: np.ndarray, labels: Sequence[int] | np.ndarray, names: Sequence[str],
    *, penalty: float = 10.0, description: str = "",
) -> Classifier:
    """Fit a classifier by penalised maximum likelihood (L-BFGS).

    Parameters
    ----------
    x
        (n, n_values): what is classified.
    labels
        (n,): number of the class of each, from 0.
    names
        Of the classes; each needs an example.
    penalty
        Weight of the squared weights; higher: smoother, for few examples.
    description
        Kept with the classifier.

    Examples
    --------
    >>> made = fit(np.array([[0.0], [1.0], [9.0], [10.0]]), [0, 0, 1, 1], ["low", "high"])
    >>> int(made.probabilities(np.array([[8.0]])).argmax())
    1
    """
    from scipy.optimize import minimize

    labels = np.asarray(labels)
    n_classes = len(names)
    for number, name in enumerate(names):
        if not (labels == number).any():
            raise OptionError(f"the class '{name}' has no example")
    mean, scale = x.mean(axis=0), x.std(axis=0) + SMALLEST_SCALE
    standard = np.concatenate([(x - mean) / scale, np.ones((len(x), 1))], axis=1)
    wanted = np.eye(n_classes)[labels]
    penalties = np.full((standard.shape[1], 1), penalty)
    penalties[-1] = 0.0  # the bias is free

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        now = flat.reshape(-1, n_classes)
        logits = standard @ now
        logits -= logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(logits).sum(axis=1))
        chosen = logits[np.arange(len(x)), labels] - log_sum
        slope = np.exp(logits - log_sum[:, None]) - wanted
        gradient = standard.T @ slope + penalties * now
        value = 0.5 * (penalties * now * now).sum() - chosen.sum()
        return float(value), gradient.ravel()

    start = np.zeros(standard.shape[1] * n_classes)
    with blas_threads(1):
        best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    best = best.reshape(-1, n_classes).astype(np.float32)
    return Classifier(tuple(names), mean.astype(np.float32), scale.astype(np.float32), best[:-1],
                      best[-1], description)
