"""Adaptation of a model to the speech of a small corpus: MAP and MLLR of its Gaussians.

MLLR moves all means of a class by one affine map, so a minute of speech suffices. MAP moves each
Gaussian by its own frames, so it needs more speech and gains more. MLLR, then MAP is best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic.gmm.mixtures import TiedMixtures
from factored_asr.acoustic.gmm.statistics import (
    Densities,
    GaussianStatistics,
    streams_of,
    weighted_outer,
)
from factored_asr.errors import OptionError


@dataclass(frozen=True)
class MapOptions:
    """Weights of the model as the prior, in frames.

    Higher: closer to the model; infinity leaves that part unchanged.
    """

    means: float = 10.0
    """Weight of a mean."""
    variances: float = 50.0
    """Weight of a variance."""
    weights: float = 10.0
    """Weight of all weights of a mixture together."""
    min_variance: float = 0.1
    """Smallest new variance as a share of the model's own, in (0, 1]."""

    def __post_init__(self) -> None:
        for name in ("means", "variances", "weights"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"MAP {name} is {getattr(self, name)}, must not be negative")
        if not 0 < self.min_variance <= 1:
            raise OptionError(f"min_variance is {self.min_variance}, must lie in (0, 1]")


def map_adapt(
    densities: Densities, statistics: GaussianStatistics, options: MapOptions | None = None
) -> Densities:
    """Return maximum a posteriori means, variances and weights, the model being the prior.

    Gauvain and Lee, "Maximum a posteriori estimation for multivariate Gaussian mixture
    observations of Markov chains" (1994), section III, with one number for the prior's counts of
    each kind.

    Raises OptionError if the statistics are of densities of another shape.

    Examples
    --------
    >>> from factored_asr.acoustic import DiagonalMixtures
    >>> from factored_asr.acoustic.gmm.statistics import accumulate
    >>> model = DiagonalMixtures([[0.0]], [[1.0]], [1.0], [0, 1])
    >>> statistics = accumulate(model, [[4.0]] * 10, [0] * 10)
    >>> map_adapt(model, statistics, MapOptions(means=10)).means.tolist()  # half way
    [[2.0]]
    """
    options = options or MapOptions()
    old_means, old_variances = _flat(densities, statistics)
    n = _by_feature(densities, statistics)
    tau = min(options.means, 1e30)
    mean = (tau * old_means + statistics.first) / np.maximum(tau + n, 1e-30)
    mean = np.where(tau + n > 0, mean, old_means)
    tau = min(options.variances, 1e30)
    # The scatter is that around the new mean, as in Kaldi's gmm/mle-diag-gmm.cc.
    scatter = statistics.second - 2 * mean * statistics.first + n * mean * mean
    variance = (tau * old_variances + scatter) / np.maximum(tau + n, 1e-30)
    variance = np.maximum(variance, options.min_variance * old_variances)
    variance = np.where(tau + n > 0, variance, old_variances)
    shape = densities.means.shape
    weights = _map_weights(densities, statistics.occupancy, options.weights)
    return replace(densities, means=mean.reshape(shape), variances=variance.reshape(shape),
                   weights=weights)


def _map_weights(densities: Densities, occupancy: np.ndarray, tau: float) -> np.ndarray:
    """Return the weights; the prior counts for tau frames, spread as the old weights are."""
    if np.isinf(tau):
        return densities.weights
    old = densities.weights.astype(np.float64)
    counts = occupancy + (tau + 1e-3) * old
    if isinstance(densities, TiedMixtures):
        shares = counts / counts.sum(axis=1, keepdims=True)
        shares = np.maximum(shares, old.min())  # what the model's own scores are known to bear
        return shares / shares.sum(axis=1, keepdims=True)
    first = densities.first_gaussian
    return counts / np.repeat(np.add.reduceat(counts, first[:-1]), np.diff(first))


@dataclass(frozen=True)
class MllrOptions:
    """How freely means may move."""

    classes: int = 8
    """Regression classes at most; close Gaussians share one. Higher: further from the model."""
    min_frames: float = 1000.0
    """Frames that a class needs for a map of its own. Higher: safer."""
    prior_frames: float = 100.0
    """Weight of the identity in each map, frames (MAPLR). Higher: closer to the model."""

    def __post_init__(self) -> None:
        if self.classes < 1 or self.min_frames < 0 or not 0 <= self.prior_frames < np.inf:
            raise OptionError(
                f"classes {self.classes} must be at least 1, min_frames {self.min_frames} and "
                f"prior_frames {self.prior_frames} not negative"
            )


def mllr_adapt(
    densities: Densities, statistics: GaussianStatistics, options: MllrOptions | None = None
) -> Densities:
    """Move the means of each regression class and stream by the affine map of highest likelihood.

    Leggetter and Woodland, "Maximum likelihood linear regression for speaker adaptation of
    continuous density hidden Markov models" (1995). Variances are diagonal. The classes are a
    tree of close Gaussians, cut where there are enough frames. Raises OptionError if the
    statistics are of densities of another shape.
    """
    options = options or MllrOptions()
    means, variances = _flat(densities, statistics)
    moved = means.copy()
    by_stream = statistics.by_stream(densities)
    for stream, columns in enumerate(streams_of(densities)):
        own = means[:, columns], variances[:, columns], statistics.first[:, columns]
        occupancy = by_stream[stream]
        for members in regression_classes(own[0], occupancy, options):
            affine = mllr_map(
                own[0][members], own[1][members], occupancy[members], own[2][members],
                options.prior_frames,
            )  # fmt: skip
            moved[members, columns] = own[0][members] @ affine[:, :-1].T + affine[:, -1]
    return replace(densities, means=moved.reshape(densities.means.shape))


def mllr_map(
    means: np.ndarray, variances: np.ndarray, occupancy: np.ndarray, first: np.ndarray,
    prior_frames: float = 0.0,
) -> np.ndarray:
    """Return the affine map of a class's means under which the frames are most likely, (n, n + 1).

    `means`, `variances` and `first` are (n_gaussians, n). `prior_frames` is the weight of the means
    as they are, in frames that are spread like the real ones. Without frames: the identity.
    """
    n = means.shape[1]
    n_frames = np.sum(occupancy)
    if not n_frames > 0:
        return np.eye(n, n + 1)
    extended = np.hstack([means, np.ones((len(means), 1))])
    prior = prior_frames * occupancy / n_frames
    linear = ((first + prior[:, None] * means) / variances).T @ extended
    quadratic = weighted_outer(extended, (occupancy + prior)[:, None] / variances)
    # Directions in which the means of the class do not differ stay as they are.
    ridge = 1e-6 * np.trace(quadratic, axis1=1, axis2=2)[:, None, None] * np.eye(n + 1) / (n + 1)
    start = np.eye(n, n + 1)
    change = linear - np.einsum("ijk,ik->ij", quadratic, start)
    return start + np.linalg.solve(quadratic + ridge, change[:, :, None])[:, :, 0]


def regression_classes(
    means: np.ndarray, occupancy: np.ndarray, options: MllrOptions
) -> list[np.ndarray]:
    """Cluster Gaussians into classes of close Gaussians with enough frames each.

    The class with most frames is cut in two, first that of all Gaussians, until there are as many
    classes as allowed or no cut leaves both halves enough frames. Each class is an array of
    indices.
    """
    waiting, done = [np.arange(len(means))], list[np.ndarray]()
    while waiting and len(waiting) + len(done) < options.classes:
        waiting.sort(key=lambda members: occupancy[members].sum())
        members = waiting.pop()
        halves = _cut(means, occupancy, members)
        enough = min(occupancy[half].sum() for half in halves) >= max(options.min_frames, 1e-6)
        (waiting if enough else done).extend(halves if enough else [members])
    return done + waiting


def _cut(means: np.ndarray, occupancy: np.ndarray, members: np.ndarray) -> list[np.ndarray]:
    """Cut a class by two-means, begun along the axis of largest spread: the same every time."""
    own, weight = means[members], occupancy[members] + 1e-3
    if len(members) < 2:
        return [members, members[:0]]
    centre = np.average(own, axis=0, weights=weight)
    _, vectors = np.linalg.eigh(np.cov(own.T, aweights=weight).reshape((own.shape[1],) * 2))
    upper = (own - centre) @ vectors[:, -1] > 0
    for _ in range(20):
        if upper.all() or not upper.any():
            break
        high = np.average(own[upper], axis=0, weights=weight[upper])
        low = np.average(own[~upper], axis=0, weights=weight[~upper])
        new = (own - (high + low) / 2) @ (high - low) > 0
        if (new == upper).all():
            break
        upper = new
    return [members[upper], members[~upper]]


def _by_feature(densities: Densities, statistics: GaussianStatistics) -> np.ndarray:
    """Return the occupancy of each Gaussian by feature, (n_gaussians, n_features)."""
    sizes = [columns.stop - columns.start for columns in streams_of(densities)]
    return np.repeat(statistics.by_stream(densities), sizes, axis=0).T


def _flat(densities: Densities, statistics: GaussianStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Return means and variances (n_gaussians, n_features) float64, if the statistics fit."""
    shape = (densities.means.size // densities.n_features, densities.n_features)
    if statistics.first.shape != shape or statistics.occupancy.shape != densities.weights.shape:
        raise OptionError(
            f"statistics of {statistics.first.shape} Gaussians and features do not fit "
            f"densities of {shape}"
        )
    means = densities.means.reshape(shape).astype(np.float64)
    return means, densities.variances.reshape(shape).astype(np.float64)
