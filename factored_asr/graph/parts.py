"""L ∘ G in parts: graphs of words that stand in a larger one, and sentences after a carrier phrase.

A part leads from state `FIRST` to state `LAST`. It takes the place of a marked arc of another L ∘ G
(`substituted`) before that is expanded, or hangs on the joints of a compiled graph (`added`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from factored_asr.graph.graph import ARC, Graph, arcs_of
from factored_asr.graph.phrases import FIRST, LAST


class Part(NamedTuple):
    """L ∘ G from `FIRST` to `LAST`, with words of its own table."""

    lg: Graph
    words: tuple[str, ...]


def as_part(lg: Graph) -> Graph:
    """Return a graph that leads from `FIRST` to `LAST`, by epsilon arcs from and to L ∘ G."""
    ends = np.flatnonzero(lg.final < np.inf)
    more = np.zeros(1 + len(ends), ARC)
    more["target"][0], more["target"][1:] = lg.start + 2, LAST
    more["cost"][1:] = lg.final[ends]
    arcs = lg.arcs.copy()
    arcs["target"] += 2
    sources = np.concatenate([lg.sources + 2, [FIRST], ends + 2]).astype(np.int32)
    return Graph.from_arcs(sources, np.append(arcs, more),
                           np.full(lg.n_states + 2, np.inf, np.float32), FIRST)


def substituted(lg: Graph, parts: Mapping[int, Graph]) -> Graph:
    """Return L ∘ G with parts in place of the arcs of some words, at the cost of these arcs.

    Arcs of one word to one state share a copy of its part.
    """
    arcs, n_states = lg.arcs.copy(), lg.n_states
    sources, pieces = [lg.sources], [arcs]
    for word, part in parts.items():
        at = np.flatnonzero(lg.arcs["word"] == word)
        for target in np.unique(lg.arcs["target"][at]):
            copy = part.arcs.copy()
            copy["target"] += n_states
            copy["target"][part.arcs["target"] == LAST] = target
            here = at[lg.arcs["target"][at] == target]
            arcs["target"][here], arcs["word"][here], arcs["label"][here] = n_states + FIRST, 0, 0
            sources.append(part.sources + np.int32(n_states))
            pieces.append(copy)
            n_states += part.n_states
    final = np.full(n_states, np.inf, np.float32)
    final[: lg.n_states] = lg.final
    return Graph.from_arcs(np.concatenate(sources), np.concatenate(pieces), final, lg.start)


def without_empty(lg: Graph) -> Graph:
    """Return L ∘ G of an n-gram model without the empty sentence.

    The first states, from which only epsilon arcs lead on without a word, get copies that are not
    final.
    """
    sources = lg.sources
    silent = (lg.arcs["label"] == 0) & (lg.arcs["word"] == 0)
    states = np.array([lg.start], np.int32)
    while len(more := np.setdiff1d(lg.arcs["target"][silent & np.isin(sources, states)], states)):
        states = np.append(states, more)
    number = np.full(lg.n_states, -1, np.int32)
    number[states] = lg.n_states + np.arange(len(states), dtype=np.int32)
    at = number[sources] >= 0
    arcs = lg.arcs[at]
    stays = silent[at] | (arcs["target"] == sources[at]) & (arcs["word"] == 0)
    arcs["target"][stays] = number[arcs["target"][stays]]
    final = np.append(lg.final, np.full(len(states), np.inf, np.float32))
    return Graph.from_arcs(np.append(sources, number[sources[at]]), np.append(lg.arcs, arcs), final,
                           int(number[lg.start]))


def with_dictation(
    lg: Graph, part: Graph, n_table: int, n_words: int, n_lists: int, n_slots: int
) -> Graph:
    """Return L ∘ G of a grammar with `part` in its slots for dictation.

    Words from `n_table` on mark `n_lists` lists, then `n_slots` slots. In the result words from
    `n_words` on mark the lists and what `part` marks by the first word after all.
    """
    arcs, marked = lg.arcs.copy(), part.arcs.copy()
    arcs["word"][lg.arcs["word"] >= n_table] += n_words - n_table
    marked["word"][part.arcs["word"] >= n_words] = n_words + n_lists
    slots = range(n_words + n_lists, n_words + n_lists + n_slots)
    return substituted(replace(lg, arcs=arcs), dict.fromkeys(slots, replace(part, arcs=marked)))


def united(parts: Sequence[Graph]) -> Graph:
    """Return one part of several."""
    if len(parts) == 1:
        return parts[0]
    arcs = np.zeros(len(parts), ARC)
    arcs["word"], arcs["target"] = np.arange(1, len(parts) + 1), LAST
    both = Graph.from_arcs(np.full(len(parts), FIRST, np.int32), arcs,
                           np.full(2, np.inf, np.float32), FIRST)
    return substituted(both, dict(enumerate(parts, 1)))


def after_words(grammar: Graph, ids: Sequence[int]) -> Graph:
    """Return G with words before each sentence; the empty sentence is left out.

    `grammar` has no epsilon arcs, and no arc leads to its start.
    """
    n = grammar.n_states
    final = np.append(grammar.final, np.full(len(ids), np.inf, np.float32)).astype(np.float32)
    final[grammar.start] = np.inf
    nodes = [*range(n, n + len(ids)), grammar.start]
    rows = [(source, word, word, 0.0, target)
            for source, word, target in zip(nodes[:-1], ids, nodes[1:], strict=True)]
    if not rows:
        return replace(grammar, final=final)
    source, leading = arcs_of(rows)
    return Graph.from_arcs(np.append(grammar.sources, source).astype(np.int32),
                           np.append(grammar.arcs, leading), final, nodes[0])
