"""Exercises of lessons 7 and 8: composition, search and lattices."""

from __future__ import annotations

import math
from collections.abc import Sequence

from factored_asr.course.exercise import Exercise, Mistake

Arc = tuple[int, str, str, float, int]
"""Source, input, output, cost, target."""
Pair = tuple[int, int]

L = [(0, "G", "go", 0.0, 1), (1, "OW", "-", 0.5, 2), (0, "N", "no", 0.25, 3),
     (3, "OW", "-", 0.0, 2), (5, "X", "go", 0.0, 6)]  # fmt: skip
G = [(0, "go", "GO", 1.0, 1), (1, "-", "end", 0.0, 1), (0, "no", "NO", 2.0, 1)]
SWAP = [(0, "a", "b", 0.5, 1), (1, "b", "a", 0.25, 0)]
ONLY = [(0, "b", "x", 1.0, 0), (0, "a", "y", 2.0, 0)]


def _composed(first: Sequence[Arc], second: Sequence[Arc], *, by_input: bool = False,
              add: bool = True, reached: bool = True) -> set[tuple[Pair, str, str, float, Pair]]:
    """By definition: every pair of arcs that agree, then those that can be reached."""
    arcs = {
        ((a[0], b[0]), a[1], b[2], round(a[3] + b[3] if add else max(a[3], b[3]), 6), (a[4], b[4]))
        for a in first for b in second if (a[1] if by_input else a[2]) == b[1]
    }
    if not reached:
        return arcs
    states = {(0, 0)}
    while True:
        new = {arc[4] for arc in arcs if arc[0] in states} - states
        if not new:
            return {arc for arc in arcs if arc[0] in states}
        states |= new


def _tree_arcs(pronunciations: Sequence[Sequence[str]]) -> int:
    return len({tuple(each[:n]) for each in pronunciations for n in range(1, len(each) + 1)})


def _suffixes(pronunciations: Sequence[Sequence[str]]) -> int:
    return _tree_arcs([each[::-1] for each in pronunciations])


WORDS = [word.split() for word in ("S T AA P", "S T AA R T", "G OW", "N OW", "G OW T")]

COMPOSITION = (
    Exercise(
        "compose",
        "compose(first, second) returns the arcs of the composition as a set. An arc is (source, "
        "input, output, cost, target); states are pairs, the start is (0, 0). There is no epsilon. "
        "Keep only arcs whose source can be reached. Round costs to six places.",
        _composed, [(SWAP, ONLY), (L, G)],
        (
            Mistake("The output of the first must equal the input of the second.",
                    lambda a, b: _composed(a, b, by_input=True)),
            Mistake("Costs are negative logarithms of probabilities: add them.",
                    lambda a, b: _composed(a, b, add=False)),
            Mistake("Some of these arcs begin in states that cannot be reached from (0, 0).",
                    lambda a, b: _composed(a, b, reached=False)),
        ),
    ),
    Exercise(
        "tree_arcs",
        "tree_arcs(pronunciations) returns the number of arcs of the tree that shares the common "
        "beginnings of the pronunciations, as determinisation does.",
        _tree_arcs, [(WORDS[:2],), (WORDS[2:],), (WORDS,)],
        (
            Mistake("Nothing is shared: words with the same beginning use the same arcs.",
                    lambda words: sum(map(len, words))),
            Mistake("This shares the endings: determinisation shares the beginnings.", _suffixes),
            Mistake("A phone can be shared only if all phones before it are the same.",
                    lambda words: len({(i, p) for word in words for i, p in enumerate(word)})),
        ),
    ),
)  # fmt: skip


# --- search --------------------------------------------------------------------------------------


def _kept(costs: Sequence[float], beam: float) -> list[int]:
    return [i for i, cost in enumerate(costs) if all(cost <= other + beam for other in costs)]


Path = tuple[tuple[str, ...], float]
PATHS: list[Path] = [
    (("turn", "on"), 10.0), (("turn", "off"), 11.0), (("turn", "on", "on"), 12.0), (("on",), 14.0),
]  # fmt: skip


def _posteriors(paths: Sequence[Path], *, sign: float = 1.0, norm: bool = True,
                repeats: bool = False) -> dict[str, float]:
    weights = [math.exp(-sign * cost) for _, cost in paths]
    total = math.fsum(weights) if norm else 1.0
    found: dict[str, float] = {}
    for (words, _), weight in zip(paths, weights, strict=True):
        for word in words if repeats else set(words):
            found[word] = found.get(word, 0.0) + weight / total
    return found


SEARCH = (
    Exercise(
        "prune",
        "prune(costs, beam) returns the indices of the tokens that survive, ascending: those whose "
        "cost is at most beam above the lowest cost. costs: a list.",
        _kept, [([12.0, 10.0, 21.5, 20.0], 10.0), ([105.0, 99.0, 100.0], 3.0), ([-4.0, 3.0], 5.0)],
        (
            Mistake("The beam is measured from the best token, not from zero.",
                    lambda costs, beam: [i for i, cost in enumerate(costs) if cost <= beam]),
            Mistake("A token exactly at the beam survives: use <=, not <.",
                    lambda costs, beam: [i for i, cost in enumerate(costs)
                                         if cost < min(costs) + beam]),
            Mistake("Low costs are good: keep those near the minimum, not near the maximum.",
                    lambda costs, beam: [i for i, cost in enumerate(costs)
                                         if cost >= max(costs) - beam]),
        ),
    ),
    Exercise(
        "word_posteriors",
        "word_posteriors(paths) returns {word: probability that it is in the sentence}. paths: a "
        "list of (words, cost), with cost = -log of an unnormalised probability.",
        _posteriors, [(PATHS[:2],), (PATHS,)],
        (
            Mistake("A high cost is a low probability: use exp(-cost).",
                    lambda paths: _posteriors(paths, sign=-1.0)),
            Mistake("The probabilities of all paths must sum to 1: divide by their sum.",
                    lambda paths: _posteriors(paths, norm=False)),
            Mistake("A path counts once for a word, even if it has the word twice.",
                    lambda paths: _posteriors(paths, repeats=True)),
        ),
    ),
)  # fmt: skip
