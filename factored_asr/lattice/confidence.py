"""Calibrate confidences, and measure how good they are.

The posteriors of a lattice are overconfident: paths outside the beam have no share, and frames are
taken to be independent. A monotone map, fitted on words known to be correct or wrong, corrects it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from factored_asr.errors import FormatError, OptionError

Scores: TypeAlias = "Sequence[float] | np.ndarray"
Outcomes: TypeAlias = "Sequence[bool] | np.ndarray"
CLIP = 1e-6
"""Scores are clipped to this distance from 0 and 1, where the logit is infinite."""


@dataclass(frozen=True)
class Calibration:
    """Platt's map (1999): sigmoid of ``offset + slope * logit(score) + weights · features``.

    The slope is never negative: a higher score never gives a lower probability.

    Examples
    --------
    >>> Calibration(offset=0.0, slope=0.5).probability([0.5, 0.99]).round(3).tolist()
    [0.5, 0.909]
    """

    offset: float = 0.0
    """Log-odds at a posterior of one half."""
    slope: float = 1.0
    """Factor of the posterior's log-odds; below 1: less sure."""
    weights: tuple[float, ...] = ()
    """One for each additional feature."""

    def probability(self, scores: Scores, features: np.ndarray | None = None) -> np.ndarray:
        """Return probabilities, (n,) float64, for scores of 0 to 1 and (n, n_weights) features."""
        columns = _columns(scores, features)
        if columns.shape[1] != 2 + len(self.weights):
            raise OptionError(
                f"this calibration needs {len(self.weights)} features, got {columns.shape[1] - 2}"
            )
        return _sigmoid(columns @ np.array([self.offset, self.slope, *self.weights]))

    def to_dict(self) -> dict[str, float | list[float]]:
        """Return plain numbers for JSON."""
        return {"offset": self.offset, "slope": self.slope, "weights": list(self.weights)}

    @staticmethod
    def from_dict(values: Mapping[str, object]) -> Calibration:
        """Read the result of `to_dict`; FormatError for anything else."""
        try:
            weights = tuple(map(float, values["weights"]))  # type: ignore[call-overload]
            offset, slope = (float(values[key]) for key in ("offset", "slope"))  # type: ignore
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise FormatError(
                f"a calibration is offset, slope and weights, got {values!r}"
            ) from error
        if slope < 0 or not np.isfinite([offset, slope, *weights]).all():
            raise FormatError(f"a calibration is finite and its slope not negative, got {values!r}")
        return Calibration(offset, slope, weights)


def fit_calibration(
    scores: Scores, correct: Outcomes, features: np.ndarray | None = None, *, prior: float = 1.0
) -> Calibration:
    """Fit a calibration by regularised logistic regression (Newton's method).

    Parameters
    ----------
    scores
        (n,) 0 to 1, such as posteriors of words.
    correct
        (n,) whether each word was correct.
    features
        (n, k) additional columns, such as the number of phones or frames; of size near 1.
    prior
        Weight of the prior (offset 0, slope 1, weights 0: no change) in observations, default 1;
        raise it for few words.

    Examples
    --------
    >>> sure, right = [0.9] * 10, [True] * 6 + [False] * 4
    >>> bool(fit_calibration(sure, right).probability([0.9])[0] < 0.75)
    True
    """
    if not 0 <= prior < np.inf:
        raise OptionError(f"the weight of the prior must be 0 or more, got {prior}")
    columns = _columns(scores, features)
    right = _outcomes(correct, len(columns))
    mean = np.eye(columns.shape[1])[1]
    weights = _newton(columns, right, mean, max(prior, 1e-6))
    if weights[1] < 0:  # the score misleads: use the features only
        columns[:, 1] = mean[1] = 0.0
        weights = _newton(columns, right, mean, max(prior, 1e-6))
    return Calibration(float(weights[0]), max(float(weights[1]), 0.0), tuple(weights[2:].tolist()))


def _newton(columns: np.ndarray, right: np.ndarray, mean: np.ndarray, prior: float) -> np.ndarray:
    def loss_of(weights: np.ndarray) -> float:
        logits = columns @ weights
        fit = np.logaddexp(0.0, logits) - right * logits
        return float(fit.sum() + prior / 2 * ((weights - mean) ** 2).sum())

    weights, loss = mean.copy(), np.inf
    for _ in range(100):
        p = _sigmoid(columns @ weights)
        gradient = columns.T @ (p - right) + prior * (weights - mean)
        curvature = (columns.T * (p * (1 - p))) @ columns + prior * np.eye(len(mean))
        step, size = np.linalg.solve(curvature, gradient), 1.0
        while size > 1e-6:  # the loss never rises
            tried = weights - size * step
            new_loss = loss_of(tried)
            if new_loss <= loss:
                break
            size /= 2
        if size <= 1e-6 or loss - new_loss < 1e-10:
            break
        weights, loss = tried, new_loss
    return weights


def normalised_cross_entropy(probabilities: Scores, correct: Outcomes) -> float:
    """Return the share of the uncertainty about correct words that the confidences remove.

    1 is perfect, 0 as good as one confidence for all words, below 0 worse (NIST: Siu, Gish 1999).
    OptionError: no words, or all are correct or all wrong.

    Examples
    --------
    >>> round(normalised_cross_entropy([0.9, 0.9, 0.1, 0.1], [True, True, False, False]), 3)
    0.848
    """
    p = _checked(probabilities)
    right = _outcomes(correct, len(p))
    share = right.mean()
    if share in (0.0, 1.0):
        raise OptionError("NCE needs both correct and wrong words")
    p = np.clip(p, CLIP, 1 - CLIP)
    base = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    return float(1 + np.where(right > 0, np.log(p), np.log(1 - p)).mean() / base)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Data of a reliability plot: the share of correct words in bins of confidence."""

    confidence: np.ndarray
    """(n_bins,) mean confidence of each bin that has words."""
    accuracy: np.ndarray
    """(n_bins,) share of correct words."""
    count: np.ndarray
    """(n_bins,) number of words in each bin."""

    @property
    def expected_error(self) -> float:
        """Return the expected calibration error: mean of abs(accuracy - confidence) by words."""
        return float(np.average(np.abs(self.accuracy - self.confidence), weights=self.count))


def reliability(probabilities: Scores, correct: Outcomes, *, n_bins: int = 10) -> Reliability:
    """Compare confidence and accuracy in `n_bins` bins of equal width, without empty bins.

    Examples
    --------
    >>> found = reliability([0.9, 0.9, 0.1, 0.2], [True, False, False, False], n_bins=2)
    >>> found.accuracy.tolist()
    [0.0, 0.5]
    """
    if n_bins < 1:
        raise OptionError(f"the number of bins must be at least 1, got {n_bins}")
    p = _checked(probabilities)
    right = _outcomes(correct, len(p))
    where = np.minimum((p * n_bins).astype(int), n_bins - 1)
    count = np.bincount(where, minlength=n_bins)
    kept = count > 0
    sums = (np.bincount(where, values, n_bins)[kept] for values in (p, right))
    confidence, accuracy = (total / count[kept] for total in sums)
    return Reliability(confidence, accuracy, count[kept])


def _columns(scores: Scores, features: np.ndarray | None) -> np.ndarray:
    p = np.clip(_checked(scores, empty=True), CLIP, 1 - CLIP)
    columns = [np.ones(len(p)), np.log(p / (1 - p))]
    if features is not None:
        extra = np.asarray(features, np.float64)
        if extra.ndim != 2 or len(extra) != len(p) or not np.isfinite(extra).all():
            raise OptionError(f"features must be ({len(p)}, k) finite numbers, got {extra.shape}")
        columns += list(extra.T)
    return np.stack(columns, axis=1)


def _checked(scores: Scores, *, empty: bool = False) -> np.ndarray:
    p = np.asarray(scores, np.float64)
    if p.ndim != 1 or not (empty or len(p)):
        raise OptionError(f"scores must be (n,) with n above 0, got shape {p.shape}")
    if len(p) and not (p.min() >= 0 and p.max() <= 1):
        raise OptionError("scores must be probabilities, 0 to 1")
    return p


def _outcomes(correct: Outcomes, n: int) -> np.ndarray:
    right = np.asarray(correct)
    if right.shape != (n,) or not np.isin(right, (0, 1)).all():
        raise OptionError(f"outcomes must be ({n},) true or false, got shape {right.shape}")
    if not n:
        raise OptionError("a calibration needs at least one word")
    return right.astype(np.float64)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -500, 500)))
