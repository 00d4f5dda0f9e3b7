"""What recognisers of one compiled graph share, to change its words at run time."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain
from types import MappingProxyType
from typing import TypeAlias, cast

import numpy as np

from factored_asr.acoustic.model import AcousticModel
from factored_asr.errors import MissingError, OptionError
from factored_asr.graph import Graph, make_units
from factored_asr.graph.added import extended
from factored_asr.graph.commands import pause_loops
from factored_asr.graph.graph import WORDS
from factored_asr.graph.phrases import Phrases
from factored_asr.graph.units import Units
from factored_asr.language import (
    ExtendedScorer,
    Hotwords,
    HotwordScorer,
    WordScorer,
    checked_hotwords,
)
from factored_asr.language.classes import ClassScorer, PhraseScorer
from factored_asr.language.grammar import ListSymbol
from factored_asr.language.grammar.lists import check_names, value_list
from factored_asr.language.grammar.templates import ValueList
from factored_asr.language.scorer import BackingOff
from factored_asr.lattice import SecondPass
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.models.commands import CompiledCommands
from factored_asr.models.grammars import read_parsed
from factored_asr.models.recipe import Recipe
from factored_asr.models.vocabulary import (
    ALL_TOGETHER,
    MOST_WORDS,
    PROBABILITY,
    Commands,
    Like,
    Lists,
    NewWords,
    Vocabulary,
    spoken_ways,
)
from factored_asr.understanding import Understander
from factored_asr.understanding.spotted import Spotted, Spotter

GUESSES = 3
"""Pronunciations that are guessed of a word, at no cost: of names it is often not the first. By
tests/bench/rare_words.py (``--half dev``)."""
EXPECTED, NEW, GRAMMAR_BONUS = -6.0, math.log(PROBABILITY), 3.0
"""Natural log of the probability that a hotword without a bonus gets, by
tests/bench/rare_words.py (``--half dev``); of an added word before; and its bonus in a grammar."""
FREQUENT = 1000
"""Words of a language model that need no prompt."""
_Place: TypeAlias = tuple[Commands | None, str]
"""Where a list stands: in commands, or (None) in the compiled graph."""


class Knowledge:
    """What the recognisers of one compiled graph share, to change its words at run time.

    Everything is read when it is first needed, and kept.
    """

    def __init__(
        self, recipe: Recipe | None, model: AcousticModel, graph: Graph, second: SecondPass | None
    ) -> None:
        if recipe is None:
            raise MissingError("the words of this recogniser cannot be changed: it was made from a "
                               "graph, without a lexicon and a language model")
        self.recipe, self.model, self.base, self.second = recipe, model, graph, second
        self._reading = threading.RLock()
        self._guesses = dict[str, tuple[Pronunciation, ...]]()
        self._last_forms = dict[_Place, tuple[ValueList, Phrases]]()
        self._commands = dict[tuple[object, ...], CompiledCommands]()
        self._spoken_before = dict[str, tuple[Pronunciation, ...]]()

    @cached_property
    def _units(self) -> Units:
        return make_units(self.model, self.recipe.settings.graph.transition_scale)

    @cached_property
    def lexicon(self) -> Lexicon:
        """The dictionary, without added words."""
        return self.recipe.read_lexicon()

    @cached_property
    def _costs(self) -> tuple[Callable[[str], float | None], float]:
        """Cost of a word in the empty history, left for one that nothing is known of; and that of
        a word that the language model lacks."""
        language = self.recipe.first_language()
        first, ids = language.orders[0], language.ids
        order = np.argsort(first.word, kind="stable")
        place = dict(zip(first.word[order].tolist(), order.tolist(), strict=True))

        def cost(word: str) -> float | None:
            if (row := place.get(ids.get(word, 0))) is None:
                return None
            return -float(first.log_prob[row]) - float(first.backoff[row])

        return cost, -float(np.median(first.log_prob))

    def _check_joints(self, grammar: str) -> None:
        """Raise OptionError where nothing can be added to the graph; `grammar`: why not to one."""
        if WORDS not in self.base.joint_names:
            bundle, own = self.recipe.bundle, self.recipe.own_graph
            raise OptionError(f"model {bundle.name} {bundle.instead_of_lm}" if own else grammar)

    def with_words(
        self, before: Vocabulary, words: NewWords | Lexicon, like: Like | None
    ) -> Vocabulary:
        """Return a vocabulary with more words; see `Recognizer.with_words`."""
        self._check_joints("words cannot be added to this graph: a grammar has only its own "
                           "words; give it other pronunciations when it is loaded (words=)")
        if len(words) > MOST_WORDS:
            raise OptionError(
                f"{len(words):,} words: at most {MOST_WORDS:,} can be added at run time; compile "
                "more with a dictionary and a language model (lexicon=, lm=)"
            )
        with self._reading:
            spoken, likes = self._spoken(words), self._likes(words, like)
        added = tuple((word, spoken[word], likes.get(word, "")) for word in words)
        kept = tuple(each for each in before.words if each[0] not in words)
        removed = tuple(each for each in before.removed if each not in words)
        return replace(before, words=(*kept, *added), removed=removed)

    def expected(
        self, before: Vocabulary, words: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the words that this graph lacks and may get, and those that it has but are rare.
        """
        known = {word for word, _, _ in before.words}.union(
            word for _, values in before.lists for value in values.values
            for form in value.forms for word in form)
        there = tuple(word for word in dict.fromkeys(words)
                      if word in known or word in self.base.word_ids)
        new = tuple(word for word in dict.fromkeys(words) if word not in there)
        if WORDS not in self.base.joint_names:
            return (), there
        with self._reading:
            frequent, lacking = self._frequent, self.lexicon.missing(new)
            g2p = self.recipe.g2p() if lacking else None
        unsayable = {word for word in lacking if g2p and g2p.unknown_letters(word)}
        return (tuple(word for word in new if word not in unsayable),
                tuple(word for word in there if word not in frequent))

    @cached_property
    def _frequent(self) -> frozenset[str]:
        """The most frequent words of the language model."""
        language = self.recipe.first_language()
        first = language.orders[0]
        best = np.argsort(-first.log_prob, kind="stable")[:FREQUENT]
        return frozenset(language.words[word] for word in first.word[best].tolist())

    def without_words(self, before: Vocabulary, words: Sequence[str]) -> Vocabulary:
        """Return a vocabulary without these words; see `Recognizer.without_words`."""
        added = {word for word, _, _ in before.words}
        for word in words:
            if word in before.removed or not (word in added or word in self.base.word_ids):
                raise OptionError(f"{word!r} is not among the words of this recogniser")
        return before.without(words)

    def with_hotwords(self, before: Vocabulary, hotwords: Hotwords) -> Vocabulary:
        """Return a vocabulary with these hotwords; see `Recognizer.with_hotwords`."""
        likes = {word: like for word, _, like in before.words if like}

        def suited(words: Sequence[str]) -> float:
            if WORDS not in self.base.joint_names:
                return GRAMMAR_BONUS
            with self._reading:
                known = self._log_probs
            return sum(max(0.0, EXPECTED - known.get(likes.get(word, word), NEW)) for word in words)

        return replace(before, hotwords=checked_hotwords(hotwords, suited))

    @cached_property
    def _log_probs(self) -> dict[str, float]:
        """Natural logs of the unigram probabilities of the language model."""
        language = self.recipe.first_language()
        first = language.orders[0]
        return {language.words[word]: log_prob for word, log_prob in
                zip(first.word.tolist(), first.log_prob.tolist(), strict=True)}

    def with_lists(self, before: Vocabulary, lists: Lists) -> Vocabulary:
        """Return a vocabulary with other entries of lists; see `Recognizer.with_lists`."""
        check_names(lists, self.list_names(before))
        known = self.recipe.known
        return self._with_values(before, {name: value_list(name, entries, known)
                                          for name, entries in lists.items()})

    def list_names(self, vocabulary: Vocabulary) -> tuple[str, ...]:
        """Return the names of the lists that may be replaced."""
        return tuple(symbol.list.name for symbol in self._places(vocabulary).values())

    def with_first_lists(self, before: Vocabulary) -> Vocabulary:
        """Return a vocabulary with the values that lists have in the grammar itself."""
        given = dict(before.lists)
        return self._with_values(before, {
            symbol.list.name: symbol.list for symbol in self._places(before).values()
            if symbol.list.values and symbol.list.name not in given
        })

    def with_commands(self, before: Vocabulary, commands: Commands) -> Vocabulary:
        """Return a vocabulary with more commands; see `Recognizer.with_commands`."""
        self._check_joints("commands can be added to dictation alone, not to a grammar: put the "
                           "sentences into one grammar, or switch (with_grammar)")
        after = replace(before, commands=(*before.commands, commands))
        with self._reading:
            _ = self._compiled(commands, after).graphs  # raises what is wrong with it
        return self.with_first_lists(after)

    def _compiled(self, commands: Commands, vocabulary: Vocabulary) -> CompiledCommands:
        key = commands, vocabulary.words
        if key not in self._commands:
            lexicon = self.lexicon.extend(Lexicon({w: each for w, each, _ in vocabulary.words}))
            self._commands[key] = CompiledCommands(commands, self.recipe, self.model, lexicon)
        return self._commands[key]

    def _with_values(self, before: Vocabulary, lists: Mapping[str, ValueList]) -> Vocabulary:
        guesses, added = dict(before.guesses), {word for word, _, _ in before.words}
        with self._reading:
            self._guesses.update(before.guesses)
            for place, symbol in self._places(before).items():
                if (values := lists.get(name := symbol.list.name)) is not None:
                    try:
                        forms = self._forms(place, symbol, values)
                        words = dict.fromkeys(chain.from_iterable(forms))
                        guesses |= self._guessed(word for word in words if word not in added)
                    except MissingError as error:
                        raise MissingError(f"list {name!r}: {error}") from error
        after = dict(before.lists) | dict(lists)
        return replace(before, lists=tuple(after.items()), guesses=tuple(guesses.items()))

    def _places(self, vocabulary: Vocabulary) -> dict[_Place, ListSymbol]:
        """The replaceable lists that there are joints for, in the graph or in its commands."""
        found: dict[_Place, ListSymbol] = {(None, each): self._own_places[each]
                                           for each in self._own_places}
        for commands in vocabulary.commands:
            found |= {(commands, place): symbol
                      for place, symbol in self._compiled(commands, vocabulary).places.items()}
        return found

    @cached_property
    def _own_places(self) -> dict[str, ListSymbol]:
        """The lists of the compiled graph, by their places."""
        if self.recipe.grammar is None:
            return {each: ListSymbol(ValueList(each[1:-1], (), replaceable=True), each[1:-1])
                    for each in self.base.lists}
        if not self.base.lists:
            return {}
        places = read_parsed(self.recipe.grammar).network.places
        return {place: places[place] for place in self.base.lists if place in places}

    def _forms(self, place: _Place, symbol: ListSymbol, values: ValueList) -> Phrases:
        """What may be said in a place of a list, and its costs; the last ones are kept.

        In dictation they share the probability of the list.
        """
        kept = self._last_forms.get(place)
        if kept is None or kept[0] is not values:
            forms = replace(symbol, list=values).word_forms()
            if self.recipe.grammar is None and forms:
                more = math.log(math.fsum(math.exp(-cost) for cost in forms.values()))
                forms = {words: cost + more for words, cost in forms.items()}
            kept = self._last_forms[place] = values, forms
        return kept[1]

    def _guessed(self, words: Iterable[str]) -> dict[str, tuple[Pronunciation, ...]]:
        """Pronunciations of the words that the dictionary lacks; each is guessed once."""
        missing = self.lexicon.missing(word for word in words if word not in self._spoken_before
                                       or word in self._guesses)
        lacking = [word for word in missing if word not in self._guesses]
        if lacking:
            guessed = self.recipe.with_guesses(self.lexicon, lacking, GUESSES)
            self._guesses.update((word, guessed[word]) for word in lacking)
        return {word: self._guesses[word] for word in missing}

    def _said(self, words: Iterable[str]) -> Lexicon:
        """A lexicon with these words, in the model's phones; what was once looked up is kept."""
        new = [word for word in words if word not in self._spoken_before]
        if new:
            phones = self.model.topology.phones
            guessed = Lexicon(self._guessed(new))
            found = self.lexicon.extend(guessed).restrict(new).fitted(phones)
            found.check_phones(phones)
            self._spoken_before.update(found.entries)
        return Lexicon(self._spoken_before)

    def _likely(self, words: Sequence[str]) -> Lexicon:
        """The pronunciations of the dictionary, and the likeliest by the spelling."""
        if not words:
            return Lexicon({})
        found = self.lexicon.extend(Lexicon(self._guessed(words))).restrict(words)
        g2p = self.recipe.g2p()
        for word in words:
            if word not in self._guesses and not g2p.unknown_letters(word):
                self._guesses[word] = tuple(Pronunciation(each.phones)
                                            for each in g2p.guess(word, GUESSES))
        return found.extend(Lexicon({word: self._guesses[word] for word in words
                                     if word in self._guesses}))

    def _spoken(self, words: NewWords | Lexicon) -> Lexicon:
        """The pronunciations of new words in the model's phones, checked."""
        phones = self.model.topology.phones
        if isinstance(words, Lexicon):
            fitted = words.fitted(phones)
            fitted.check_phones(phones)
            return fitted
        found = {word: spoken_ways(word, phones) for word, phones in words.items()}
        guessed = [word for word, spoken in found.items() if spoken is None]
        known = self._likely(guessed)
        fitted = Lexicon({
            word: known.find(word) if spoken is None else tuple(map(Pronunciation, spoken))
            for word, spoken in found.items()
        }).fitted(phones)
        fitted.check_phones(phones)
        return fitted

    def _likes(self, words: NewWords | Lexicon, like: Like | None) -> dict[str, str]:
        """The word that each new word is like, checked."""
        likes = {word: like for word in words} if isinstance(like, str) else dict(like or {})
        for word, other in likes.items():
            if word not in words:
                raise OptionError(f"like names {word!r}, which is not among the words added")
            if self._costs[0](other) is None:
                raise MissingError(f"word {word!r} cannot be like {other!r}: the language model "
                                   "has no such word")
        return likes

    def graph(self, vocabulary: Vocabulary) -> Graph:
        """Return the graph with the changes of a vocabulary; the compiled one if there are none."""
        if vocabulary.is_empty:
            return self.base
        with self._reading:
            options, topology = self.recipe.settings.graph, self.model.topology
            self._guesses.update(vocabulary.guesses)
            lists = self._list_entries(vocabulary)
            entries = dict(lists.get(None, {}))
            new = {word: spoken for word, spoken, _ in vocabulary.words}
            listed = set[str]().union(*(chain.from_iterable(forms) for each in lists.values()
                                        for forms in each.values()))
            known = self._said(listed - new.keys()) if listed else Lexicon({})
            lexicon = Lexicon({**known.entries, **new})
            parts = [part for each in vocabulary.commands for part in
                     self._compiled(each, vocabulary).parts(
                         lists.get(each, {}), lexicon, self._units)]
            added = listed.union(new, *(part.words for part in parts))
            costs = dict[str, float]()
            if vocabulary.hotwords:
                costs = {word: -share for word, share
                         in HotwordScorer(dict(vocabulary.hotwords)).shares.items()}
            lacking = [word for word in costs if not (word in added or word in self.base.word_ids)]
            if lacking:
                raise MissingError(f"hotword {lacking[0]!r} is not among the words of this "
                                   "recogniser: add it as well (words=, or --words)")
            costs |= {word: np.inf for word in vocabulary.removed if word not in new}
            if vocabulary.words:
                priced = zip(vocabulary.words, self._all_costs(vocabulary), strict=True)
                entries[WORDS] = {(word,): cost for (word, _, _), cost in priced}
            return extended(self.base, self._units, topology.phones, lexicon, entries, costs,
                            word_cost=options.word_penalty,
                            loops=pause_loops(self.model, options),
                            parts={WORDS: parts} if parts else {})

    def _list_entries(self, vocabulary: Vocabulary) -> dict[Commands | None, dict[str, Phrases]]:
        """What lists have in each place of the graph (None), and of commands."""
        values = dict(vocabulary.lists)
        found: dict[Commands | None, dict[str, Phrases]] = {}
        for (owner, place), symbol in self._places(vocabulary).items():
            if symbol.list.name in values:
                forms = self._forms((owner, place), symbol, values[symbol.list.name])
                found.setdefault(owner, {})[place] = forms
        return found

    def _all_costs(self, vocabulary: Vocabulary) -> list[float]:
        """Cost of each added word in the empty history, left for one that nothing is known of."""
        if not vocabulary.words:
            return []
        cost, median = self._costs
        known = [cost(like or word) for word, _, like in vocabulary.words]
        probability = min(PROBABILITY, ALL_TOGETHER / max(known.count(None), 1))
        new = min(median, -math.log(probability))
        return [new if each is None else each for each in known]

    def spotter(self, vocabulary: Vocabulary) -> Spotter:
        """Return what reads the commands within dictation."""
        values = dict(vocabulary.lists)
        with self._reading:
            lists = self._list_entries(vocabulary)
            found = []
            for each in vocabulary.commands:
                compiled = self._compiled(each, vocabulary)
                understander = Understander(compiled.grammar.with_lists(values))
                denied = partial(compiled.denied, lists=lists.get(each, {}))
                found.append(Spotted(understander, each.after, denied))
        return Spotter(found)

    def second_pass(self, vocabulary: Vocabulary) -> SecondPass | None:
        """Return the second pass with what is added in its language models."""
        second = self.second
        if second is None or not (vocabulary.words or vocabulary.lists or vocabulary.commands):
            return second
        likes = {word: like for word, _, like in vocabulary.words if like}
        return replace(second, scorer=self.scorer(vocabulary, second.scorer, likes),
                       first=self.scorer(vocabulary, second.first))

    def scorer(
        self, vocabulary: Vocabulary, scorer: WordScorer | None,
        likes: Mapping[str, str] = MappingProxyType({}),
    ) -> WordScorer | None:
        """Return a language model with what is added at the costs that this has in the graph.

        `likes`: words of this model that added words are scored as.
        """
        if scorer is None or self.recipe.grammar is not None:
            return scorer
        costs = zip(vocabulary.words, self._all_costs(vocabulary), strict=True)
        words = {word: (likes.get(word), -cost) for (word, _, _), cost in costs
                 if self._costs[0](word) is None}
        if words:
            scorer = ExtendedScorer(cast(BackingOff, scorer), words)
        with self._reading:
            lists = self._list_entries(vocabulary)
            anywhere = [each for commands in vocabulary.commands for each in
                        self._compiled(commands, vocabulary).scorers(
                            lists.get(commands, {}))]
        classes = {place: PhraseScorer(forms) for place, forms in lists.get(None, {}).items()}
        return ClassScorer(scorer, classes, anywhere) if classes or anywhere else scorer
