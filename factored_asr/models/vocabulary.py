"""What is added to a compiled graph at run time: words, removed words, hotwords, lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language import Grammar, HotwordScorer
from factored_asr.language.grammar import normalise_text
from factored_asr.language.grammar.lists import ListEntries
from factored_asr.language.grammar.templates import ValueList
from factored_asr.lattice import HotwordPass
from factored_asr.lexicon import Lexicon, Pronunciation

PROBABILITY, ALL_TOGETHER = 2e-4, 0.2
"""Of a word that is added without a like one, and at most of all of them together. A word that is
worth adding is said more often than a rare word of the language model. By tests/bench/rare_words.py
(``--half dev``)."""
MOST_WORDS = 100_000
"""That may be added at run time; more belong into a dictionary and a language model."""
NewWords = Mapping[str, str | Sequence[str] | None]
"""Words with their phones: a text (``"W AY OW M IH NG"``) or a tuple of phones is one
pronunciation, a list of texts several. None takes that of the dictionary and the three likeliest by
the spelling, with a `GuessWarning` for a word that no dictionary has."""
COMMANDS = 0.01
"""Probability of a command in dictation, where a word may begin and nothing is known of the words
before."""
Like = str | Mapping[str, str]
Lists = Mapping[str, ListEntries]
"""Entries of lists, by the lists' names."""


@dataclass(frozen=True)
class Commands:
    """A grammar whose sentences may stand in dictation, after a carrier phrase or anywhere."""

    grammar: Path | Grammar
    after: tuple[str, ...] = ()
    """The words of the carrier phrase; none: a sentence may stand anywhere."""
    probability: float = COMMANDS
    """Of all sentences together, above 0 and at most 1; see `graph.commands.with_probabilities`."""

    @staticmethod
    def of(
        grammar: str | Path | Grammar, after: str = "", probability: float = COMMANDS
    ) -> Commands:
        """Return checked commands; see `Recognizer.with_commands`."""
        if not 0 < probability <= 1:
            raise OptionError("the probability of commands must be above 0 and at most 1, got "
                              f"{probability}")
        if isinstance(grammar, str | Path) and not Path(grammar).exists():
            raise MissingError(f"{grammar}: no such grammar file")
        words = normalise_text(after)
        if after.strip() and not words:
            raise OptionError(f"the carrier phrase {after!r} has no letters")
        grammar = Path(grammar) if isinstance(grammar, str) else grammar
        return Commands(grammar, words, probability)


@dataclass(frozen=True)
class Vocabulary:
    """Changes to the words of a graph; the empty one changes nothing."""

    words: tuple[tuple[str, tuple[Pronunciation, ...], str], ...] = ()
    """Added words, their pronunciations, and the word whose place in the language model each takes
    (empty: none, see `PROBABILITY`)."""
    removed: tuple[str, ...] = ()
    """Words that are not recognised."""
    hotwords: tuple[tuple[tuple[str, ...], float], ...] = ()
    """Phrases that are found more often, and their bonuses."""
    lists: tuple[tuple[str, ValueList], ...] = ()
    """Values of the replaceable lists of a grammar, by their names."""
    guesses: tuple[tuple[str, tuple[Pronunciation, ...]], ...] = ()
    """How words of these lists are said that no dictionary has."""
    commands: tuple[Commands, ...] = ()
    """Grammars whose sentences stand in dictation."""

    @property
    def is_empty(self) -> bool:
        return not (self.words or self.removed or self.hotwords or self.lists or self.commands)

    @property
    def lexicon(self) -> Lexicon:
        """The added words, and guessed ones of lists, with their pronunciations."""
        return Lexicon({word: spoken for word, spoken, _ in self.words} | dict(self.guesses))

    @property
    def hotword_pass(self) -> HotwordPass | None:
        """What scores hotwords exactly in a lattice."""
        return HotwordPass(HotwordScorer(dict(self.hotwords))) if self.hotwords else None

    def without(self, words: Iterable[str]) -> Vocabulary:
        """Return the vocabulary without these words, added or compiled."""
        gone = tuple(dict.fromkeys(words))
        return replace(
            self, words=tuple(each for each in self.words if each[0] not in gone),
            removed=tuple(dict.fromkeys((*self.removed, *gone))),
        )


def spoken_ways(
    word: str, phones: str | Sequence[str] | None
) -> tuple[tuple[str, ...], ...] | None:
    """The pronunciations of a new word; None where they are to be guessed."""
    if not isinstance(word, str) or len(word.split()) != 1:
        raise OptionError(f"a word to add must be one word, got {word!r}")
    if phones is None:
        return None
    each = [phones] if isinstance(phones, str) else (
        [" ".join(phones)] if isinstance(phones, tuple) else list(phones)
    )
    spoken = tuple(tuple(one.split()) for one in each)
    if not spoken or not all(spoken):
        raise FormatError(f"word '{word}' has no phones")
    return spoken
