"""Back-off links of an n-gram model, and the model as a back-off acceptor in arrays.

All n-grams share one numbering, their *nodes*: 0 is the empty history, then come the rows of order
1, of order 2 and so on. A link leads to the longest proper suffix that is a node, as the failure
link in Aho and Corasick's automaton does (CACM 1975).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from factored_asr.language.trie import BEGIN, END, NGramTrie

_ARC_TYPES = (np.int32, np.int32, np.float32, np.int32)


@dataclass(frozen=True, eq=False)
class Links:
    """Back-off links of the n-grams of one order."""

    node: np.ndarray
    """(n,) int64: the longest proper suffix that is an n-gram; for unigrams 0, the empty one."""
    log_prob: np.ndarray
    """(n,) float64: natural log of P(last word | history less its first word); 0 for unigrams."""


@dataclass(frozen=True, eq=False)
class NGramArcs:
    """An n-gram model as a back-off acceptor: a state for every history that something follows.

    In a state, take the arc of the next word, or else the back-off arc, and repeat. The log
    probabilities along the path, and the final one, add up to ``NGramModel.score_sentence``
    exactly. A history that nothing follows can only back off, so it is no state: the arc that
    would lead into it carries its back-off weight.

    No arc carries ``<s>`` or ``</s>``: the one is the start state, the other the final log
    probabilities. ``<unk>`` is a word like any other. Word arcs are sorted by (source, word),
    back-off arcs by source; every state but 0 has one.
    """

    start: int
    """State after ``<s>``; 0 in a model without that mark."""
    n_states: int
    """States 0 to n_states - 1; state 0 is the empty history. Some may not be reachable."""
    source: np.ndarray
    """(n_arcs,) int32"""
    word: np.ndarray
    """(n_arcs,) int32, ids in the model's words"""
    log_prob: np.ndarray
    """(n_arcs,) float32, natural log"""
    target: np.ndarray
    """(n_arcs,) int32"""
    backoff_source: np.ndarray
    """(n_states - 1,) int32"""
    log_backoff: np.ndarray
    """(n_states - 1,) float32, natural log; may be above 0"""
    backoff_target: np.ndarray
    """(n_states - 1,) int32, always a shorter history"""
    final: np.ndarray
    """(n_states,) float32: log P(</s> | state), -inf where only backing off leads to the end; 0
    everywhere in a model without ``</s>``"""


def first_nodes(model: NGramTrie) -> np.ndarray:
    """Return (order + 1,) int64: the node of row 0 of each order; entry 0: the empty history."""
    return np.concatenate([[0, 1], 1 + np.cumsum(model.counts)])


def back_off_links(model: NGramTrie) -> list[Links]:
    """Return the links of every order; entry n belongs to order n (0: the empty history)."""
    links: list[Links] = []
    while len(links) <= model.order:
        links.append(next_links(model, links))
    return links


def next_links(model: NGramTrie, links: list[Links]) -> Links:
    """Return the links of order ``len(links)``, given those of all lower orders."""
    n = len(links)
    if n < 2:
        size = len(model.orders[0]) if n else 1
        return Links(np.zeros(size, np.int64), np.zeros(size))
    at, first = model.orders[n - 1], first_nodes(model)
    backoff = np.concatenate([[0.0], *(lower.backoff for lower in model.orders[: n - 1])])
    node, paid = np.zeros(len(at), np.int64), np.zeros(len(at))
    # A history one word shorter that is itself no n-gram costs nothing to back off from, so the
    # first one to try is the longest that there is.
    suffix = links[n - 1].node[at.parent]
    link = np.concatenate([lower.node for lower in links])
    pending = np.arange(len(at))
    while len(pending):
        child = _child(model, first, suffix, at.word[pending])
        found = child >= 0
        node[pending[found]] = child[found]
        pending, suffix = pending[~found], suffix[~found]
        paid[pending] += backoff[suffix]
        suffix = link[suffix]
    log_prob = np.concatenate([lower.log_prob for lower in model.orders[: n - 1]])
    return Links(node, paid + log_prob[node - 1])


def _child(model: NGramTrie, first: np.ndarray, node: np.ndarray, word: np.ndarray) -> np.ndarray:
    """Return the node of each node's n-gram followed by a word; -1: none."""
    child = np.full(len(node), -1)
    order = np.searchsorted(first, node, side="right") - 1
    for n in np.unique(order):
        at = order == n
        row = model.extend(int(n), node[at] - first[n], word[at])
        child[at] = np.where(row >= 0, row + first[n + 1], -1)
    return child


def back_off_arcs(model: NGramTrie) -> NGramArcs:
    """Return the model as a back-off acceptor."""
    first = first_nodes(model)
    links = back_off_links(model)
    parents = (first[n] + at.parent for n, at in enumerate(model.orders[:-1]))
    parent = np.concatenate([[0], *parents]).astype(np.int64)
    suffix = np.concatenate([links[n].node for n in range(model.order)])
    begin, end = model.ids.get(BEGIN, 0), model.ids.get(END, 0)
    is_state = _followed(model, first)
    start = begin if model.order > 1 else 0  # the node of a unigram is its word's id
    is_state[[0, start]] = True
    is_state &= ~_impossible(model, first, parent, begin, end)
    state, log_paid = _collapse(model, first, is_state, suffix)
    source, word, log_prob, target = _word_arcs(model, first, links, is_state, state, log_paid)
    final = np.full(int(is_state.sum()), -np.inf if end else 0.0, np.float32)
    at_end = word == end
    final[source[at_end]] = log_prob[at_end]
    kept = ~at_end & (word != begin)
    histories = np.flatnonzero(is_state)[1:]
    backoff = np.concatenate([[0.0], *(at.backoff for at in model.orders[:-1])])
    return NGramArcs(
        start=int(state[start]),
        n_states=len(final),
        source=source[kept],
        word=word[kept],
        log_prob=log_prob[kept],
        target=target[kept],
        backoff_source=state[histories].astype(np.int32),
        log_backoff=(backoff[histories] + log_paid[suffix[histories]]).astype(np.float32),
        backoff_target=state[suffix[histories]].astype(np.int32),
        final=final,
    )


def _followed(model: NGramTrie, first: np.ndarray) -> np.ndarray:
    """Return for every node whether an n-gram continues it."""
    followed = np.zeros(int(first[model.order]), bool)
    for n, at in enumerate(model.orders):
        followed[first[n] + at.parent] = True
    return followed


def _impossible(
    model: NGramTrie, first: np.ndarray, parent: np.ndarray, begin: int, end: int
) -> np.ndarray:
    """Return the histories that no sentence has: a word after </s>, or <s> after a word."""
    impossible = np.zeros(len(parent), bool)
    for n, at in enumerate(model.orders[:-1], start=1):
        here = slice(first[n], first[n + 1])
        impossible[here] = impossible[parent[here]] | (at.word == end)
        if n > 1:
            impossible[here] |= at.word == begin
    return impossible


def _collapse(
    model: NGramTrie, first: np.ndarray, is_state: np.ndarray, suffix: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the state that represents each node, and the back-off weight paid to get there."""
    state = np.where(is_state, np.cumsum(is_state) - 1, 0)
    log_paid = np.zeros(len(is_state))
    for n, at in enumerate(model.orders[:-1], start=1):
        rows = np.flatnonzero(~is_state[first[n] : first[n + 1]])
        node = first[n] + rows
        state[node] = state[suffix[node]]
        log_paid[node] = at.backoff[rows] + log_paid[suffix[node]]
    return state, log_paid


def _word_arcs(
    model: NGramTrie, first: np.ndarray, links: list[Links], is_state: np.ndarray,
    state: np.ndarray, log_paid: np.ndarray,
) -> list[np.ndarray]:
    """Return source, word, log probability and target of each n-gram's arc, marks included."""
    columns = []
    end = model.ids.get(END, 0)
    for n, at in enumerate(model.orders, start=1):
        # The longest n-grams are no histories: the target has one word less.
        node = links[n].node if n == model.order else first[n] + np.arange(len(at))
        log_prob = at.log_prob + np.where(at.word == end, 0.0, log_paid[node])
        history = first[n - 1] + at.parent
        arc = state[history], at.word, log_prob, state[node]
        columns.append([column[is_state[history]] for column in arc])
    return [
        np.concatenate(column).astype(dtype)
        for column, dtype in zip(zip(*columns, strict=True), _ARC_TYPES, strict=True)
    ]
