"""det(L ∘ G) of an n-gram model, written out directly: a tree of pronunciations below each history.

G's arcs from a history are words. Their pronunciations share beginnings, so they make a tree, whose
last arcs lead to the histories that follow; an arc that backs off leads from root to root. That is
what composition and determinisation would give, costs and words as early as they are certain, in a
tenth of the time and without the homophones' marks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from factored_asr.acoustic.topology import BEGIN, END, INTERNAL, N_POSITIONS, SINGLE
from factored_asr.graph import _kernels
from factored_asr.graph.graph import ARC, WORDS, Graph
from factored_asr.graph.units import Units
from factored_asr.language.ngram import NGramArcs, NGramModel
from factored_asr.lexicon import Lexicon

Loops = list[tuple[int, float]]
"""Labels with their costs."""


def ngram_trees(
    lexicon: Lexicon, language: NGramModel, words: Mapping[str, int], phones: tuple[str, ...],
    units: Units, word_penalty: float, everywhere: Loops, at_empty_history: Loops,
    joints: Mapping[str, int],
) -> Graph:
    """Return det(L ∘ G); its input labels are ``1 + phone * 4 + position``, as `lexicon_graph`'s.

    Parameters
    ----------
    words
        Ids of the words that the lexicon has; others are left out.
    units
        Symbols of equal units count as the same.
    everywhere, at_empty_history
        Phones that may stand between words: silence, and fillers.
    joints
        Word ids of epsilon arcs that mark where a graph may be added. That of `WORDS` stands in the
        empty history, that of a class ("{contact}") wherever the model has this word.
    """
    table = language.arcs()
    of_word, rank_word, costs, first, symbols = pronunciations(lexicon, words, phones, units)
    word_id = np.array([words.get(word, 0) for word in language.words], np.int64)[table.word]
    known = np.flatnonzero(word_id)
    begin, end = of_word[word_id[known]], of_word[word_id[known] + 1]
    counts = end - begin
    arc = np.repeat(known, counts)
    rank = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - begin, counts)
    # Within each history in the order of the pronunciations.
    spoken, sorted_costs = costs
    rank = spoken[rank]
    order = np.lexsort((rank, table.source[arc]))
    arc, rank = arc[order], rank[order]
    cost = (sorted_costs[rank] + word_penalty - table.log_prob[arc]).astype(np.float32)
    n_roots = len(table.final)
    first_entry = np.searchsorted(table.source[arc], np.arange(n_roots + 1))
    source, arcs = _kernels.grow_trees(
        first_entry, rank, cost, table.target[arc].astype(np.int32), first, symbols,
        rank_word, np.zeros(0, ARC),
    )
    more = np.zeros(len(table.backoff_source), ARC)
    more["cost"], more["target"] = -table.log_backoff, table.backoff_target
    of_class, classes = _classes(language, table, joints)
    rows = [(label, 0, price, 0) for label, price in (*everywhere, *at_empty_history)]
    rows.append((0, joints[WORDS], 0.0, 0))
    loops = np.array(rows, ARC)
    roots = np.arange(n_roots, dtype=np.int32)
    standing = np.repeat(loops[: len(everywhere)], n_roots)
    standing["target"] = np.tile(roots, len(everywhere))
    rare = loops[len(everywhere) :]
    n_states = max(int(source.max(initial=0)), int(arcs["target"].max(initial=0)), n_roots - 1) + 1
    final = np.full(n_states, np.inf, np.float32)
    final[:n_roots] = -table.final
    return Graph.from_arcs(
        np.concatenate([source, table.backoff_source.astype(np.int32), standing["target"],
                        np.zeros(len(rare), np.int32), of_class]),
        np.concatenate([arcs, more, standing, rare, classes]), final, table.start,
    )  # fmt: skip


def _classes(
    language: NGramModel, table: NGramArcs, joints: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Sources and arcs of the classes of a model."""
    mark = np.array([joints.get(word, 0) for word in language.words], np.int64)[table.word]
    at = np.flatnonzero(mark)
    arcs = np.zeros(len(at), ARC)
    arcs["word"], arcs["target"], arcs["cost"] = mark[at], table.target[at], -table.log_prob[at]
    return table.source[at].astype(np.int32), arcs


def pronunciations(
    lexicon: Lexicon, words: Mapping[str, int], phones: tuple[str, ...], units: Units
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """The pronunciations in alphabetical order of their symbols.

    Returns five values:

    * by word id, where its pronunciations begin in `spoken`;
    * the word of each rank;
    * `spoken`, the ranks by word, with the costs by rank;
    * where each rank's symbols begin;
    * the symbols.
    """
    index = {phone: i for i, phone in enumerate(phones)}
    found = [(word_id, each) for word, word_id in words.items() for each in lexicon.find(word)]
    word = np.array([word_id for word_id, _ in found], np.int32)
    cost = -np.log(np.array([each.probability for _, each in found]))
    lengths = np.array([len(each.phones) for _, each in found])
    ends = np.cumsum(lengths)
    symbols = N_POSITIONS * np.array([index[p] for _, each in found for p in each.phones], np.int32)
    place = np.full(len(symbols), INTERNAL, np.int32)
    place[ends - 1] = END
    place[ends - lengths] = np.where(lengths > 1, BEGIN, SINGLE)
    symbols = same_units(units)[symbols + place].astype(np.int32)
    # In alphabetical order: what ends comes before what goes on.
    column = np.arange(len(symbols)) - np.repeat(ends - lengths, lengths)
    letters = np.full((len(found), lengths.max(initial=0)), -1, np.int32)
    letters[np.repeat(np.arange(len(found)), lengths), column] = symbols
    order = np.lexsort((cost, word, *letters.T[::-1]))
    letters, rank_word = letters[order], word[order]
    spoken = np.argsort(rank_word, kind="stable")
    of_word = np.searchsorted(rank_word[spoken], np.arange(max(words.values()) + 2))
    first = np.concatenate([[0], np.cumsum(lengths[order])])
    return of_word, rank_word, (spoken, cost[order]), first, letters[letters >= 0]


def same_units(units: Units) -> np.ndarray:
    """(n_symbols,): the first symbol that is the same unit in every context, and as neighbour."""
    n = len(units.unit_of)
    rows = np.column_stack([units.unit_of.reshape(n, -1), units.left_class, units.right_class])
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first[inverse.ravel()]
