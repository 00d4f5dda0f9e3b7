"""Statistics of Gaussian mixtures: what EM collects, and the model that follows from it.

Statistics of parts of the data add up to those of the whole, so they map over processes. All sums
are float64.

Source: Dempster, Laird, Rubin (1977); the rules for weak Gaussians and the growth of mixtures are
those of Kaldi (gmm/mle-diag-gmm.cc, gmm/am-diag-gmm.cc).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic import DiagonalMixtures
from factored_asr.acoustic.gmm.mixtures import check_features, gaussian_matrix
from factored_asr.errors import OptionError


@dataclass(frozen=True, eq=False)
class MixtureStatistics:
    """Expected counts and moments of every Gaussian; a sum over frames."""

    occupancy: np.ndarray
    """(n_gaussians,) float64: expected number of frames."""
    first: np.ndarray
    """(n_gaussians, n_features) float64: sum of posterior * x."""
    second: np.ndarray
    """(n_gaussians, n_features) float64: sum of posterior * x²."""
    log_likelihood: float = 0.0
    """Sum over frames of the (weighted) log density of their pdf."""
    n_frames: float = 0.0
    """Sum of the frames' weights."""

    @classmethod
    def zeros(cls, densities: DiagonalMixtures) -> MixtureStatistics:
        """Nothing seen yet."""
        shape = densities.means.shape
        return cls(np.zeros(shape[0]), np.zeros(shape), np.zeros(shape))

    def __add__(self, other: MixtureStatistics) -> MixtureStatistics:
        return MixtureStatistics(
            self.occupancy + other.occupancy, self.first + other.first,
            self.second + other.second, self.log_likelihood + other.log_likelihood,
            self.n_frames + other.n_frames,
        )  # fmt: skip

    def of_pdfs(self, densities: DiagonalMixtures) -> np.ndarray:
        """(n_pdfs,) float64: expected number of frames of each pdf."""
        return np.add.reduceat(self.occupancy, densities.first_gaussian[:-1])


def accumulate(
    densities: DiagonalMixtures,
    features: np.ndarray,
    pdf: np.ndarray,
    weight: np.ndarray | None = None,
) -> MixtureStatistics:
    """The E step over some frames whose pdfs are known, or known with a probability.

    The frames of one pdf are worked on together: with E their rows ``[x, x², 1]`` and W the factor
    that makes log densities of them, the posteriors are ``softmax(E W)``, and all statistics of
    the pdf are ``posteriorsᵀ E``: its last column is the occupancy.

    Parameters
    ----------
    densities
        The model that says which Gaussian of its pdf a frame belongs to.
    features
        (n, n_features), in the densities' own space.
    pdf
        (n,) int: the pdf of each row of features.
    weight
        (n,) how much each row counts: posteriors of the state from `forward_backward`. 1 where
        None.

    Examples
    --------
    >>> one = DiagonalMixtures([[0.0]], [[1.0]], [1.0], [0, 1])
    >>> statistics = accumulate(one, [[1.0], [3.0]], np.array([0, 0]))
    >>> statistics.occupancy.tolist(), statistics.first.tolist(), statistics.second.tolist()
    ([2.0], [[4.0]], [[10.0]])
    """
    features = check_features(features, densities.n_features)
    pdf = np.asarray(pdf)
    if pdf.shape != (len(features),):
        raise OptionError(f"{len(features)} frames need as many pdfs, got shape {pdf.shape}")
    if pdf.size and (pdf.min() < 0 or pdf.max() >= densities.n_pdfs):
        raise OptionError(f"pdfs must lie in 0..{densities.n_pdfs - 1}")
    order = np.argsort(pdf, kind="stable")
    rows = _expanded(features[order])
    weights = np.ones(len(features)) if weight is None else np.asarray(weight, np.float64)[order]
    matrix = gaussian_matrix(densities.means, densities.variances, np.float64)
    matrix[-1] += np.log(densities.weights.astype(np.float64))
    present, first, size = np.unique(pdf[order], return_index=True, return_counts=True)
    sums = np.zeros((len(densities.means), rows.shape[1]))
    log_likelihood = 0.0
    bounds = densities.first_gaussian.tolist()
    for p, start, n in zip(present.tolist(), first.tolist(), size.tolist(), strict=True):
        own = slice(bounds[p], bounds[p + 1])
        part, share = rows[start : start + n], weights[start : start + n]
        logs = part @ matrix[:, own]
        largest = logs.max(axis=1)
        logs -= largest[:, None]
        np.exp(logs, out=logs)
        total = logs.sum(axis=1)
        log_likelihood += float(share @ (largest + np.log(total)))
        logs *= (share / total)[:, None]
        sums[own] = logs.T @ part
    n = densities.n_features
    return MixtureStatistics(
        sums[:, -1].copy(), sums[:, :n].copy(), sums[:, n:-1].copy(), log_likelihood,
        float(weights.sum()),
    )  # fmt: skip


def _expanded(features: np.ndarray) -> np.ndarray:
    """Rows [x, x², 1], float64."""
    n = features.shape[1]
    rows = np.ones((len(features), 2 * n + 1))
    rows[:, :n] = features
    np.square(rows[:, :n], out=rows[:, n:-1])
    return rows


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
    densities: DiagonalMixtures,
    statistics: MixtureStatistics,
    options: UpdateOptions | None = None,
) -> Update:
    """The M step: the densities under which what was seen is likeliest.

    A Gaussian that saw too little is dropped, its weight shared among the others of its pdf; if
    all of a pdf saw too little, the one that saw most stays as it was.

    Examples
    --------
    >>> one = DiagonalMixtures([[0.0]], [[1.0]], [1.0], [0, 1])
    >>> seen = accumulate(one, [[1.0], [1.0], [3.0], [3.0]], np.array([0, 0, 0, 0]))
    >>> better = update(one, seen).densities
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


def overall_variance(statistics: MixtureStatistics) -> np.ndarray:
    """(n_features,) variance of all frames together; zeros where there are none."""
    total = statistics.occupancy.sum()
    if not total > 0:
        return np.zeros(statistics.first.shape[1])
    mean = statistics.first.sum(axis=0) / total
    return np.maximum(statistics.second.sum(axis=0) / total - mean**2, 0.0)


def split_targets(
    occupancy: np.ndarray, target: int, power: float, min_occupancy: float = 20.0
) -> np.ndarray:
    """How many Gaussians each pdf should have, (n_pdfs,) int64, by its number of frames.

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
    densities: DiagonalMixtures,
    occupancy: np.ndarray,
    target: int,
    power: float = 0.25,
    seed: int = 0,
    perturbation: float = 0.01,
) -> DiagonalMixtures:
    """Grow mixtures to about `target` Gaussians: the heaviest of a pdf becomes two.

    The two stand a little to each side of the old mean, in a random direction, each with half its
    weight. EM drives them apart.

    Parameters
    ----------
    occupancy
        (n_pdfs,) frames of each pdf: `MixtureStatistics.of_pdfs`.
    target, power
        Gaussians altogether, and how much the frequent pdfs are favoured; see `split_targets`.
    seed
        Of the random directions.
    perturbation
        How far each moves, in standard deviations.
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
