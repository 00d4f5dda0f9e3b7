"""Slow and obvious twins of the sums over paths of lattice-free MMI."""

from __future__ import annotations

import numpy as np

from factored_asr.training.chain.mmi import ChainGraph


def all_paths(
    graph: ChainGraph, n_frames: int, leak: float = 0.0
) -> list[tuple[list[int], float]]:
    """Walk along every path of so many frames: pdf of each frame, and log weight.

    With a leak, windows do not count, and any jump between two frames may come before any move.
    """
    found: list[tuple[list[int], float]] = []
    n, arcs = graph.n_nodes, list(zip(graph.source, graph.target, graph.log_arc, strict=True))

    def open_at(node: int, t: int) -> bool:
        return leak > 0 or bool(graph.first[node] <= t <= graph.last[node])

    def go(node: int, pdfs: list[int], weight: float) -> None:
        t = len(pdfs)
        if t == n_frames:
            found.append((pdfs, weight + float(graph.log_end[node])))
            return
        jumps = [(k, np.log(leak * graph.share[k])) for k in range(n)] if leak else []
        for place, jumped in [(node, 0.0), *jumps]:
            if open_at(place, t):
                go(place, [*pdfs, int(graph.loop_pdf[place])], weight + jumped)
            for source, target, log_arc in arcs:
                if source == place and open_at(target, t):
                    go(target, [*pdfs, int(graph.entry_pdf[target])], weight + jumped + log_arc)

    for node in range(n):
        if graph.log_start[node] > -np.inf and open_at(node, 0):
            go(node, [int(graph.entry_pdf[node])], float(graph.log_start[node]))
    return [(pdfs, weight) for pdfs, weight in found if weight > -np.inf]


def path_sum(scores: np.ndarray, graph: ChainGraph, leak: float = 0.0) -> tuple[float, np.ndarray]:
    """The log of the sum over all paths, and the share of the paths with a pdf at a frame."""
    posteriors, total = np.zeros(scores.shape), 0.0
    for pdfs, weight in all_paths(graph, len(scores), leak):
        frames = np.arange(len(scores))
        probability = np.exp(weight + scores[frames, pdfs].sum())
        posteriors[frames, pdfs] += probability
        total += probability
    return (np.log(total), posteriors / total) if total else (-np.inf, posteriors)
