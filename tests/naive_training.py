"""Slow and obvious twins of what training computes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from factored_asr.acoustic import DiagonalMixtures
from factored_asr.training.sentence import Trellis


def all_paths(
    scores: np.ndarray, column: np.ndarray, trellis: Trellis
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Every path through a trellis, node by frame, with its log-likelihood."""

    def go_on(path: tuple[int, ...], total: float) -> Iterator[tuple[tuple[int, ...], float]]:
        t, node = len(path), path[-1]
        if t == len(scores):
            if trellis.end[node] > -np.inf:
                yield path, total + trellis.end[node]
            return
        ways = [(node, trellis.loop[node])]
        for target in range(len(trellis.unit)):
            for arc in range(trellis.first_in[target], trellis.first_in[target + 1]):
                if trellis.source[arc] == node:
                    ways.append((target, trellis.arc_log_prob[arc]))
        for target, log_prob in ways:
            yield from go_on((*path, target), total + log_prob + scores[t, column[target]])

    for node in np.flatnonzero(trellis.start > -np.inf):
        yield from go_on((int(node),), trellis.start[node] + scores[0, column[node]])


def log_gaussian(x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> float:
    return float(-0.5 * np.sum((x - mean) ** 2 / variance + np.log(2 * np.pi * variance)))


def accumulate(
    densities: DiagonalMixtures, features: np.ndarray, pdf: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Occupancy, first and second moments of every Gaussian, and the log-likelihood."""
    occupancy = np.zeros(len(densities.weights))
    first, second = np.zeros(densities.means.shape), np.zeros(densities.means.shape)
    total = 0.0
    for x, p, share in zip(features.astype(float), pdf, weight, strict=True):
        own = range(densities.first_gaussian[p], densities.first_gaussian[p + 1])
        means, variances = densities.means.astype(float), densities.variances.astype(float)
        joint = [
            float(densities.weights[g]) * np.exp(log_gaussian(x, means[g], variances[g]))
            for g in own
        ]
        total += share * np.log(sum(joint))
        for g, value in zip(own, joint, strict=True):
            posterior = share * value / sum(joint)
            occupancy[g] += posterior
            first[g] += posterior * x
            second[g] += posterior * x**2
    return occupancy, first, second, total
