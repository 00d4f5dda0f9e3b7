"""Commands in dictation: sentences of a grammar that may stand where a word may."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from factored_asr.acoustic.model import AcousticModel
from factored_asr.errors import FormatError
from factored_asr.graph.commands import CommandGraphs, command_graphs, pause_loops
from factored_asr.graph.grammar_scorer import GrammarScorer
from factored_asr.graph.parts import Part
from factored_asr.graph.phrases import Phrases
from factored_asr.graph.units import Units
from factored_asr.language import Grammar
from factored_asr.language.classes import ClassScorer, PhraseScorer
from factored_asr.language.grammar import ListSymbol
from factored_asr.lexicon import Lexicon
from factored_asr.models.recipe import Recipe
from factored_asr.models.vocabulary import Commands


class CompiledCommands:
    """The graphs of `Commands`, compiled when first needed and kept."""

    def __init__(self, commands: Commands, recipe: Recipe, model: AcousticModel, lexicon: Lexicon):
        self.commands, self._recipe, self._model, self._lexicon = commands, recipe, model, lexicon

    @cached_property
    def grammar(self) -> Grammar:
        given = self.commands.grammar
        grammar = given if isinstance(given, Grammar) else Grammar.read(given,
                                                                        known=self._recipe.known)
        if grammar.left_out or any(each.list.wildcard for each in grammar.network.places.values()):
            raise FormatError("commands in dictation cannot have a wildcard: end the sentence "
                              "before it, what follows is dictated",
                              str(given) if isinstance(given, Path) else None)
        return grammar

    @cached_property
    def places(self) -> dict[str, ListSymbol]:
        """Its replaceable lists, by their places."""
        return dict(self.grammar.network.places)

    @cached_property
    def graphs(self) -> CommandGraphs:
        lexicon, options = self._lexicon, self._recipe.settings.graph
        if self._recipe.guess:
            words = sorted({*self.grammar.fixed_words, *self.commands.after})
            lexicon = self._recipe.with_guesses(lexicon, words)
        return command_graphs(self.grammar, lexicon, self._model, options, self.commands.after)

    @property
    def cost(self) -> float:
        """Cost of a sentence, more than that of its words."""
        return -math.log(self.commands.probability)

    def parts(
        self, lists: Mapping[str, Phrases], lexicon: Lexicon, units: Units
    ) -> Iterator[Part]:
        """Yield what hangs in the graph, with the entries of these lists, by place."""
        options = self._recipe.settings.graph
        return self.graphs.parts(lists, lexicon, self._model.topology.phones, units, options,
                                 pause_loops(self._model, options), self.cost)

    def denied(self, words: Sequence[str], lists: Mapping[str, Phrases]) -> int:
        """Return how many of the first words are a denied sentence after the carrier phrase."""
        longest = 0
        for scorer in tuple(self.scorers(lists))[1:]:
            state = scorer.start()
            for n, word in enumerate(words, start=1):
                state, log_prob = scorer.score_word(state, word)
                if log_prob == -math.inf:
                    break
                if scorer.finish(state) > -math.inf:
                    longest = n
        return longest

    def scorers(self, lists: Mapping[str, Phrases]) -> Iterator[ClassScorer]:
        """Yield what scores the same."""
        cost, table = self.cost, self.graphs.table
        ids = {word: i for i, word in enumerate(table) if i} | self.graphs.list_ids
        entries = {place: PhraseScorer(forms) for place, forms in lists.items()}
        for acceptor in self.graphs.acceptors:
            priced = replace(acceptor, final=acceptor.final + np.float32(cost))
            yield ClassScorer(GrammarScorer(priced, ids), entries)
