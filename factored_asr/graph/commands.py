"""Sentences of a grammar as parts of a graph for dictation, such as those after a carrier phrase.

The sentences, and what denies them, are compiled to L ∘ G once. Lists that may be replaced stand
there as marked arcs; their entries take their places as trees, so other entries take milliseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from factored_asr.graph.build import (
    LISTS,
    GraphOptions,
    HasLists,
    grammar_lg,
    pauses,
    sentences_of,
    word_table,
)
from factored_asr.graph.graph import Graph
from factored_asr.graph.parts import Part, after_words, as_part, substituted
from factored_asr.graph.phrases import Phrases, phrase_trees
from factored_asr.graph.units import HasTopology, Units
from factored_asr.language.grammar.sampling import Sentences
from factored_asr.lexicon import Lexicon


@dataclass(frozen=True, eq=False)
class CommandGraphs:
    """Sentences of a grammar after a carrier phrase, and the same denied."""

    acceptors: tuple[Graph, ...]
    """G of each: epsilon-free, over the words of `table`; a list is `LISTS` + k. Costs are those of
    `with_probabilities`."""
    lgs: tuple[Graph, ...]
    """L ∘ G of each, from `FIRST` to `LAST`."""
    table: tuple[str, ...]
    lists: tuple[str, ...]
    """Places of lists that may be replaced."""

    @property
    def list_ids(self) -> dict[str, int]:
        """What stands for each list in `acceptors`."""
        return {place: LISTS + k for k, place in enumerate(self.lists)}

    def parts(
        self, lists: Mapping[str, Phrases], lexicon: Lexicon, phones: Sequence[str], units: Units,
        options: GraphOptions, loops: Sequence[tuple[int, float]], cost: float,
    ) -> Iterator[Part]:
        """Yield the parts, with the entries of these lists; a sentence costs `cost` more."""
        n_fixed = len(self.table) + len(self.lists)
        new = dict.fromkeys(chain.from_iterable(chain.from_iterable(lists.values())))
        ids = {word: n_fixed + k for k, word in enumerate(new)}
        trees = {
            len(self.table) + self.lists.index(place):
            phrase_trees(forms, lexicon, ids, phones, units, options.word_penalty, loops)
            for place, forms in lists.items() if forms
        }
        for lg in self.lgs:
            whole = substituted(lg, trees)
            arcs = whole.arcs.copy()
            arcs["cost"][slice(*whole.first_arc[:2])] += np.float32(cost)
            kept = (arcs["word"] < len(self.table)) | (arcs["word"] >= n_fixed)  # else empty lists
            yield Part(Graph.from_arcs(whole.sources[kept], arcs[kept], whole.final, whole.start),
                       (*self.table, *self.lists, *new))


def command_graphs(
    grammar: Sentences, lexicon: Lexicon, model: HasTopology, options: GraphOptions,
    after: Collection[str] = (),
) -> CommandGraphs:
    """Compile a grammar for `CommandGraphs.parts`, its sentences after these words.

    Raises MissingError for a word without a pronunciation.
    """
    options = replace(options, prefixes=())
    table, _ = word_table(lexicon, grammar, after)
    lists = tuple(grammar.places) if isinstance(grammar, HasLists) else ()
    said = sentences_of(grammar, table, lexicon, model.topology.phones, options, lists)
    ids = [said.table.index(word) for word in after]
    both = [(said.plain, lexicon)]
    if said.denied is not None:
        both.append((said.denied, said.denials.lexicon))
    acceptors = [with_probabilities(after_words(each, ids)) for each, _ in both]
    lgs = [as_part(grammar_lg(spoken, each, said.table, model, options, lists))
           for each, (_, spoken) in zip(acceptors, both, strict=True)]
    return CommandGraphs(tuple(acceptors), tuple(lgs), said.table, lists)


def with_probabilities(acceptor: Graph) -> Graph:
    """Return G with costs of a random walk: in each state all that may follow has probability 1.

    Without weights each next word, and the end, are equally likely.
    """
    sources, costs = acceptor.sources, acceptor.arcs["cost"].astype(np.float64)
    total = np.exp(-acceptor.final.astype(np.float64))
    np.add.at(total, sources, np.exp(-costs))
    more = np.log(np.maximum(total, np.finfo(float).tiny))
    arcs = acceptor.arcs.copy()
    arcs["cost"] = costs + more[sources]
    return replace(acceptor, arcs=arcs, final=(acceptor.final + more).astype(np.float32))


def pause_loops(model: HasTopology, options: GraphOptions) -> list[tuple[int, float]]:
    """Labels and costs of silence and fillers, which may stand between words."""
    silence, fillers = pauses(model.topology, options)
    return silence + fillers
