"""Slow, obvious twins of graph building: enumerate what a graph accepts."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from factored_asr.graph import Graph


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
