"""Disfluencies: words of a sentence that may be deleted before the grammar reads it.

Every :class:`Deletion` is an arc parallel to the words it spans, with a cost, and the walk through
the grammar may take it. Words of polarity and meaning (``protected`` in channel.yaml, numbers) are
deleted only as one of two equal neighbours, or in a restart that repeats all of its words. One copy
always remains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from factored_asr.language.grammar.normalisation import normalise_text
from factored_asr.language.grammar.yaml_nodes import Node, read_yaml
from factored_asr.language.numerals import spell_number

WORDS = Path(__file__).with_name("channel.yaml")
FILLER, COURTESY, REPEAT, RESTART = 0.1, 0.2, 0.3, 0.5  # costs; of a restart, for each word
LIGHT = frozenset("in of at to for with my our".split())  # no restart consists of these
MAX_REPEAT = 8  # words in a repeated phrase


@dataclass(frozen=True, slots=True)
class Deletion:
    """Words ``start`` … ``end - 1`` may be deleted."""

    start: int
    end: int
    cost: float
    why: str


_Phrases: TypeAlias = dict[str, tuple[tuple[tuple[str, ...], str], ...]]
"""(words, why) of phrases by their first word, the longest first."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Phrases that may be deleted, by their first word, and words that may not."""

    noise: _Phrases
    """Fillers, courtesies, wake words: never part of a command."""
    soft: _Phrases
    """Deleted where the grammar has no place for them ("now", "back", "just")."""
    protected: frozenset[str]


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """Return the words of channel.yaml, read once."""
    channel = read_yaml(WORDS.read_text(encoding="utf-8"), WORDS.name).mapping("the words")
    noise = [(why, channel[why]) for why in ("filler", "courtesy", "wake word")]
    numbers = {word for n in (*range(21), *range(30, 101, 10)) for word in spell_number(n).split()}
    protected = {word for (word,) in _phrases(channel["protected"])} | numbers
    soft = _by_first_word([("soft", channel["soft"])])
    return Lexicon(_by_first_word(noise), soft, frozenset(protected))


def _phrases(node: Node) -> Iterator[tuple[str, ...]]:
    for entry in node.sequence("a list of phrases"):
        yield normalise_text(entry.text("a phrase"))


def _by_first_word(kinds: Iterable[tuple[str, Node]]) -> _Phrases:
    found = [(phrase, why) for why, node in kinds for phrase in _phrases(node)]
    found.sort(key=lambda entry: (entry[0][0], -len(entry[0])))
    return {word: tuple(same) for word, same in groupby(found, key=lambda entry: entry[0][0])}


def noise(words: Sequence[str]) -> list[Deletion]:
    """Find fillers, courtesies and wake words; the longest phrase at each place.

    Examples
    --------
    >>> [(d.start, d.end, d.why) for d in noise("uh turn it on alexa thank you".split())]
    [(0, 1, 'filler'), (4, 5, 'wake word'), (5, 7, 'courtesy')]
    """
    found, position, phrases = list[Deletion](), 0, lexicon().noise
    while position < len(words):
        for phrase, why in phrases.get(words[position], ()):
            if tuple(words[position : position + len(phrase)]) == phrase:
                cost = FILLER if why == "filler" else COURTESY
                found.append(Deletion(position, position + len(phrase), cost, why))
                position += len(phrase)
                break
        else:
            position += 1
    return found


def deletions(words: Sequence[str]) -> list[Deletion]:
    """Find all that may be deleted from ``words``, from which noise is deleted already.

    Examples
    --------
    >>> [(d.start, d.end, d.why) for d in deletions("turn it now now on".split())]
    [(2, 3, 'soft'), (3, 4, 'soft'), (2, 3, 'repeated'), (3, 4, 'repetition'),
     (2, 3, 'restart')]
    """
    return [*_soft(words), *_repeats(words), *_restarts(words)]


def _soft(words: Sequence[str]) -> Iterator[Deletion]:
    for i, word in enumerate(words):
        for phrase, why in lexicon().soft.get(word, ()):
            if tuple(words[i : i + len(phrase)]) == phrase:
                yield Deletion(i, i + len(phrase), COURTESY * len(phrase), why)


def _repeats(words: Sequence[str]) -> Iterator[Deletion]:
    """Either of two equal neighbours, words or phrases ("living living room room")."""
    n = len(words)
    for start in range(n):
        for length in range(1, min(MAX_REPEAT, (n - start) // 2) + 1):
            middle = start + length
            if words[start:middle] == words[middle : middle + length]:
                yield Deletion(start, middle, REPEAT * length, "repeated")
                yield Deletion(middle, middle + length, REPEAT * length, "repetition")


def _restarts(words: Sequence[str]) -> Iterator[Deletion]:
    """A phrase that starts over with its first word: "set the time | set a timer"."""
    protected = lexicon().protected
    for start, word in enumerate(words):
        for middle in range(start + 1, min(start + MAX_REPEAT, len(words) - 1) + 1):
            if words[middle] != word:
                continue
            dropped, rest = words[start:middle], words[middle:]
            # Another word may replace its last one, if more than articles precede it.
            kept = dropped[:-1] if protected.isdisjoint(dropped) else ()
            weighty = any(word not in lexicon().soft and word not in LIGHT for word in kept)
            if _are_repeated(dropped, rest) or weighty and rest[: len(kept)] == kept:
                yield Deletion(start, middle, RESTART * len(dropped), "restart")


def _are_repeated(dropped: Sequence[str], rest: Sequence[str]) -> bool:
    """Return True if all words are repeated in order; the last may be cut off ("kit|kitchen")."""
    others = iter(rest)  # each `any` goes on where the one before has found its word
    return all(any(other == word for other in others) for word in dropped[:-1]) and any(
        other.startswith(dropped[-1]) for other in others
    )
