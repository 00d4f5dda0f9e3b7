"""det(L ∘ G), written out directly: a tree of pronunciations below each state of G.

G's arcs from a state, such as the history of an n-gram model, are words. Their pronunciations share
beginnings, so they make a tree, whose last arcs lead to the states that follow; an arc that backs
off leads from root to root. That is what composition and determinisation would give, costs and
words as early as they are certain, in a tenth of the time and without the homophones' marks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from factored_asr.acoustic.topology import BEGIN, END, INTERNAL, N_POSITIONS, SINGLE
from factored_asr.graph import _kernels
from factored_asr.graph.convert import graph_of
from factored_asr.graph.graph import ARC, WORDS, Graph
from factored_asr.graph.units import Units, first_equal
from factored_asr.language.acceptor import Acceptor, trimmed
from factored_asr.language.ngram import NGramArcs, NGramModel
from factored_asr.lexicon import Lexicon, Pronunciation

Loops = list[tuple[int, float]]
"""Labels with their costs."""


class Ranked(NamedTuple):
    """Pronunciations in alphabetical order of their symbols, by rank."""

    word: np.ndarray
    """(n,) int32."""
    cost: np.ndarray
    """(n,) float64."""
    first: np.ndarray
    """(n + 1,) int64: where each rank's symbols begin."""
    symbols: np.ndarray
    """int32, of all."""

    @staticmethod
    def of(letters: np.ndarray, word: np.ndarray, cost: np.ndarray) -> Ranked:
        """Rank pronunciations, one a row, -1 after their ends: what ends precedes what goes on."""
        order = np.lexsort((cost, word, *letters.T[::-1]))
        letters = letters[order]
        first = np.concatenate([[0], np.cumsum(np.count_nonzero(letters >= 0, axis=1))])
        return Ranked(word[order].astype(np.int32), cost[order], first,
                      letters[letters >= 0].astype(np.int32))

    def below(
        self, n_roots: int, source: np.ndarray, word: np.ndarray, cost: np.ndarray,
        target: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Hang the pronunciations of arcs from root to root below their sources, as trees.

        Returns source and arc of each branch, and the number of states, those of the roots first.
        """
        spoken = np.argsort(self.word, kind="stable")
        begin, end = (np.searchsorted(self.word[spoken], word, side) for side in ("left", "right"))
        counts = end - begin
        arc = np.repeat(np.arange(len(word)), counts)
        before = np.cumsum(counts) - counts
        rank = spoken[np.arange(counts.sum()) - np.repeat(before - begin, counts)]
        order = np.lexsort((rank, source[arc]))  # within each root in the order of the ranks
        arc, rank = arc[order], rank[order]
        above, arcs = _kernels.grow_trees(
            np.searchsorted(source[arc], np.arange(n_roots + 1)), rank,
            (self.cost[rank] + cost[arc]).astype(np.float32), target[arc].astype(np.int32),
            self.first, self.symbols, self.word, np.zeros(0, ARC),
        )
        return above, arcs, max(n_roots, int(arcs["target"].max(initial=0)) + 1)


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
    word_id = np.array([words.get(word, 0) for word in language.words], np.int64)[table.word]
    known = word_id > 0
    n_roots = len(table.final)
    source, arcs, n_states = pronunciations(lexicon, words, phones, units).below(
        n_roots, table.source[known], word_id[known], word_penalty - table.log_prob[known],
        table.target[known],
    )
    more = np.zeros(len(table.backoff_source), ARC)
    more["cost"], more["target"] = -table.log_backoff, table.backoff_target
    of_class, classes = _classes(language, table, joints)
    rows = [(label, 0, price, 0) for label, price in at_empty_history]
    rare = np.array([*rows, (0, joints[WORDS], 0.0, 0)], ARC)
    standing = loops_at(np.arange(n_roots, dtype=np.int32), everywhere)
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


def grammar_trees(lexicon: Graph, grammar: Graph) -> Graph:
    """Return det(L ∘ G) of L as `lexicon_graph` writes it, and G, an acceptor without epsilons.

    G is deterministic, or its words are not told apart.
    """
    first, arcs = lexicon.first_arc, lexicon.arcs
    at = np.arange(first[1])  # of the state that all pronunciations begin and end in
    loops = [(label, cost) for label, word, cost, _ in arcs[at].tolist() if not word]
    at = at[arcs["word"][at] > 0]
    word, cost, columns = arcs["word"][at], np.zeros(len(at)), list[np.ndarray]()
    inside = np.ones(len(at), bool)
    while inside.any():
        columns.append(np.where(inside, arcs["label"][at] - 1, -1))
        cost += np.where(inside, arcs["cost"][at], 0.0)
        inside &= arcs["target"][at] > 0
        at = np.where(inside, first[arcs["target"][at]], at)
    spoken = Ranked.of(np.column_stack(columns), word, cost)
    n_roots, words = grammar.n_states, grammar.arcs["word"]
    source, branches, n_states = spoken.below(
        n_roots, grammar.sources, words, grammar.arcs["cost"], grammar.arcs["target"])
    standing = loops_at(np.arange(n_roots, dtype=np.int32), loops)
    final = np.append(grammar.final, np.full(n_states - n_roots, np.inf, np.float32))
    made = Acceptor.from_arcs(np.append(source, standing["target"]), np.append(branches, standing),
                              final, grammar.start)
    return graph_of(trimmed(made))  # without words that have no pronunciation


def loops_at(states: np.ndarray, loops: Loops) -> np.ndarray:
    """Return self-loops of states, each with all these labels and costs."""
    arcs = np.zeros((len(loops), len(states)), ARC)
    arcs["target"] = states
    for row, (label, cost) in zip(arcs, loops, strict=True):
        row["label"], row["cost"] = label, cost
    return arcs.ravel()


def pronunciations(
    lexicon: Lexicon, words: Mapping[str, int], phones: tuple[str, ...], units: Units
) -> Ranked:
    """Return the pronunciations of words, by their ids."""
    index = {phone: i for i, phone in enumerate(phones)}
    ids, found = list[int](), list[Pronunciation]()
    for name, word_id in words.items():
        spoken = lexicon.get(name) or lexicon.find(name)
        found += spoken
        ids += [word_id] * len(spoken)
    word = np.array(ids, np.int32)
    cost = -np.log(np.array([each.probability for each in found]))
    lengths = np.array([len(each.phones) for each in found])
    ends = np.cumsum(lengths)
    symbols = N_POSITIONS * np.array([index[p] for each in found for p in each.phones], np.int32)
    place = np.full(len(symbols), INTERNAL, np.int32)
    place[ends - 1] = END
    place[ends - lengths] = np.where(lengths > 1, BEGIN, SINGLE)
    symbols = same_units(units)[symbols + place].astype(np.int32)
    column = np.arange(len(symbols)) - np.repeat(ends - lengths, lengths)
    letters = np.full((len(found), lengths.max(initial=0)), -1, np.int32)
    letters[np.repeat(np.arange(len(found)), lengths), column] = symbols
    return Ranked.of(letters, word, cost)


def same_units(units: Units) -> np.ndarray:
    """(n_symbols,): the first symbol that is the same unit in every context, and as neighbour."""
    n = len(units.unit_of)
    rows = np.column_stack([units.unit_of.reshape(n, -1), units.left_class, units.right_class])
    return np.array(first_equal(rows))
