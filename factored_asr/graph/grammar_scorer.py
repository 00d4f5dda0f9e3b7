"""A grammar asked word by word: the other kind of language model."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.graph import Graph, GraphOptions
from factored_asr.graph.build import LISTS, HasLists, sentences_of
from factored_asr.graph.denials import joined
from factored_asr.graph.graph import EPSILON
from factored_asr.language.acceptor import Acceptor
from factored_asr.language.grammar.sampling import Sentences
from factored_asr.lexicon import Lexicon

INF = float("inf")
_State = tuple[tuple[int, float], ...]


class GrammarScorer:
    """G of a grammar, as it stands in the graph, as a `WordScorer`.

    A state is all that may have been said so far, with what each costs above the cheapest. Only the
    cost of a whole sentence is the grammar's own. Which of its words bears it is up to the
    minimised acceptor, which charges what is common to all that follows as early as it can.

    Examples
    --------
    >>> from factored_asr.language import Grammar
    >>> grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <go> = /3/ go | /1/ stop;")
    >>> scorer = GrammarScorer.of(grammar, {"go": 1, "stop": 2})
    >>> state, log_prob = scorer.score_word(scorer.start(), "go")
    >>> round(log_prob + scorer.finish(state), 2)
    -0.29
    """

    def __init__(
        self, graph: Graph, words: Mapping[str, int], plain: Graph | None = None
    ) -> None:
        """`plain`: the sentences that are not denied; None: all of the graph."""
        self.graph, self.words, self.plain = graph, words, plain or graph

    @staticmethod
    def of(
        grammar: Sentences, words: Mapping[str, int], options: GraphOptions | None = None,
        lexicon: Lexicon | None = None, phones: Sequence[str] = (),
    ) -> GrammarScorer:
        """The scorer of a grammar whose words have these ids, in a graph of these options.

        A list for dictation is a word: "{text}".
        """
        options = options or GraphOptions(denials=False)
        table = (EPSILON, *sorted(words, key=words.__getitem__))
        slots = tuple(grammar.dictated) if isinstance(grammar, HasLists) else ()
        said = sentences_of(grammar, table, lexicon or Lexicon({}), phones, options, slots)
        words = {**words, **{slot: LISTS + k for k, slot in enumerate(slots)}}
        if said.denied is None:
            return GrammarScorer(said.plain, words)
        both = joined(said.plain, said.denied, options.denial_cost)
        return GrammarScorer(both, words, said.plain)

    @property
    def is_weighted(self) -> bool:
        """True where some sentences cost more than others, denied ones left aside."""
        final = self.plain.final[self.plain.final < INF]
        return bool(self.plain.arcs["cost"].any() or final.any())

    def start(self) -> _State:
        begin = self.graph.arcs[slice(*self.graph.first_arc[self.graph.start :][:2])]
        parts = begin[begin["label"] == 0]  # the plain sentences, and the denied ones
        return tuple((int(arc["target"]), float(arc["cost"])) for arc in parts) or (
            (self.graph.start, 0.0),
        )

    def score_word(self, state: Hashable, word: str) -> tuple[_State, float]:
        """The state after a word and its log weight; () and -inf where it cannot follow."""
        assert isinstance(state, tuple)
        after: dict[int, float] = {}
        for node, behind in state:
            first, end = self.graph.first_arc[node : node + 2].tolist()
            arcs = self.graph.arcs[first:end]
            for arc in arcs[arcs["label"] == self.words.get(word, -1)]:
                target, cost = int(arc["target"]), behind + float(arc["cost"])
                after[target] = min(cost, after.get(target, INF))
        least = min(after.values(), default=INF)
        return tuple((node, cost - least) for node, cost in sorted(after.items())), -least

    def finish(self, state: Hashable) -> float:
        assert isinstance(state, tuple)
        return -min((behind + float(self.graph.final[node]) for node, behind in state), default=INF)

    def goes_on(self, state: Hashable) -> bool:
        """Return whether a word may follow."""
        assert isinstance(state, tuple)
        return any(self.graph.first_arc[node] < self.graph.first_arc[node + 1] for node, _ in state)


@dataclass(frozen=True)
class Weighted:
    """The same sentences with their costs times a weight; 0 makes them equally likely."""

    sentences: Sentences
    weight: float = 0.0
    """At least 0; higher: the grammar's own weights count more."""

    @property
    def words(self) -> Collection[str]:
        """All words."""
        return self.sentences.words

    def acceptor(self, word_ids: Mapping[str, int]) -> Acceptor:
        """Return G over word ids, its costs weighted."""
        acceptor = self.sentences.acceptor(word_ids)
        arcs, weight = acceptor.arcs.copy(), np.float32(self.weight)
        arcs["cost"] *= weight
        final = acceptor.final.copy()
        final[final < INF] *= weight
        return replace(acceptor, arcs=arcs, final=final)
