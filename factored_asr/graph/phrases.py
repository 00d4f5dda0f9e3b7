"""L ∘ G of phrases: a tree of words, each step of it a tree of pronunciations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from factored_asr.graph.expand import minimise
from factored_asr.graph.graph import Graph
from factored_asr.graph.trees import loops_at, pronunciations
from factored_asr.graph.units import Units
from factored_asr.lexicon import Lexicon

FIRST, LAST = 0, 1
"""Where all phrases begin and end."""


Phrases = Mapping[tuple[str, ...], float]
"""Words that are said one after the other, and the cost of all of them together."""


def phrase_trees(
    phrases: Phrases, lexicon: Lexicon, words: Mapping[str, int],
    phones: Sequence[str], units: Units, word_cost: float = 0.0,
    loops: Sequence[tuple[int, float]] = (),
) -> Graph:
    """Return L ∘ G of phrases, from state `FIRST` to state `LAST`.

    An arc carries the least cost of all phrases below it, and a word as soon as it is certain.

    Parameters
    ----------
    words
        Ids of all words of the phrases.
    word_cost
        Cost of each word.
    loops
        Labels and costs of what may stand between the words of a phrase.
    """
    spelt = dict.fromkeys(chain.from_iterable(phrases))
    used = {word: k for k, word in enumerate(spelt, start=1)}
    steps = _steps(phrases, used)
    source, word, target, cost = (steps[name] for name in ("source", "word", "target", "cost"))
    n_nodes = max(int(target.max()), LAST) + 1
    above, arcs, n_states = pronunciations(lexicon, used, tuple(phones), units).below(
        n_nodes, source, word, cost + word_cost, target)
    arcs = arcs.copy()
    arcs["word"] = np.array([0, *(words[each] for each in used)], np.int32)[arcs["word"]]
    more = loops_at(np.arange(LAST + 1, n_nodes, dtype=np.int32), list(loops))
    return _merged(Graph.from_arcs(
        np.append(above, more["target"]), np.append(arcs, more),
        np.full(n_states, np.inf, np.float32),
    ))


def _merged(trees: Graph) -> Graph:
    """Return the trees with equal ends of words as one: each state costs one a context later."""
    small, kept = minimise(trees)
    last = int(np.flatnonzero(kept == LAST)[0])
    number = np.arange(small.n_states, dtype=np.int32)
    number[[LAST, last]] = number[[last, LAST]]
    arcs = small.arcs.copy()
    arcs["target"] = number[arcs["target"]]
    return Graph.from_arcs(number[small.sources], arcs, small.final, FIRST)


_STEP = np.dtype([("source", "<i4"), ("word", "<i4"), ("target", "<i4"), ("cost", "<f8")])


def _steps(phrases: Phrases, used: Mapping[str, int]) -> np.ndarray:
    """The tree of words: states before and after each word, and what it adds to the least cost of
    the phrases through it."""
    after = dict[tuple[int, int], int]()  # by state and word
    ends = dict[tuple[int, int], float]()  # words that phrases end with, and their costs
    least = [0.0, 0.0]
    for words, cost in phrases.items():
        at = FIRST
        for each in words[:-1]:
            step = at, used[each]
            if (to := after.get(step, -1)) < 0:
                to = after[step] = len(least)
                least.append(cost)
            elif cost < least[to]:
                least[to] = cost
            at = to
        ends[at, used[words[-1]]] = cost
    table = np.empty(len(after) + len(ends), _STEP)
    n = len(after)
    table["source"], table["word"] = np.array([*after, *ends], np.int32).T
    table["target"][:n], table["target"][n:] = list(after.values()), LAST
    below = np.array(least)
    table["cost"][:n] = below[table["target"][:n]]
    table["cost"][n:] = list(ends.values())
    table["cost"] -= below[table["source"]]
    return table
