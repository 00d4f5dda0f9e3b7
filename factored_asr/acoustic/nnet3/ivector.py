"""Online i-vectors: what is known of speaker and room after each part of a sound.

A Gaussian mixture (the universal background model) says which of its Gaussians a frame belongs to;
the extractor says how an i-vector w moves the Gaussians' means, mean_g = M_g w. The i-vector is the
most likely w under a normal prior: one linear equation, whose terms add up over frames.

Source: N. Dehak et al. (2011), "Front-end factor analysis for speaker verification"; online, with
weights that fall for silence, as in Kaldi's ``online-ivector-feature``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real

import numpy as np

from factored_asr.errors import OptionError

MOST_FRAMES = 1_000_000
"""Highest number of frames, and of Gaussians, that an option may give."""


@dataclass(frozen=True, eq=False)
class IvectorExtractor:
    """Everything that i-vectors are computed from.

    Raises
    ------
    OptionError
        Arrays that do not fit each other.
    """

    transform: np.ndarray
    """(dim, n_spliced) or with one column more, an offset: of spliced features."""
    global_stats: np.ndarray
    """(2, n_features + 1) float64: sums of features and squares, and their number."""
    ubm_const: np.ndarray
    """(n_gaussians,): constant of each Gaussian's log likelihood, its weight included."""
    ubm_mean: np.ndarray
    """(n_gaussians, dim): mean over variance."""
    ubm_inverse: np.ndarray
    """(n_gaussians, dim): 1 / variance."""
    means: np.ndarray
    """(n_gaussians, dim, n_ivector): M_g."""
    inverse: np.ndarray
    """(n_gaussians, dim, dim): inverse covariance of each Gaussian."""
    prior_offset: float
    """Mean of the first element of the prior; the others have 0."""
    left: int = 3
    """Frames spliced before each one."""
    right: int = 3
    n_best: int = 5
    """Gaussians of a frame at most."""
    min_posterior: float = 0.025
    """Gaussians below are left out."""
    posterior_scale: float = 0.1
    """Weight of a frame: frames next to each other say much the same."""
    max_count: float = 100.0
    """Weighted frames from which on the prior grows with the count; 0 disables it."""
    cmn_window: int = 600
    """Frames of the sliding mean."""
    speaker_frames: int = 600
    global_frames: int = 200
    """Frames' worth of the global mean, before the window is full."""

    def __post_init__(self) -> None:
        for name, n_axes in (("ubm_mean", 2), ("transform", 2), ("global_stats", 2), ("means", 3)):
            if np.ndim(getattr(self, name)) != n_axes:
                raise OptionError(f"{name} of i-vectors must have {n_axes} axes, is "
                                  f"{np.shape(getattr(self, name))}")
            if not np.size(getattr(self, name)):
                raise OptionError(f"{name} of i-vectors must not be empty")
        n, dim = np.shape(self.ubm_mean)
        shapes = {"ubm_const": (n,), "ubm_inverse": (n, dim), "inverse": (n, dim, dim)}
        for name, shape in shapes.items():
            if np.shape(getattr(self, name)) != shape:
                raise OptionError(f"{name} of i-vectors must be {shape}, is "
                                  f"{np.shape(getattr(self, name))}")
        if self.means.shape[:2] != (n, dim):
            raise OptionError(f"means of i-vectors must be ({n}, {dim}, …), is {self.means.shape}")
        for name in ("left", "right", "n_best", "cmn_window", "speaker_frames", "global_frames"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or not 0 <= int(value) <= MOST_FRAMES:
                raise OptionError(f"{name} of i-vectors must be an integer, 0 to {MOST_FRAMES}, "
                                  f"got {value!r}")
        for name in ("prior_offset", "min_posterior", "posterior_scale", "max_count"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not math.isfinite(float(value)):
                raise OptionError(f"{name} of i-vectors must be a finite number, got {value!r}")
        if not self.posterior_scale > 0:
            raise OptionError("the posterior_scale of i-vectors must be above 0, "
                              f"got {self.posterior_scale!r}")
        spliced = self.n_features * (self.left + 1 + self.right)
        if self.transform.shape not in ((dim, spliced), (dim, spliced + 1)):
            raise OptionError(f"transform of i-vectors must be ({dim}, {spliced} or one more), is "
                              f"{self.transform.shape}")
        if len(self.global_stats) != 2 or not self.global_stats[0, -1] > 0:
            raise OptionError("global_stats must be two rows of a count above 0")
        if not self.cmn_window:
            raise OptionError("the cmn_window of i-vectors must be 1 or more frames")
        if not 0 <= self.left <= 50 or not 0 <= self.right <= 50 or self.n_best < 1:
            raise OptionError("i-vectors must splice 0 to 50 frames a side, of 1 Gaussian or more")
        for name in ("transform", "ubm_const", "ubm_mean", "ubm_inverse", "means", "inverse"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.float32))

    @property
    def n_features(self) -> int:
        return self.global_stats.shape[1] - 1

    @property
    def dim(self) -> int:
        """Elements of an i-vector."""
        return int(self.means.shape[2])

    @cached_property
    def linear(self) -> np.ndarray:
        """(n_gaussians, dim, n_ivector): inverse covariance times M."""
        return np.einsum("gij,gjk->gik", self.inverse, self.means)

    @cached_property
    def quadratic(self) -> np.ndarray:
        """(n_gaussians, n_ivector²): Mᵀ · inverse covariance · M."""
        return (self.means.transpose(0, 2, 1) @ self.linear).reshape(len(self.means), -1)

    @cached_property
    def _scorer(self) -> np.ndarray:
        """(2 dim, n_gaussians): from [x, x²] to log likelihoods."""
        table = np.concatenate([self.ubm_mean, -0.5 * self.ubm_inverse], axis=1)
        return np.ascontiguousarray(table.T)

    def transformed(self, spliced: np.ndarray) -> np.ndarray:
        """Return spliced features after the transform, (n, dim)."""
        n = spliced.shape[1]
        rows = spliced @ self.transform[:, :n].T
        return rows + self.transform[:, n] if self.transform.shape[1] > n else rows

    def log_likelihoods(self, rows: np.ndarray) -> np.ndarray:
        """Return the log likelihood of each Gaussian, (n, n_gaussians)."""
        return np.concatenate([rows, rows * rows], axis=1) @ self._scorer + self.ubm_const

    def posteriors(
        self, log_likelihoods: np.ndarray, least: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the posteriors of the likeliest Gaussians, (n, n_best), and which they are.

        Those below `least` (n,), of the sum over all Gaussians, are 0 but for the likeliest.
        """
        n_best = min(self.n_best, log_likelihoods.shape[1])
        which = np.argpartition(-log_likelihoods, n_best - 1, axis=1)[:, :n_best]
        highest = log_likelihoods.max(axis=1, keepdims=True)
        total = np.exp(log_likelihoods - highest).sum(axis=1, keepdims=True)
        shares = np.exp(np.take_along_axis(log_likelihoods, which, axis=1) - highest) / total
        shares[(shares < least[:, None]) & (shares < shares.max(axis=1, keepdims=True))] = 0
        return shares / shares.sum(axis=1, keepdims=True), which


class _Window:
    """The last rows of a sequence, by their frames."""

    def __init__(self, n_columns: int, dtype: type, keep: int = 1000):
        self._rows: np.ndarray = np.zeros((2 * keep, n_columns), dtype)
        self._keep, self._first, self.end = keep, 0, 0

    def add(self, rows: np.ndarray) -> None:
        at = self.end - self._first
        if at + len(rows) > len(self._rows):
            kept = self._rows[max(0, at - self._keep) : at]
            self._first = self.end - len(kept)
            room = max(2 * self._keep, len(kept) + len(rows))
            new = np.zeros((room, self._rows.shape[1]), self._rows.dtype)
            new[: len(kept)] = kept
            self._rows, at = new, len(kept)
        self._rows[at : at + len(rows)] = rows
        self.end += len(rows)

    def at(self, frames: np.ndarray) -> np.ndarray:
        return self._rows[frames - self._first]


class OnlineIvector:
    """The i-vector of a sound so far.

    `add` takes features as they come, `reweigh` says how much frames count; `estimate` gives the
    i-vector of the frames up to one. Frames count as often as their weight changes.
    """

    def __init__(self, extractor: IvectorExtractor):
        self._extractor = extractor
        n = extractor.dim
        self._linear, self._quadratic = np.zeros(n), np.eye(n)
        self._linear[0] = extractor.prior_offset
        self._count = 0.0
        self._plain = _Window(extractor.n_features, np.float32)
        self._normal = _Window(extractor.n_features, np.float32)
        self._sums = _Window(extractor.n_features, np.float64)
        self._sums.add(np.zeros((1, extractor.n_features)))
        self._lda = _Window(2 * extractor.transform.shape[0], np.float32)
        self._pending: dict[int, float] = {}

    @property
    def n_frames(self) -> int:
        """Frames whose neighbours are there."""
        return self._lda.end

    def add(self, features: np.ndarray, *, finished: bool = False) -> None:
        """Take the features of the next frames; `finished`: they are the last ones."""
        self._plain.add(features)
        self._normal.add(self._normalised(features))
        total = self._plain.end
        n = total if finished else max(0, total - self._extractor.right)
        frames = np.arange(self.n_frames, max(n, self.n_frames))
        if not len(frames):
            return
        ex = self._extractor
        at = (frames[:, None] + np.arange(-ex.left, ex.right + 1)).clip(0, total - 1)
        self._lda.add(np.concatenate([ex.transformed(rows.at(at).reshape(len(at), -1))
                                      for rows in (self._plain, self._normal)], axis=1))

    def _normalised(self, features: np.ndarray) -> np.ndarray:
        """Features without the mean of a window before each, filled up by the global mean."""
        ex = self._extractor
        last = self._sums.at(np.array([self._sums.end - 1]))
        self._sums.add(np.cumsum(np.concatenate([last, features]), axis=0)[1:])
        end = np.arange(self._sums.end - len(features), self._sums.end)
        begin = np.maximum(0, end - ex.cmn_window)
        total, count = self._sums.at(end) - self._sums.at(begin), (end - begin).astype(np.float64)
        missing = np.minimum(ex.cmn_window - count, ex.global_frames)
        total += missing[:, None] * (ex.global_stats[0, :-1] / ex.global_stats[0, -1])
        return (features - total / (count + missing)[:, None]).astype(np.float32)

    def reweigh(self, changes: Sequence[tuple[int, float]]) -> None:
        """Add to the weights of frames, which begin at 0."""
        for frame, change in changes:
            self._pending[frame] = self._pending.get(frame, 0.0) + change

    def estimate(self, frame: int) -> np.ndarray:
        """Return the i-vector of the weighted frames up to one, less the prior's mean, (dim,)."""
        due = [each for each in self._pending if each <= frame]
        self._count_in(np.array(sorted(due), np.int64))
        offset = self._extractor.prior_offset
        if self._count > 0:
            found = np.linalg.solve(self._quadratic, self._linear)
        else:
            found = np.zeros(self._extractor.dim)
            found[0] = offset
        found[0] -= offset
        return found.astype(np.float32)

    def _count_in(self, frames: np.ndarray) -> None:
        weights = np.array([self._pending.pop(int(frame)) for frame in frames])
        frames, weights = frames[weights != 0], weights[weights != 0]
        if not len(frames):
            return
        ex = self._extractor
        plain, normal = np.split(self._lda.at(frames), 2, axis=1)
        scores = ex.log_likelihoods(normal)
        least = np.minimum(ex.min_posterior / np.abs(weights), 0.99)
        posteriors, which = ex.posteriors(scores, least)
        gamma = posteriors * (weights * ex.posterior_scale)[:, None]
        gaussians, at = np.unique(which[gamma != 0], return_inverse=True)
        counts = np.zeros((len(gaussians), len(frames)), np.float32)
        counts[at, np.nonzero(gamma)[0]] = gamma[gamma != 0]
        moved = (counts @ plain).reshape(1, -1)
        self._linear += (moved @ ex.linear[gaussians].reshape(moved.size, -1))[0]
        self._quadratic += (counts.sum(axis=1) @ ex.quadratic[gaussians]).reshape(ex.dim, -1)
        before, self._count = self._count, self._count + float(counts.sum())
        if ex.max_count > 0:
            grown = (max(self._count, ex.max_count) - max(before, ex.max_count)) / ex.max_count
            self._linear[0] += ex.prior_offset * grown
            self._quadratic[np.diag_indices(ex.dim)] += grown
