"""Prefixes: words before a command that are no part of it and may deny it: "no, don't …".

A grammar has only its sentences, so "don't turn on the light" would be recognised as the command
that it denies. With prefixes in its graph the recogniser finds these words, and `dialogue.Reader`
reads from them what they do to the command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from factored_asr.graph.graph import Graph, arcs_of

DENIALS = (
    "no", "don't", "do not", "never", "please", "no don't", "no do not", "no please",
    "please don't", "no please don't",
)  # fmt: skip
"""Prefixes of commands that may be denied, corrected or asked for."""


def with_prefixes(
    grammar: Graph, prefixes: Sequence[str], words: Mapping[str, int], cost: float
) -> Graph:
    """Return G, an acceptor of word ids, in which each sentence may have a prefix before it.

    `prefixes` are words joined by blanks, `words` the ids of all of their words. A prefix has the
    same `cost` at any length. The grammar must have no epsilon arcs.

    Examples
    --------
    >>> stop = Graph.from_arcs(*arcs_of([(0, 1, 1, 0.0, 1)]), np.array([np.inf, 0.0]))
    >>> graph = with_prefixes(stop, ["do not"], {"stop": 1, "do": 2, "not": 3}, 4.0)
    >>> sorted(zip(graph.sources.tolist(), graph.arcs["word"].tolist()))
    [(0, 1), (2, 1), (2, 2), (3, 3)]
    """
    if not prefixes:
        return grammar
    start, n_states = grammar.n_states, grammar.n_states + 1
    own = grammar.sources == grammar.start
    rows: list[tuple[int, int, int, float, int]] = []
    for prefix in prefixes:
        ids = [words[word] for word in prefix.split()]
        inner = range(n_states, n_states + len(ids) - 1)
        for at, (word, target) in enumerate(zip(ids, (*inner, grammar.start), strict=True)):
            rows.append((inner[at - 1] if at else start, word, word, 0.0 if at else cost, target))
        n_states += len(inner)
    source, leading = arcs_of(rows)
    final = np.full(n_states, np.inf, np.float32)
    final[: grammar.n_states] = grammar.final
    final[start] = grammar.final[grammar.start]
    sources = np.concatenate([grammar.sources, np.full(own.sum(), start), source])
    arcs = np.concatenate([grammar.arcs, grammar.arcs[own], leading])
    return Graph.from_arcs(sources.astype(np.int32), arcs, final, start)
