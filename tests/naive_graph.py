"""Slow, obvious twins of graph building: enumerate what a graph accepts."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from factored_asr.acoustic import Topology
from factored_asr.graph import Graph
from factored_asr.language import NGramModel


def language(graph: Graph, max_labels: int) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """Least cost of every (labels, words) pair with at most `max_labels` labels."""
    best: dict = defaultdict(lambda: np.inf)
    stack = [(graph.start, (), (), 0.0)]
    seen: dict = {}
    while stack:
        state, labels, words, cost = stack.pop()
        if seen.get((state, labels, words), np.inf) <= cost + 1e-9:
            continue
        seen[state, labels, words] = cost
        if graph.final[state] < np.inf:
            total = cost + float(graph.final[state])
            best[labels, words] = min(best[labels, words], total)
        for arc in graph.arcs[graph.first_arc[state] : graph.first_arc[state + 1]]:
            longer = (*labels, int(arc["label"])) if arc["label"] else labels
            said = (*words, int(arc["word"])) if arc["word"] else words
            if len(longer) <= max_labels and len(said) <= max_labels:
                stack.append((int(arc["target"]), longer, said, cost + float(arc["cost"])))
    return dict(best)


def costs_of(graph: Graph, n_frames: int) -> dict:
    """Least cost of every way (a pdf for each frame) and its words."""
    found: dict = {}
    for (labels, words), cost in language(graph, n_frames).items():
        key = tuple(graph.label_pdf[list(labels)].tolist()), tuple(graph.words[w] for w in words)
        if cost < np.inf:
            found[key] = min(found.get(key, np.inf), cost)
    return found


def spoken(
    symbols: tuple[int, ...], topology: Topology, max_frames: int
) -> dict[tuple[int, ...], float]:
    """Least cost of every way (a pdf for each frame) to say phones, `symbol + 1` each."""
    units = topology.units_of(np.array(symbols, np.int64) - 1).tolist()
    best: dict = defaultdict(lambda: np.inf)

    def walk(k: int, state: int, pdfs: tuple[int, ...], cost: float) -> None:
        """In state `state` of unit k; -1: before it, where blanks may stand."""
        if len(pdfs) > max_frames:
            return
        if state < 0:
            if k == len(units):
                best[pdfs] = min(best[pdfs], cost)
            if topology.has_blank:
                walk(k, -1, (*pdfs, topology.blank_pdf), cost)
            if k < len(units):
                walk(k, 0, (*pdfs, int(topology.entry_pdf[units[k], 0])), cost)
            return
        unit = units[k]
        loop, leave, skip = (
            -float(table[unit, state])
            for table in (topology.loop_log_prob, topology.exit_log_prob, topology.skip_log_prob)
        )
        walk(k, state, (*pdfs, int(topology.loop_pdf[unit, state])), cost + loop)
        for step, price in ((1, leave), (2, skip)):
            after = state + step
            if price < np.inf and after < topology.n_states[unit]:
                pdf = int(topology.entry_pdf[unit, after])
                walk(k, after, (*pdfs, pdf), cost + price)
            elif price < np.inf:
                walk(k + 1, -1, pdfs, cost + price)

    walk(0, -1, (), 0.0)
    return dict(best)


def cheapest(bigrams: NGramModel, words: tuple[str, ...]) -> float:
    """Cost of a sentence in a back-off acceptor, which may back off though it need not."""
    table = bigrams.arcs()
    costs = {table.start: 0.0}
    for word in words:
        after: dict[int, float] = {}
        for state, cost in _backed_off(table, costs).items():
            for a in np.flatnonzero((table.source == state) & (table.word == bigrams.ids[word])):
                total = cost - float(table.log_prob[a])
                after[int(table.target[a])] = min(total, after.get(int(table.target[a]), np.inf))
        costs = after
    return min(cost - float(table.final[s]) for s, cost in _backed_off(table, costs).items())


def _backed_off(table, costs: dict[int, float]) -> dict[int, float]:
    for _ in range(3):
        for state, cost in list(costs.items()):
            if state:
                target = int(table.backoff_target[state - 1])
                total = cost - float(table.log_backoff[state - 1])
                costs[target] = min(total, costs.get(target, np.inf))
    return costs


def grouped(source: np.ndarray, arcs: np.ndarray, n_states: int) -> list[list[tuple]]:
    """The arcs of each state: those without a label, then its self-loops, then the others."""
    rows: list[list[tuple]] = [[] for _ in range(n_states)]
    for state, arc in zip(source.tolist(), arcs.tolist(), strict=True):
        rows[state].append(arc)
    return [sorted(each, key=lambda arc, state=state: (arc[0] != 0, arc[0] and arc[3] != state))
            for state, each in enumerate(rows)]
