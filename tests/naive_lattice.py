"""Slow, obvious twins of what a lattice holds: word strings with their least costs."""

from __future__ import annotations

import naive_decoder
import numpy as np

from factored_asr.decoder import Lattice
from factored_asr.graph import Graph

Strings = dict[tuple[int, ...], float]


def strings(lattice: Lattice) -> Strings:
    """Least cost of every word string of a lattice, by walking all its paths."""
    found: Strings = {}

    def walk(node: int, words: tuple[int, ...], cost: float) -> None:
        if lattice.final[node] < np.inf:
            found[words] = min(found.get(words, np.inf), cost + lattice.final[node])
        for arc in np.flatnonzero(lattice.arc_source == node):
            word = int(lattice.arc_word[arc])
            step = lattice.arc_acoustic[arc] + lattice.arc_graph[arc]
            walk(int(lattice.arc_target[arc]), words + (word,) * (word > 0), cost + step)

    if lattice.n_nodes:
        walk(0, (), 0.0)
    return found


def graph_strings(graph: Graph, scores: np.ndarray) -> Strings:
    """The same over all paths of the graph; over those that do not end if none does."""
    found: dict[bool, Strings] = {True: {}, False: {}}
    for cost, arcs, last in naive_decoder.paths(graph, scores, graph.start):
        words = tuple(int(w) for w in graph.arcs["word"][arcs] if w)
        for whole, total in ((True, cost + float(graph.final[last])), (False, cost)):
            if total < np.inf:
                found[whole][words] = min(found[whole].get(words, np.inf), total)
    return found[True] or found[False]


def best_cost(lattice: Lattice) -> float:
    """Least cost over the arrays of a lattice, node by node."""
    costs = np.full(lattice.n_nodes, np.inf)
    costs[0] = 0.0
    for arc in range(lattice.n_arcs):
        step = lattice.arc_acoustic[arc] + lattice.arc_graph[arc]
        target = lattice.arc_target[arc]
        costs[target] = min(costs[target], costs[lattice.arc_source[arc]] + step)
    return float((costs + lattice.final).min())


def within(found: Strings, beam: float) -> Strings:
    limit = min(found.values(), default=0.0) + beam
    return {words: cost for words, cost in found.items() if cost <= limit}
