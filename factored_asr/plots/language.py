"""A language model as a graph: states are histories, arcs are words."""

from __future__ import annotations

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.graph import Graph
from factored_asr.graph.convert import graph_of
from factored_asr.graph.graph import EPSILON, arcs_of
from factored_asr.language import Grammar, NGramModel
from factored_asr.language.ngram import BEGIN, END, UNKNOWN

N_WORDS = 6


def language_graph(language: NGramModel | Grammar, n_words: int = N_WORDS) -> Graph:
    """Return G as a graph to be drawn by `plot_graph` with ``labels=graph.words``.

    Of an n-gram model the words of highest probability are kept, and of their n-grams unigrams and
    bigrams. State 0 is the empty history and is reached by back-off arcs (ε); each other state is
    the word before. Costs are those of the model, which no longer sum to 1 for the words that are
    left out. Of a grammar all is kept.

    Parameters
    ----------
    n_words
        Words of an n-gram model that are kept, at least 1.

    Examples
    --------
    >>> grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <s> = turn (on | off);")
    >>> graph = language_graph(grammar)
    >>> graph.n_states, [graph.words[label] for label in graph.arcs["label"]]
    (3, ['turn', 'off', 'on'])
    """
    if isinstance(language, Grammar):
        table = (EPSILON, *sorted(language.words))
        ids = {word: i for i, word in enumerate(table) if i}
        made = graph_of(language.acceptor(ids)).with_words(table)
        arcs = made.arcs.copy()
        arcs["word"] = 0  # an acceptor: the label says it
        return Graph(made.start, made.first_arc, arcs, made.final, table)
    if n_words < 1:
        raise OptionError(f"n_words must be at least 1, got {n_words}")
    return _bigrams(language, n_words)


def _bigrams(language: NGramModel, n_words: int) -> Graph:
    kept = [word for word in language.commonest(n_words) if word not in (BEGIN, END, *UNKNOWN)]
    ids = [language.ids[word] for word in kept]
    end, begin = language.ids.get(END, 0), language.ids.get(BEGIN, 0)
    state = {0: 0} | {word: k + 1 for k, word in enumerate(ids)}
    if begin:
        state[begin] = len(state)
    final = np.full(len(state), np.inf, np.float32)
    rows: list[tuple[int, int, int, float, int]] = []
    unigrams = language.orders[0]
    for label, word in enumerate(ids, 1):
        rows.append((0, label, 0, -float(unigrams.log_prob[word - 1]), state[word]))
    if end:
        final[0] = -float(unigrams.log_prob[end - 1])
    for history in (*ids, *([begin] if begin else ())):
        rows.append((state[history], 0, 0, -float(unigrams.backoff[history - 1]), 0))
    if language.order > 1:
        for (history, word), log_prob in zip(language.ngrams(2).tolist(),
                                             language.orders[1].log_prob.tolist(), strict=True):
            if history not in state:
                continue
            if word == end:
                final[state[history]] = -log_prob
            elif word in state and word != begin:
                rows.append((state[history], state[word], 0, -log_prob, state[word]))
    made = Graph.from_arcs(*arcs_of(rows), final, start=state.get(begin, 0))
    return made.with_words((EPSILON, *kept))
