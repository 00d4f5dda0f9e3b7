"""A grammar asked word by word: the other kind of language model."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.graph import Graph
from factored_asr.graph.build import from_pynini, grammar_graph, to_pynini
from factored_asr.language import Grammar

INF = float("inf")


class GrammarScorer:
    """G of a grammar as a `WordScorer`: deterministic, so a sentence has one way through it.

    Only the cost of a whole sentence is the grammar's own: which of its words bears it is up to
    the minimised acceptor, which charges what is common to all that follows as early as it can.

    Examples
    --------
    >>> grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <go> = /3/ go | /1/ stop;")
    >>> scorer = GrammarScorer.of(grammar, {"go": 1, "stop": 2})
    >>> state, log_prob = scorer.score_word(scorer.start(), "go")
    >>> round(log_prob + scorer.finish(state), 2)
    -0.29
    """

    def __init__(self, graph: Graph, words: Mapping[str, int]):
        self.graph, self.words = graph, words

    @staticmethod
    def of(
        grammar: Grammar, words: Mapping[str, int], empty_cost: float = 0.0
    ) -> GrammarScorer:
        """The scorer of a grammar whose words have these ids."""
        return GrammarScorer(grammar_graph(grammar, words, empty_cost), words)

    @property
    def is_weighted(self) -> bool:
        """True where some sentences cost more than others."""
        final = self.graph.final[self.graph.final < INF]
        return bool(self.graph.arcs["cost"].any() or final.any())

    def start(self) -> int:
        return self.graph.start

    def score_word(self, state: Hashable, word: str) -> tuple[int, float]:
        """The state after a word and its log weight; -1 and -inf where it cannot follow."""
        assert isinstance(state, int)
        if state >= 0:
            first, end = self.graph.first_arc[state : state + 2].tolist()
            arcs = self.graph.arcs[first:end]
            found = arcs[arcs["label"] == self.words.get(word, -1)]
            if len(found):
                return int(found["target"][0]), -float(found["cost"][0])
        return -1, -INF

    def finish(self, state: Hashable) -> float:
        assert isinstance(state, int)
        return -float(self.graph.final[state]) if state >= 0 else -INF


class UnweightedGrammar(Grammar):
    """The same sentences, all at the same cost: 0."""

    def acceptor(self, word_ids: Mapping[str, int], *, max_arcs: int = 5_000_000) -> Any:
        graph = from_pynini(super().acceptor(word_ids, max_arcs=max_arcs))
        arcs = graph.arcs.copy()
        arcs["cost"] = 0.0
        final = np.where(graph.final < INF, np.float32(0.0), graph.final)
        return to_pynini(replace(graph, arcs=arcs, final=final))

    @staticmethod
    def read_unweighted(path: Path) -> UnweightedGrammar:
        """Read a grammar, and forget its weights."""
        grammar = Grammar.read(path)
        return UnweightedGrammar(
            grammar.templates, grammar.skip_words, grammar.wildcard_words, grammar.digest
        )
