"""Slow, obvious twins of graph building: enumerate what a graph accepts."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

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


def in_context(symbols: tuple[int, ...], units) -> tuple[int, ...]:
    """The labels of a phone sequence, each phone's unit chosen by both neighbours."""
    labels: list[int] = []
    phones = [units.silence, *[(symbol - 1) // 4 for symbol in symbols], units.silence]
    for i, symbol in enumerate(symbols):
        unit = units.unit_of[symbol - 1, phones[i], phones[i + 2]]
        labels += [int(label) for label in units.labels[unit] if label]
    return tuple(labels)


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
