"""Slow, obvious twins of the decoder: all paths enumerated, and Viterbi over a dictionary."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from factored_asr.graph import Graph

INF = float("inf")


def score(graph: Graph, log_likelihoods: np.ndarray, frame: int, label: int) -> float:
    """Cost of a label at a frame."""
    return -float(log_likelihoods[frame, graph.label_pdf[label]])


def paths(
    graph: Graph, log_likelihoods: np.ndarray, state: int, frame: int = 0,
    silent: frozenset[int] = frozenset(),
) -> Iterator[tuple[float, list[int], int]]:
    """All ways over all frames: (cost without the final one, arcs, last state).

    Between two frames no state is passed twice: a loop of epsilon arcs that costs 0 or more never
    helps.
    """
    if frame == len(log_likelihoods):
        yield 0.0, [], state
    for a in range(graph.first_arc[state], graph.first_arc[state + 1]):
        label, target = int(graph.arcs["label"][a]), int(graph.arcs["target"][a])
        cost = float(graph.arcs["cost"][a])
        if label == 0:
            if target in silent or target == state:
                continue
            rest = paths(graph, log_likelihoods, target, frame, silent | {state})
        elif frame < len(log_likelihoods):
            cost += score(graph, log_likelihoods, frame, label)
            rest = paths(graph, log_likelihoods, target, frame + 1)
        else:
            continue
        if cost < INF:
            for rest_cost, arcs, last in rest:
                yield cost + rest_cost, [a, *arcs], last


def brute_force(graph: Graph, log_likelihoods: np.ndarray) -> tuple[float, bool]:
    """Least cost over all paths, and whether it ends in a final state (if any path can)."""
    found = list(paths(graph, log_likelihoods, graph.start))
    whole = [cost + float(graph.final[last]) for cost, _, last in found]
    if min(whole, default=INF) < INF:
        return min(whole), True
    return min((cost for cost, _, _ in found), default=INF), False


def viterbi(graph: Graph, log_likelihoods: np.ndarray) -> tuple[float, bool]:
    """The same by dynamic programming, without a beam."""
    costs = _closure(graph, {graph.start: 0.0})
    for frame in range(len(log_likelihoods)):
        reached: dict[int, float] = {}
        for state, cost in costs.items():
            for a in range(graph.first_emitting[state], graph.first_arc[state + 1]):
                arc = graph.arcs[a]
                total = cost + float(arc["cost"])
                total += score(graph, log_likelihoods, frame, int(arc["label"]))
                if total < reached.get(int(arc["target"]), INF):
                    reached[int(arc["target"])] = total
        costs = _closure(graph, reached)
    whole = min((cost + float(graph.final[state]) for state, cost in costs.items()), default=INF)
    if whole < INF:
        return whole, True
    return min(costs.values(), default=INF), False


def _closure(graph: Graph, costs: dict[int, float]) -> dict[int, float]:
    """Relax epsilon arcs until nothing gets cheaper."""
    changed = True
    while changed:
        changed = False
        for state, cost in list(costs.items()):
            for a in range(graph.first_arc[state], graph.first_emitting[state]):
                target, total = int(graph.arcs["target"][a]), cost + float(graph.arcs["cost"][a])
                if total < costs.get(target, INF) - 1e-9:
                    costs[target], changed = total, True
    return costs


def path_cost(graph: Graph, log_likelihoods: np.ndarray, arcs: np.ndarray) -> tuple[float, int]:
    """Walk a path: its cost (final cost left out) and last state; refuses one that breaks off."""
    state, frame, total = graph.start, 0, 0.0
    for a in arcs:
        if not graph.first_arc[state] <= a < graph.first_arc[state + 1]:
            raise AssertionError(f"arc {a} does not leave state {state}")
        label = int(graph.arcs["label"][a])
        total += float(graph.arcs["cost"][a])
        if label:
            total += score(graph, log_likelihoods, frame, label)
            frame += 1
        state = int(graph.arcs["target"][a])
    if frame != len(log_likelihoods):
        raise AssertionError(f"the path is {frame} frames long, not {len(log_likelihoods)}")
    return total, state
