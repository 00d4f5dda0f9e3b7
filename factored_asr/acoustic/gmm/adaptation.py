"""A given model moved towards the speech of a small corpus: MAP and MLLR of its Gaussians.

MLLR moves all means of a class by one affine map, so a minute of speech suffices; MAP moves each
Gaussian by what was heard of it, so it needs more, and goes further. One after the other is best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic.gmm.mixtures import DiagonalMixtures, TiedMixtures
from factored_asr.acoustic.gmm.posteriors import GaussianStatistics, weighted_outer
from factored_asr.errors import OptionError

Densities = DiagonalMixtures | TiedMixtures


@dataclass(frozen=True)
class MapOptions:
    """How firmly a model is believed against what is heard, in frames.

    Larger stays closer to the model; infinity leaves that part as it is.
    """

    means: float = 10.0
    """Frames that a mean counts for."""
    variances: float = 50.0
    """Frames that a variance counts for."""
    weights: float = 10.0
    """Frames that the weights of a mixture count for together."""
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
    """Maximum a posteriori means, variances and weights, the model itself being the prior.

    Gauvain and Lee, "Maximum a posteriori estimation for multivariate Gaussian mixture
    observations of Markov chains" (1994), section III, with one number for the prior's counts of
    each kind.

    Parameters
    ----------
    densities
        The model's; plain or tied mixtures.
    statistics
        Of the frames heard, taken under these densities or under others of the same shape.

    Raises
    ------
    OptionError
        The statistics are of densities of another shape.

    Examples
    --------
    >>> from factored_asr.acoustic.gmm.posteriors import gaussian_statistics
    >>> model = DiagonalMixtures([[0.0]], [[1.0]], [1.0], [0, 1])
    >>> heard = gaussian_statistics(model, [[4.0]] * 10, [0] * 10)
    >>> map_adapt(model, heard, MapOptions(means=10)).means.tolist()  # half way
    [[2.0]]
    """
    options = options or MapOptions()
    old_means, old_variances = _flat(densities, statistics)
    n = _by_feature(densities, statistics.occupancy)
    tau = min(options.means, 1e30)
    mean = (tau * old_means + statistics.first) / np.maximum(tau + n, 1e-30)
    mean = np.where(tau + n > 0, mean, old_means)
    tau = min(options.variances, 1e30)
    # What was heard is taken around the new mean, as in Kaldi's gmm/mle-diag-gmm.cc.
    heard = statistics.second - 2 * mean * statistics.first + n * mean * mean
    variance = (tau * old_variances + heard) / np.maximum(tau + n, 1e-30)
    variance = np.maximum(variance, options.min_variance * old_variances)
    variance = np.where(tau + n > 0, variance, old_variances)
    shape = densities.means.shape
    weights = _map_weights(densities, statistics.weights, options.weights)
    return replace(
        densities, means=mean.reshape(shape), variances=variance.reshape(shape), weights=weights
    )


def _map_weights(densities: Densities, occupancy: np.ndarray, tau: float) -> np.ndarray:
    """Weights of each mixture: its prior counts for tau frames, spread as the old weights are."""
    if np.isinf(tau):
        return densities.weights
    old = densities.weights.astype(np.float64)
    if isinstance(densities, TiedMixtures):
        counts = occupancy + (tau + 1e-3) * old
        shares = counts / counts.sum(axis=1, keepdims=True)
        floor = old.min()  # what the model's own scores are known to bear
        shares = np.maximum(shares, floor)
        return shares / shares.sum(axis=1, keepdims=True)
    first = densities.first_gaussian
    counts = occupancy + (tau + 1e-3) * old
    return counts / np.repeat(np.add.reduceat(counts, first[:-1]), np.diff(first))


@dataclass(frozen=True)
class MllrOptions:
    """How many maps of means there may be."""

    classes: int = 8
    """Regression classes at most: Gaussians that lie close move together. More go further."""
    min_frames: float = 1000.0
    """Frames that a map needs; classes that heard less join. Higher is safer."""
    prior_frames: float = 100.0
    """Frames that the identity counts for in each map (MAPLR). Higher is more timid."""

    def __post_init__(self) -> None:
        if self.classes < 1 or self.min_frames < 0 or not 0 <= self.prior_frames < np.inf:
            raise OptionError(
                f"classes {self.classes} must be at least 1, min_frames {self.min_frames} and "
                f"prior_frames {self.prior_frames} not negative"
            )


def mllr_adapt(
    densities: Densities, statistics: GaussianStatistics, options: MllrOptions | None = None
) -> Densities:
    """Move the means of each regression class, stream by stream, by the likeliest affine map.

    Leggetter and Woodland, "Maximum likelihood linear regression for speaker adaptation of
    continuous density hidden Markov models" (1995), for diagonal variances; the classes are a
    tree of Gaussians that lie close, cut where enough was heard.

    Raises
    ------
    OptionError
        The statistics are of densities of another shape.
    """
    options = options or MllrOptions()
    means, variances = _flat(densities, statistics)
    moved = means.copy()
    streams = _streams(densities)
    for stream, columns in enumerate(streams):
        own = means[:, columns], variances[:, columns], statistics.first[:, columns]
        occupancy = statistics.occupancy[stream]
        for members in regression_classes(own[0], occupancy, options):
            affine = mllr_map(
                own[0][members], own[1][members], occupancy[members], own[2][members],
                options.prior_frames,
            )  # fmt: skip
            moved[members, columns] = own[0][members] @ affine[:, :-1].T + affine[:, -1]
    return replace(densities, means=moved.reshape(densities.means.shape))


def mllr_map(
    means: np.ndarray,
    variances: np.ndarray,
    occupancy: np.ndarray,
    first: np.ndarray,
    prior_frames: float = 0.0,
) -> np.ndarray:
    """The affine map of means (n_gaussians, n) under which the frames are most likely.

    Parameters
    ----------
    means, variances
        (n_gaussians, n) of one class.
    occupancy, first
        (n_gaussians,) and (n_gaussians, n): sums of posteriors, and of frames by them.
    prior_frames
        Imagined frames that fit the means as they are, spread as the frames heard.

    Returns
    -------
    (n, n + 1) float64; the identity where nothing was heard.
    """
    n = means.shape[1]
    heard = np.sum(occupancy)
    if not heard > 0:
        return np.eye(n, n + 1)
    extended = np.hstack([means, np.ones((len(means), 1))])
    imagined = prior_frames * occupancy / heard
    linear = ((first + imagined[:, None] * means) / variances).T @ extended
    quadratic = weighted_outer(extended, (occupancy + imagined)[:, None] / variances)
    # Directions in which the means of the class do not differ stay as they are.
    ridge = 1e-6 * np.trace(quadratic, axis1=1, axis2=2)[:, None, None] * np.eye(n + 1) / (n + 1)
    start = np.eye(n, n + 1)
    change = linear - np.einsum("ijk,ik->ij", quadratic, start)
    return start + np.linalg.solve(quadratic + ridge, change[:, :, None])[:, :, 0]


def regression_classes(
    means: np.ndarray, occupancy: np.ndarray, options: MllrOptions
) -> list[np.ndarray]:
    """Gaussians in classes that each heard enough, those in a class close to each other.

    From one class of all, the one that heard most is cut in two, until there are as many as may
    be or no cut leaves both halves enough frames.

    Returns
    -------
    A list of index arrays that together name every Gaussian once.
    """
    waiting: list[np.ndarray] = [np.arange(len(means))]
    done: list[np.ndarray] = []
    while waiting and len(waiting) + len(done) < options.classes:
        waiting.sort(key=lambda members: occupancy[members].sum())
        members = waiting.pop()
        halves = _cut(means, occupancy, members)
        if min(occupancy[half].sum() for half in halves) < max(options.min_frames, 1e-6):
            done.append(members)
        else:
            waiting.extend(halves)
    return done + waiting


def _cut(means: np.ndarray, occupancy: np.ndarray, members: np.ndarray) -> list[np.ndarray]:
    """Two-means, begun along the axis of largest spread: the same every time."""
    own, weight = means[members], occupancy[members] + 1e-3
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


def _streams(densities: Densities) -> list[slice]:
    sizes = densities.streams if isinstance(densities, TiedMixtures) else (densities.n_features,)
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]


def _by_feature(densities: Densities, occupancy: np.ndarray) -> np.ndarray:
    """(n_streams, n_gaussians) → (n_gaussians, n_features)."""
    sizes = [columns.stop - columns.start for columns in _streams(densities)]
    return np.repeat(occupancy, sizes, axis=0).T


def _flat(
    densities: Densities, statistics: GaussianStatistics
) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances (n_gaussians, n_features) float64, once the statistics fit."""
    shape = (densities.means.size // densities.n_features, densities.n_features)
    if statistics.first.shape != shape or statistics.weights.shape != densities.weights.shape:
        raise OptionError(
            f"statistics of {statistics.first.shape} Gaussians and features do not fit "
            f"densities of {shape}"
        )
    means = densities.means.reshape(shape).astype(np.float64)
    return means, densities.variances.reshape(shape).astype(np.float64)
