"""Where to draw the states of a small graph."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from factored_asr.graph.graph import Graph


def placed(graph: Graph) -> np.ndarray:
    """Return where to draw each state, (n_states, 2), in columns from left to right.

    Column 0 of the result is the length of the longest path from the start without cycles. Column 1
    is the place within that column of the drawing, near the mean of the states before it.

    >>> from factored_asr.graph import ARC
    >>> arcs = np.array([(1, 0, 0.0, 1), (2, 0, 0.0, 2)], ARC)
    >>> final = np.array([np.inf, 0.0, 0.0], np.float32)
    >>> placed(Graph.from_arcs(np.zeros(2, int), arcs, final)).tolist()
    [[0.0, 0.0], [1.0, 0.5], [1.0, -0.5]]
    """
    targets = [graph.arcs["target"][first:last].tolist()
               for first, last in pairwise(graph.first_arc.tolist())]
    finished: list[int] = []  # by depth-first search: before their predecessors
    begun: set[int] = set()

    def visit(state: int) -> None:
        begun.add(state)
        for target in targets[state]:
            if target not in begun:
                visit(target)
        finished.append(state)

    visit(graph.start)
    rank_of = {state: rank for rank, state in enumerate(reversed(finished))}
    column = np.zeros(graph.n_states, int)
    for state in rank_of:
        for target in targets[state]:
            if rank_of[target] > rank_of[state]:  # an arc that leads back closes a cycle
                column[target] = max(column[target], column[state] + 1)
    place = np.zeros((graph.n_states, 2))
    place[:, 0] = column
    for depth in range(1, int(column.max()) + 1):
        states = np.flatnonzero(column == depth)
        before = [place[graph.sources[graph.arcs["target"] == s], 1].mean() for s in states]
        for rank, k in enumerate(np.argsort(-np.array(before), kind="stable")):
            place[states[k], 1] = (len(states) - 1) / 2 - rank
    return place
