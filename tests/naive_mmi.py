"""Slow and obvious twins of the kernels of discriminative training."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from factored_asr.acoustic.topology import Topology


def align_spans(
    topology: Topology, units: list[int], start: np.ndarray, stop: np.ndarray, scores: np.ndarray
) -> tuple[list[int], list[float], list[float]]:
    """Try all ways through a unit's states, skips among them, and all ways to cut its frames.

    Returns pdfs of all frames, totals, and their parts from transitions.
    """
    pdfs: list[int] = []
    totals, moves = [], []
    for unit, first, end in zip(units, start.tolist(), stop.tolist(), strict=True):
        n = int(topology.n_states[unit])
        best: tuple[float, list[int], float] = (-np.inf, [], -np.inf)
        for size in range(1, n + 1):
            for states in combinations(range(n), size):
                onwards = (*states[1:], n)
                if states[0] or max(b - a for a, b in zip(states, onwards, strict=True)) > 2:
                    continue
                for cuts in combinations(range(1, end - first), size - 1):
                    ends = [0, *cuts, end - first]
                    moved, way = 0.0, []
                    for k, (state, after) in enumerate(zip(states, onwards, strict=True)):
                        length = ends[k + 1] - ends[k]
                        leave = topology.exit_log_prob if after - state == 1 else (
                            topology.skip_log_prob)  # fmt: skip
                        moved += (length - 1) * float(topology.loop_log_prob[unit, state])
                        moved += float(leave[unit, state])
                        way += [int(topology.entry_pdf[unit, state])]
                        way += [int(topology.loop_pdf[unit, state])] * (length - 1)
                    said = sum(float(scores[first + t, pdf]) for t, pdf in enumerate(way))
                    best = max(best, (said + moved, way, moved))
        totals.append(best[0])
        pdfs += best[1]
        moves.append(best[2])
    return pdfs, totals, moves


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
