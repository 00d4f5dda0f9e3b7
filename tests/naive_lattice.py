"""Slow, obvious twins of what a lattice holds: word strings with their least costs."""

from __future__ import annotations

import naive_decoder
import numpy as np

from factored_asr.decoder import _kernels as kernels
from factored_asr.decoder.links import RawLattice
from factored_asr.graph import Graph
from factored_asr.lattice import Lattice

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


# Of a search's links: a node is (layer, state), a link (source, target, arc, slack).
def sweep(forward: kernels.Forward, n_frames: int, ending: np.ndarray) -> tuple[dict, set]:
    """Extra cost of each node within the beam, and the links within: relaxed until nothing falls.

    `forward` must not have been pruned yet.
    """
    names, costs, layers = [], [], forward.layers
    extra: dict[tuple[int, int], float] = {}
    for layer in range(n_frames + 1):
        rows = forward.tokens[layers["node"][layer] : layers["node"][layer + 1]]
        names.append([(layer, int(state)) for state in rows["state"]])
        costs.append(rows["cost"])
        extra |= dict.fromkeys(names[layer], np.inf)
    extra |= dict(zip(names[-1], ending, strict=True))
    links = []
    for layer in range(n_frames + 1):
        homes = forward.past[layers["node"][layer] : layers["node"][layer + 1]]
        for i in np.flatnonzero(homes["before"] != kernels.NONE):
            source, target = names[layer - 1][homes["before"][i]], names[layer][i]
            links.append((source, target, kernels.NONE, homes["stay"][i] - costs[layer][i]))
        for k in range(layers["link"][layer], layers["link"][layer + 1]):
            link, silent = forward.links[k], k >= layers["silent"][layer]
            source = names[layer if silent else layer - 1][link["source"]]
            slack = link["cost"] - (0 if silent else costs[layer][link["target"]])
            links.append((source, names[layer][link["target"]], int(link["arc"]), slack))
    fell = True
    while fell:
        fell = False
        for source, target, _, slack in reversed(links):
            if slack + extra[target] < extra[source]:
                extra[source], fell = slack + extra[target], True
    beam = forward.beam
    return (
        {node: float(cost) for node, cost in extra.items() if cost <= beam},
        {link for link in links if link[3] + extra[link[1]] <= beam},
    )


def named(links: set, graph: Graph) -> set:
    """Links with the loop's number in place of the mark of those who stay in their state."""
    found = set()
    for source, target, arc, slack in links:
        if arc == kernels.NONE:
            first, after = graph.first_emitting[source[1]], graph.first_arc[source[1] + 1]
            arc = first + int(np.flatnonzero(graph.arcs["target"][first:after] == source[1])[0])
        found.add((source, target, int(arc), float(slack)))
    return found


def _names(raw: RawLattice) -> list[tuple[int, int]]:
    layer = np.searchsorted(raw.layers["node"], np.arange(len(raw.nodes)), side="right") - 1
    return list(zip(layer.tolist(), raw.nodes["state"].tolist(), strict=True))


def nodes_of(raw: RawLattice) -> dict:
    return dict(zip(_names(raw), raw.nodes["extra"].tolist(), strict=True))


def links_of(raw: RawLattice) -> set:
    names = _names(raw)
    return {
        (names[link["source"]], names[link["target"]], int(link["arc"]), float(link["cost"]))
        for link in raw.links
    }
