"""Joints: the places of a graph where a small one may be added after it is compiled (`added`).

A joint is an epsilon arc that no search crosses. It leads to a *hub*, a state of its own. The arcs
of the hub lead to where a path goes on, one for each context of phones that it may come in. What is
added hangs between the two. An n-gram model has joints for words in its empty history, a
grammar one wherever a list that may be replaced stands.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from factored_asr.acoustic.topology import END, N_POSITIONS, SINGLE
from factored_asr.graph.graph import ARC, JOINT, WORDS, Graph
from factored_asr.graph.trees import same_units
from factored_asr.graph.units import Units

EXIT = -1
"""In place of a joint's name: an arc by which paths leave a hub."""


def with_hubs(lg: Graph, n_words: int) -> tuple[Graph, np.ndarray]:
    """Lead the joints of LG, arcs with words from `n_words` on, into hubs.

    Returns the graph, and (n_hubs, 2): state of each hub, index of the name of its joints.
    """
    at = np.flatnonzero(lg.arcs["word"] >= n_words)
    ends = np.column_stack([lg.arcs["target"][at], lg.arcs["word"][at] - n_words])
    ends, hub = np.unique(ends, axis=0, return_inverse=True)
    if not len(ends):
        return lg, ends
    arcs, exits = lg.arcs.copy(), np.zeros(len(ends), ARC)
    arcs["target"][at] = lg.n_states + hub.ravel()
    exits["target"] = ends[:, 0]
    states = lg.n_states + np.arange(len(ends), dtype=np.int32)
    graph = Graph.from_arcs(
        np.append(lg.sources, states), np.append(arcs, exits),
        np.append(lg.final, np.full(len(ends), np.inf, np.float32)), lg.start,
    )
    return graph, np.column_stack([states, ends[:, 1]])


def hub_contexts(
    lg: Graph, hubs: np.ndarray, names: tuple[str, ...], units: Units
) -> np.ndarray:
    """(n, 3): hub, left class and pending symbol that paths may come in, more than the graph has.

    After the words of a list any phones may have been the last. A word added to an n-gram model
    ends in one of the contexts that its own words end in, or in the nearest with the same last
    phone. Where none of them ends in this phone, its contexts are added.
    """
    n_symbols, _, n_right = units.unit_of.shape
    symbol = np.arange(n_symbols)
    last = np.unique(same_units(units)[np.isin(symbol % N_POSITIONS, (END, SINGLE))])
    if n_right == 1:  # a phone is written at once
        left = np.unique(units.left_class[last])
        ends = np.column_stack([left, np.full(len(left), n_symbols)])
    else:
        left = units.same_left[last]
        rows = np.column_stack([left.ravel(), np.repeat(last, left.shape[1])])
        ends = np.unique(rows, axis=0)
    found = [np.zeros((0, 3), np.int64)]
    for hub, name in hubs.tolist():
        rows = ends
        if names[name] == WORDS:
            there = _last_phones(lg, hub)
            rows = ends[~(np.isin(ends[:, 0], units.left_class[there]) if n_right == 1
                          else np.isin(ends[:, 1], there))]
        found.append(np.column_stack([np.full(len(rows), hub, np.int64), rows]))
    return np.concatenate(found)


def _last_phones(lg: Graph, hub: int) -> np.ndarray:
    """The symbols after which paths of LG come to a state over epsilon arcs."""
    silent = lg.arcs["label"] == 0
    source, target = lg.sources[silent], lg.arcs["target"][silent]
    before = np.zeros(lg.n_states, bool)
    before[hub] = True
    while len(more := source[before[target] & ~before[source]]):
        before[more] = True
    return np.unique(lg.arcs["label"][~silent & before[lg.arcs["target"]]]) - 1


def marked(
    clg: Graph, context: np.ndarray, hubs: np.ndarray, n_words: int
) -> tuple[Graph, np.ndarray]:
    """Mark joints and exits by their contexts, so that these are kept apart; make each hub one.

    `context` (n_states, 3): LG state, left class, pending symbol. Returns CLG, and for each mark,
    the words from `n_words` on: index of a name or `EXIT`, left class, pending symbol.
    """
    if not len(hubs):
        return clg, np.zeros((0, 3), np.int64)
    arcs, sources = clg.arcs.copy(), clg.sources
    is_exit = np.isin(context[sources, 0], hubs[:, 0])
    at = np.flatnonzero((arcs["word"] >= n_words) | is_exit)
    name = np.where(is_exit[at], EXIT, arcs["word"][at] - n_words)
    rows = np.column_stack([name, context[sources[at], 1:]])
    marks, mark = np.unique(rows, axis=0, return_inverse=True)
    arcs["word"][at] = n_words + mark.ravel()
    number = np.arange(clg.n_states, dtype=np.int32)
    states = np.flatnonzero(np.isin(context[:, 0], hubs[:, 0]))
    _, first, hub = np.unique(context[states, 0], return_index=True, return_inverse=True)
    number[states] = states[first][hub.ravel()]
    arcs["target"] = number[arcs["target"]]
    return Graph.from_arcs(number[sources], arcs, clg.final, clg.start), marks


def with_joints(graph: Graph, marks: np.ndarray, n_words: int) -> Graph:
    """Make the marked arcs joints and exits, which no search crosses until something is added."""
    at = np.flatnonzero(graph.arcs["word"] >= n_words)
    if not len(at):
        return graph
    joints, arcs = np.zeros(len(at), JOINT), graph.arcs.copy()
    joints["arc"], joints["cost"] = at, arcs["cost"][at]
    for name, column in zip(("name", "left", "pending"), marks.T, strict=True):
        joints[name] = column[arcs["word"][at] - n_words]
    arcs["word"][at], arcs["cost"][at] = 0, np.inf
    return replace(graph, arcs=arcs, joints=joints)
