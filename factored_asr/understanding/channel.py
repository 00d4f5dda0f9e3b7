"""What people say besides what they mean: a channel that only leaves words out.

It works on the input, never on the grammar: every :class:`Deletion` is an arc beside the words it
spans, with a cost, and the walk through the grammar may take it. What carries polarity or meaning
(``protected`` in acts.yaml, numbers) goes only as one of two equal neighbours, or within a restart
whose words all come again; one copy always stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from factored_asr.language.grammar.normalisation import normalise_text, spell_number
from factored_asr.language.grammar.yaml_nodes import Node, read_yaml

RULES = Path(__file__).with_name("acts.yaml")
FILLER, COURTESY, REPEAT, RESTART = 0.1, 0.2, 0.3, 0.5  # costs; of a restart, for each word
LIGHT = frozenset("in of at to for with my our".split())  # no sentence begins anew with these
MAX_REPEAT = 8  # words in a phrase said again


@dataclass(frozen=True, slots=True)
class Deletion:
    """Words ``start`` … ``end - 1`` may be left out."""

    start: int
    end: int
    cost: float
    why: str


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Phrases that mean nothing, by their first word, and words that mean too much."""

    noise: dict[str, tuple[tuple[tuple[str, ...], str], ...]]
    """Fillers, courtesies, wake words: never part of a command."""
    soft: dict[str, tuple[tuple[tuple[str, ...], str], ...]]
    """Left out where the grammar has no place for them ("now", "back", "just")."""
    protected: frozenset[str]


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """The channel's words, from acts.yaml."""
    parts = read_yaml(RULES.read_text(encoding="utf-8"), RULES.name).mapping("the rules")
    channel = parts["channel"].mapping("channel")
    noise = {why: channel[why] for why in ("filler", "courtesy", "wake word")}
    numbers = {word for n in (*range(21), *range(30, 101, 10)) for word in spell_number(n).split()}
    protected = {word for (word,) in _phrases(channel["protected"])}
    return Lexicon(
        _by_first_word(noise.items()),
        _by_first_word([("soft", channel["soft"])]),
        frozenset(protected | numbers),
    )


def _phrases(node: Node) -> Iterator[tuple[str, ...]]:
    for entry in node.sequence("a list of phrases"):
        yield normalise_text(entry.text("a phrase"))


def _by_first_word(
    kinds: Iterable[tuple[str, Node]],
) -> dict[str, tuple[tuple[tuple[str, ...], str], ...]]:
    found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for why, node in kinds:
        for phrase in _phrases(node):
            found.setdefault(phrase[0], []).append((phrase, why))
    longest_first = {w: sorted(p, key=lambda x: -len(x[0])) for w, p in found.items()}
    return {word: tuple(phrases) for word, phrases in longest_first.items()}


def noise(words: Sequence[str]) -> list[Deletion]:
    """Where the fillers, courtesies and wake words stand; the longest phrase at each place.

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
    """All that may be left out of ``words``, from which noise is gone already.

    Examples
    --------
    >>> [(d.start, d.end, d.why) for d in deletions("turn it now now on".split())]
    [(2, 3, 'soft'), (3, 4, 'soft'), (2, 3, 'repeated'), (3, 4, 'said again'),
     (2, 3, 'begun anew')]
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
                yield Deletion(middle, middle + length, REPEAT * length, "said again")


def _restarts(words: Sequence[str]) -> Iterator[Deletion]:
    """A phrase begun anew with its first word: "set the time | set a timer"."""
    protected = lexicon().protected
    for start, word in enumerate(words):
        for middle in range(start + 1, min(start + MAX_REPEAT, len(words) - 1) + 1):
            if words[middle] != word:
                continue
            dropped, rest = words[start:middle], words[middle:]
            # Its last word may be given up for another, if more than articles stand before it.
            kept = dropped[:-1] if protected.isdisjoint(dropped) else ()
            weighty = any(word not in lexicon().soft and word not in LIGHT for word in kept)
            if _come_again(dropped, rest) or weighty and rest[: len(kept)] == kept:
                yield Deletion(start, middle, RESTART * len(dropped), "begun anew")


def _come_again(dropped: Sequence[str], rest: Sequence[str]) -> bool:
    """True if all words come again in order; the last may have been cut off ("kit|kitchen")."""
    position = 0
    for i, word in enumerate(dropped):
        last = i == len(dropped) - 1
        while position < len(rest) and not (
            rest[position] == word or last and rest[position].startswith(word)
        ):
            position += 1
        if position == len(rest):
            return False
        position += 1
    return True
