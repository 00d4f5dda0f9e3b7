"""Fragments and pronouns: "the hall", "it", "there" are resolved by an earlier sentence.

The new words replace a part of the earlier sentence, or a part of it replaces a pronoun; the
grammar decides which result is a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

from factored_asr.dialogue.acts import Act, act
from factored_asr.dialogue.frames import Words
from factored_asr.understanding.interpretation import Interpretation

PARTICLES = frozenset("on off out up down in back over".split())
Parse = Callable[[Words], Interpretation | None]


def complete(words: Words, base: Act, parse: Parse) -> Act | None:
    """Read a fragment in place of a part of ``base``: "the hall" after "turn on the porch".

    The best reading has the intent of the base, then its slots, then most of its words.
    """
    if base.reading is None or not words:
        return None
    found = []
    for part in _variants(words):
        for start, end, sentence in _put_in(part, base):
            reading = parse(sentence)
            if reading and _says_something(reading, base, start, start + len(part)):
                new_intent = reading.intent != base.reading.intent
                new_slots = reading.slots.keys() != base.reading.slots.keys()
                found.append(((new_intent, new_slots, end - start, -start), sentence, reading))
        if found:
            _, sentence, reading = min(found, key=lambda entry: entry[0])
            return act("command", reading, sentence)
    return None


def _variants(words: Words) -> Iterator[Words]:
    """Yield the fragment, and the fragment without words that fit no sentence ("the hall one")."""
    yield words
    while words and words[-1] in ("one", "ones"):
        words = words[:-1]
        yield words
    if words[:2] == ("the", "one"):
        words = words[2:]
        yield words
    while words and words[0] in ("in", "for", "to", "with", "at", "on", "of"):
        words = words[1:]
        yield words


def _put_in(words: Words, base: Act) -> Iterator[tuple[int, int, Words]]:
    """Yield the base with words ``start`` … ``end - 1`` replaced; a slot's value is never cut."""
    n, spans = len(base.words), base.reading.spans if base.reading else ()
    inside = {p for slot in spans for p in range(slot.start + 1, slot.end)}
    for start, end in combinations(range(n + 1), 2):
        if start not in inside and end not in inside and end - start < n:
            yield start, end, base.words[:start] + words + base.words[end:]


def _says_something(reading: Interpretation, base: Act, start: int, end: int) -> bool:
    """Return True if the new words fill a slot that is no wildcard, or change the intent."""
    if any(s.wildcard and s.start < end and start < s.end for s in reading.spans):
        return False
    if base.reading is not None and reading.intent != base.reading.intent:
        return True
    return any(slot.start < end and start < slot.end for slot in reading.spans)


def pointing(words: Words, pronouns: Mapping[Words, str]) -> Iterator[tuple[int, int, str]]:
    """Yield pronouns: (start, end, "one" | "many" | "place"), longer phrases first."""
    for length in range(max(map(len, pronouns)), 0, -1):
        for start in range(len(words) - length + 1):
            kind = pronouns.get(words[start : start + length])
            if kind is not None:
                yield start, start + length, kind


def resolve(words: Words, start: int, end: int, kind: str, base: Act, parse: Parse) -> Act | None:
    """Read the pronoun in words ``start`` … ``end - 1`` as a device of the base."""
    before = (*words[:start], "in") if kind == "place" else words[:start]
    after = words[end:]
    for part in _nameable(base):
        orders = [before + part + after]
        if len(after) == 1 and after[0] in PARTICLES:  # "turn it on": "turn on the light"
            orders.append(before + after + part)
        for sentence in orders:
            if reading := parse(sentence):
                return act("command", reading, sentence)
    return None


def _nameable(base: Act) -> list[Words]:
    """Return parts of a sentence that may name its device: most slots first, then most words."""
    n, spans = len(base.words), base.reading.spans if base.reading else ()
    named = any(not isinstance(slot.value, int | float) for slot in spans)
    ranked = []
    for first, last in combinations(range(n + 1), 2):
        covered = sum(first <= slot.start and slot.end <= last for slot in spans)
        if covered or not named:
            ranked.append((-covered, first - last, base.words[first:last]))
    return [words for *_, words in sorted(ranked, key=lambda entry: entry[:2])]
