"""Words and hotwords of a recogniser that change at run time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Self

from factored_asr.acoustic.model import AcousticModel
from factored_asr.graph import Graph
from factored_asr.language import Grammar, Hotwords, HotwordScorer, WordScorer
from factored_asr.language.grammar import normalise_text
from factored_asr.lattice import HotwordPass, Lattice
from factored_asr.lattice import Path as LatticePath
from factored_asr.lexicon import Lexicon
from factored_asr.models.grammars import read_understander
from factored_asr.models.knowledge import Knowledge
from factored_asr.models.recipe import Recipe
from factored_asr.models.settings import DecodeOptions
from factored_asr.models.vocabulary import (
    COMMANDS,
    Commands,
    Like,
    Lists,
    NewWords,
    Vocabulary,
)
from factored_asr.recognizer.session import Pipeline
from factored_asr.understanding import Interpretation, Understander
from factored_asr.understanding.over_lattice import interpret
from factored_asr.understanding.spotted import Spotter


class Meaning:
    """What the words of a grammar mean; the grammar is read when it is first asked."""

    def __init__(self, read: Callable[[], Understander | Spotter]):
        self._read = read
        self._reading = threading.Lock()

    @cached_property
    def understander(self) -> Understander | Spotter:
        """Reads sentences."""
        return self._read()

    def __call__(
        self, lattice: Lattice, background: LatticePath | None
    ) -> Interpretation | None:
        with self._reading:
            understander = self.understander
        return interpret(lattice, understander, background=background)


class RunTimeWords:
    """The part of a `Recognizer` that makes recognisers of other words from it.

    They share the model and the graph, which does not change.
    """

    model: AcousticModel
    graph: Graph
    options: DecodeOptions
    pipeline: Pipeline
    recipe: Recipe | None
    _grammar: Path | Grammar | None

    def with_words(self, words: NewWords | Lexicon, *, like: Like | None = None) -> Self:
        """Return a recogniser with more words, or more pronunciations of known ones.

        It shares all else with this one. Nothing is compiled again: a word takes milliseconds. An
        added word has times, confidences, alignments and explanations as any other.

        Parameters
        ----------
        words
            Words with their phones: a text is one pronunciation, a list of texts several. None
            takes the three likeliest by the spelling and what the dictionary has; where that has
            none, a `GuessWarning` says how. Or a `Lexicon`.
        like
            A word whose place in the language model an added word takes, for all of them or by
            word. Else a word has the probability 0.0002 whatever comes before it; of more than
            1,000 words all together have 0.2.

        Raises
        ------
        MissingError
            The model lacks a phone, or `like` names a word that the language model lacks.
        FormatError
            A word has no phones.
        OptionError
            This is no recogniser for dictation, or these are too many words.

        Examples
        --------
        >>> import tempfile
        >>> from factored_asr import Recognizer
        >>> from factored_asr.language import estimate, write_arpa
        >>> lm = tempfile.mkdtemp() + "/small.arpa"
        >>> write_arpa(estimate([["turn", "on", "the", "light"]]), lm)
        >>> recognizer = Recognizer.load("en-us", lm=lm)
        >>> taught = recognizer.with_words({"zoomba": ["Z UW M B AH"]}, like="light")
        >>> "zoomba" in taught.graph.words, "zoomba" in recognizer.graph.words
        (True, False)
        """
        return self._changed(self._knowledge.with_words(self._vocabulary, words, like))

    def without_words(self, *words: str) -> Self:
        """Return a recogniser that does not know these words, added or not.

        Raises
        ------
        OptionError
            A word is not among those of this recogniser.
        """
        return self._changed(self._knowledge.without_words(self._vocabulary, words))

    def with_hotwords(self, hotwords: Hotwords) -> Self:
        """Return a recogniser that finds these phrases more often; they replace earlier hotwords.

        Parameters
        ----------
        hotwords
            Phrases with their bonuses in natural-log units, such as ``{"home assistant": 3.0}``: a
            phrase is found where it would be with a probability exp(bonus) times as high. Below 0
            it is found less. None raises the probability of each of its words to 0.0025 in
            dictation, so rare words get 7 to 12 and frequent ones nothing; in a grammar it is 3.
            Where phrases lie within each other, bonuses add up. Each word must be known.

        Raises
        ------
        OptionError
            A phrase without words, or a bonus that is not finite or too large.
        MissingError
            A word is not among those of this recogniser.

        Examples
        --------
        >>> from factored_asr import Recognizer
        >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
        >>> keen = recognizer.with_hotwords({"kitchen light": 3.0})
        >>> keen.transcribe("examples/audio/kitchen_light_on.wav").text
        'turn on the kitchen light'
        """
        return self._changed(self._knowledge.with_hotwords(self._vocabulary, hotwords))

    def with_lists(self, lists: Lists) -> Self:
        """Return a recogniser with other entries in lists of its grammar, such as an address book.

        It shares all else with this one, and nothing is compiled again: 10,000 entries take a
        fraction of a second. What is recognised, its costs and its slots are those of the grammar
        with these values. How a word is said that the dictionary lacks is guessed from its
        spelling, once, with a `GuessWarning`. The entries are no part of the background model.

        Parameters
        ----------
        lists
            Entries by the names of lists. A grammar declares its lists ``replaceable: true``. In
            dictation they are classes of the language model, such as the word ``{contact}`` of an
            ARPA file; the entries share its probability. Texts
            fill the slot as they are written; a mapping gives each what it fills in. They replace
            earlier entries; other lists stay.

        Raises
        ------
        OptionError
            The grammar has no such list, or an entry has no letters, or there are over 100,000.
        MissingError
            A word cannot be guessed.

        Examples
        --------
        >>> from factored_asr import Recognizer
        >>> from factored_asr.language import Grammar
        >>> grammar = Grammar.from_text('''
        ... intents: {Turn: {data: [{sentences: ["turn on the {thing}"]}]}}
        ... lists: {thing: {replaceable: true}}
        ... ''')
        >>> recognizer = Recognizer.load("en-us", grammar=grammar)
        >>> taught = recognizer.with_lists({"thing": {"kitchen light": 17, "garden light": 18}})
        >>> taught.transcribe("examples/audio/kitchen_light_on.wav").interpretation.slots
        {'thing': 17}
        """
        return self._changed(self._knowledge.with_lists(self._vocabulary, lists))

    @property
    def list_names(self) -> tuple[str, ...]:
        """Names of the lists that `with_lists` may replace."""
        return self._knowledge.list_names(self._vocabulary) if self.recipe else ()

    def with_commands(
        self, grammar: str | Path | Grammar, *, after: str = "", probability: float = COMMANDS
    ) -> Self:
        """Return a recogniser for dictation that finds and understands sentences of a grammar.

        The sentences, and what denies them, are added to the graph, which is not compiled again.
        `Transcript.interpretation` is the meaning of the first one in an utterance. Denied ones
        have none. Lists of the grammar with ``replaceable: true`` may be changed by `with_lists`.
        Several grammars may be added.

        Parameters
        ----------
        grammar
            A grammar file or folder, or a `Grammar`, without wildcards.
        after
            The carrier phrase before each sentence, such as "computer". None (default): a sentence
            may stand anywhere, such as "call {contact}".
        probability
            Of all sentences together, wherever a word may begin, above 0 to 1, default 0.01. They
            share it by their weights; else each next word is as likely as any other. Higher:
            commands are found more often, rightly and wrongly.

        Raises
        ------
        OptionError
            This is no recogniser for dictation, or the carrier phrase has no letters.
        MissingError
            There is no such grammar, or a word has no pronunciation.
        FormatError
            The grammar breaks its format or has a wildcard.

        Examples
        --------
        >>> import tempfile
        >>> from factored_asr import Recognizer
        >>> from factored_asr.language import estimate, write_arpa
        >>> lm = tempfile.mkdtemp() + "/small.arpa"
        >>> write_arpa(estimate([["i", "like", "the", "light"]]), lm)
        >>> recognizer = Recognizer.load("en-us-network", lm=lm)
        >>> taught = recognizer.with_commands("lm/smart_home.yaml")
        >>> said = taught.transcribe("examples/audio/kitchen_light_on.wav")
        >>> said.text, said.interpretation.slots
        ('turn on the kitchen light', {'device': 'light', 'room': 'kitchen'})
        """
        commands = Commands.of(grammar, after, probability)
        return self._changed(self._knowledge.with_commands(self._vocabulary, commands))

    def with_prompt(self, text: str, *, bonus: float | None = None) -> Self:
        """Return a recogniser that expects the words of a text, such as a list of names.

        Rare words of it become hotwords with this bonus, see `with_hotwords`. The thousand most
        frequent words of the language model do not. In dictation words that are unknown are added,
        with guessed pronunciations (a `GuessWarning` each). Words that cannot be pronounced are
        left out.

        Examples
        --------
        >>> from factored_asr import Recognizer
        >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
        >>> recognizer.with_prompt("The kitchen, the office.").transcribe(
        ...     "examples/audio/kitchen_light_on.wav").text
        'turn on the kitchen light'
        """
        new, rare = self._knowledge.expected(self._vocabulary, normalise_text(text))
        chosen = self.with_words(dict.fromkeys(new)) if new else self
        earlier = {" ".join(words): each for words, each in self._vocabulary.hotwords}
        return chosen.with_hotwords(dict.fromkeys((*rare, *new), bonus) | earlier)

    def _for_one(
        self, words: NewWords | None, hotwords: Hotwords | None, lists: Lists | None
    ) -> Self:
        """This recogniser with the words of one call."""
        chosen = self.with_words(words) if words else self
        chosen = chosen.with_lists(lists) if lists else chosen
        return chosen.with_hotwords(hotwords) if hotwords else chosen

    def towards(self, words: tuple[str, ...]) -> tuple[Graph, HotwordPass]:
        """Return the graph with the whole bonus of each hotword in these words on all its words.

        Where shares were too small for the result, its path is the best one of this graph.
        """
        found = {phrase: bonus for phrase, bonus in self._vocabulary.hotwords
                 if any(words[at : at + len(phrase)] == phrase for at in range(len(words)))}
        each = dict[tuple[str, ...], float]()
        for phrase, bonus in found.items():
            each |= {(word,): bonus for word in phrase}
        lean = replace(self._vocabulary, hotwords=tuple(each.items()))
        return self._knowledge.graph(lean), HotwordPass(HotwordScorer(each))

    def with_added(self, scorer: WordScorer) -> WordScorer:
        """Return a language model of this recogniser with what was added to it since."""
        words = self._vocabulary
        if not (words.words or words.lists or words.commands):
            return scorer
        return self._knowledge.scorer(words, scorer) or scorer

    @property
    def _vocabulary(self) -> Vocabulary:
        return self.recipe.vocabulary if self.recipe else Vocabulary()

    @cached_property
    def _knowledge(self) -> Knowledge:
        """What recognisers with other words share with this one."""
        return Knowledge(self.recipe, self.model, self.graph, self.pipeline.second_pass)

    def _changed(self, vocabulary: Vocabulary) -> Self:
        """A recogniser that shares all with this one but the vocabulary."""
        knowledge = self._knowledge
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.__dict__.pop("aligner", None)
        other.recipe = replace(knowledge.recipe, vocabulary=vocabulary)
        other.graph = knowledge.graph(vocabulary)
        meaning = self.pipeline.interpret
        if vocabulary.lists != self._vocabulary.lists and self._grammar is not None:
            meaning = Meaning(partial(read_understander, self._grammar, dict(vocabulary.lists)))
        if vocabulary.commands:
            spotter = knowledge.spotter(vocabulary)
            meaning = Meaning(lambda: spotter)
        exact = vocabulary.hotword_pass
        if exact is not None and exact.scorer.has_phrases:
            other.options = self.options.with_lattice()
        other.pipeline = replace(
            self.pipeline, graph=other.graph, options=other.options, hotwords=exact,
            second_pass=knowledge.second_pass(vocabulary),
            interpret=meaning,
        )
        return other
