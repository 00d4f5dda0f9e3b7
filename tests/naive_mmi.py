"""Slow and obvious twins of the kernels of discriminative training."""

from __future__ import annotations

from itertools import combinations

import numpy as np


def align_spans(
    scores: np.ndarray, start: np.ndarray, stop: np.ndarray, pdfs: np.ndarray, loop: np.ndarray,
    leave: np.ndarray,
) -> tuple[list[int], list[float]]:
    """Try all ways to cut a phone's frames into its states."""
    path: list[int] = []
    totals = []
    for i in range(len(start)):
        states = [int(pdf) for pdf in pdfs[i] if pdf >= 0]
        length = int(stop[i] - start[i])
        best: tuple[float, list[int]] = (-np.inf, [])
        for cuts in combinations(range(1, length), len(states) - 1):
            ends = [0, *cuts, length]
            total, way = 0.0, []
            for s, pdf in enumerate(states):
                frames = range(start[i] + ends[s], start[i] + ends[s + 1])
                total += sum(float(scores[t, pdf]) for t in frames)
                total += (len(frames) - 1) * float(loop[i, s]) + float(leave[i, s])
                way += [pdf] * len(frames)
            best = max(best, (total, way))
        path += best[1]
        totals.append(best[0])
    return path, totals


def arc_posteriors(
    source: np.ndarray, target: np.ndarray, log_arc: np.ndarray, log_final: np.ndarray
) -> tuple[np.ndarray, float]:
    """Walk along every path."""
    likelihood, total = np.zeros(len(source)), 0.0
    ways: list[tuple[int, list[int], float]] = [(0, [], 0.0)]
    while ways:
        node, arcs, log_weight = ways.pop()
        weight = np.exp(log_weight + log_final[node])
        likelihood[arcs] += weight
        total += weight
        for a in np.flatnonzero(source == node):
            ways.append((int(target[a]), [*arcs, a], log_weight + log_arc[a]))
    return likelihood / total, float(np.log(total))
