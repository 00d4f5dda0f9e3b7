"""The M step: the model that follows from statistics, and the growth of its mixtures.

Source: Dempster, Laird, Rubin (1977); the rules for weak Gaussians and for growth are those of
Kaldi (gmm/mle-diag-gmm.cc, gmm/am-diag-gmm.cc).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic import DiagonalMixtures
from factored_asr.acoustic.gmm.statistics import GaussianStatistics
from factored_asr.errors import OptionError


@dataclass(frozen=True)
class UpdateOptions:
    """What a Gaussian needs to live, and how narrow it may be."""

    min_occupancy: float = 3.0
    """Frames below which a Gaussian is dropped, if it is not its pdf's last."""
    min_weight: float = 1e-5
    """Mixture weight below which it is dropped."""
    variance_floor: float = 0.01
    """Lowest variance, as a share of that of all frames together, dimension by dimension, [0, 1].
    Higher: broader Gaussians, safer where there is little data."""
    min_variance: float = 0.0
    """Lowest variance in absolute terms; on top of the share. Kaldi has 0.001 and no share."""

    def __post_init__(self) -> None:
        for name in ("min_occupancy", "min_weight", "variance_floor", "min_variance"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"{name} must be 0 or more, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class Update:
    """New densities, and what was done to them."""

    densities: DiagonalMixtures
    kept: np.ndarray
    """(n_gaussians before,) bool: Gaussians that were not dropped."""
    n_floored: int
    """Variances (single values) that were raised to the floor."""
    empty: np.ndarray
    """pdfs with too little data for any Gaussian: their best one stays as it was."""


def update(
    densities: DiagonalMixtures, statistics: GaussianStatistics,
    options: UpdateOptions | None = None,
) -> Update:
    """Return the densities of maximum likelihood.

    A Gaussian with too few frames is dropped, its weight shared among the others of its pdf. If
    all of a pdf have too few, the one with most frames is kept unchanged.

    Examples
    --------
    >>> one = DiagonalMixtures([[0.0]], [[1.0]], [1.0], [0, 1])
    >>> from factored_asr.acoustic.gmm.statistics import accumulate
    >>> statistics = accumulate(one, [[1.0], [1.0], [3.0], [3.0]], [0, 0, 0, 0])
    >>> better = update(one, statistics).densities
    >>> better.means.tolist(), better.variances.tolist()
    ([[2.0]], [[1.0]])
    """
    options = options or UpdateOptions()
    starts = densities.first_gaussian[:-1]
    sizes = np.diff(densities.first_gaussian)
    pdf_of = np.repeat(np.arange(densities.n_pdfs), sizes)
    occupancy = statistics.occupancy
    pdf_occupancy = np.add.reduceat(occupancy, starts)
    weight = occupancy / np.maximum(pdf_occupancy, np.finfo(float).tiny)[pdf_of]
    strong = (occupancy > options.min_occupancy) & (weight > options.min_weight)
    empty = np.flatnonzero(~np.logical_or.reduceat(strong, starts))
    kept = strong.copy()
    for p in empty:
        own = slice(starts[p], starts[p] + sizes[p])
        best = starts[p] + int(np.lexsort((densities.weights[own], occupancy[own]))[-1])
        kept[best], weight[best] = True, 1.0
    means, variances = densities.means.astype(float), densities.variances.astype(float)
    means[strong] = statistics.first[strong] / occupancy[strong, None]
    variances[strong] = statistics.second[strong] / occupancy[strong, None] - means[strong] ** 2
    floor = np.maximum(options.variance_floor * overall_variance(statistics), options.min_variance)
    floor = np.maximum(floor, np.finfo(np.float32).tiny)
    n_floored = int((variances[strong] < floor).sum())
    variances[strong] = np.maximum(variances[strong], floor)
    weight = np.where(kept, weight, 0.0)
    weight /= np.add.reduceat(weight, starts)[pdf_of]
    first = np.concatenate([[0], np.cumsum(np.add.reduceat(kept.astype(np.int64), starts))])
    new = DiagonalMixtures(means[kept], variances[kept], weight[kept], first)
    return Update(new, kept, n_floored, empty)


def overall_variance(statistics: GaussianStatistics) -> np.ndarray:
    """Return the variance of all frames together, (n_features,); zeros where there are none."""
    total = statistics.occupancy.sum()
    if not total > 0:
        return np.zeros(statistics.first.shape[1])
    mean = statistics.first.sum(axis=0) / total
    return np.maximum(statistics.second.sum(axis=0) / total - mean**2, 0.0)


def split_targets(
    occupancy: np.ndarray, target: int, power: float, min_occupancy: float = 20.0
) -> np.ndarray:
    """Return how many Gaussians each pdf should have, (n_pdfs,) int64, by its number of frames.

    One after the other goes to the pdf with the most ``frames ** power`` for each Gaussian it has
    by then, as long as at least `min_occupancy` frames are there for each.

    Examples
    --------
    >>> split_targets(np.array([1000.0, 10.0, 100.0]), 8, power=0.5).tolist()
    [5, 1, 2]
    """
    counts = np.ones(len(occupancy), np.int64)
    heap = [(-float(frames) ** power, p) for p, frames in enumerate(occupancy) if frames > 0]
    heapq.heapify(heap)
    left = target - len(occupancy)
    while left > 0 and heap:
        _, p = heapq.heappop(heap)
        if occupancy[p] < (counts[p] + 1) * min_occupancy:
            continue  # and it will never have more
        counts[p] += 1
        left -= 1
        heapq.heappush(heap, (-(float(occupancy[p]) ** power) / counts[p], p))
    return counts


def split(
    densities: DiagonalMixtures, occupancy: np.ndarray, target: int, power: float = 0.25,
    seed: int = 0, perturbation: float = 0.01,
) -> DiagonalMixtures:
    """Grow mixtures to about `target` Gaussians: the heaviest of a pdf becomes two.

    The two stand a little to each side of the old mean, in a random direction, each with half its
    weight. EM drives them apart.

    `occupancy` are the frames of each pdf, see `GaussianStatistics.of_pdfs`, `target` and `power`
    as in `split_targets`. The seed selects the directions; `perturbation` is how far each moves, in
    standard deviations.
    """
    rng = np.random.default_rng(seed)
    goal = split_targets(occupancy, target, power)
    parts: list[tuple[np.ndarray, ...]] = []
    bounds = densities.first_gaussian
    for p in range(densities.n_pdfs):
        own = slice(bounds[p], bounds[p + 1])
        weights, means = densities.weights[own], densities.means[own]
        variances = densities.variances[own]
        while len(weights) < goal[p]:
            heavy = int(np.argmax(weights))
            step = np.sqrt(variances[heavy]) * rng.standard_normal(means.shape[1])
            step = (perturbation * step).astype(np.float32)
            weights = np.append(weights, weights[heavy] / 2)
            weights[heavy] /= 2
            means = np.vstack([means, means[heavy] + step])
            means[heavy] -= step
            variances = np.vstack([variances, variances[heavy]])
        parts.append((means, variances, weights))
    means, variances, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
    first = np.concatenate([[0], np.cumsum([len(part[2]) for part in parts])])
    return DiagonalMixtures(means, variances, weights, first)
