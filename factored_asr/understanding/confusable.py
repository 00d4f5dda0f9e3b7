"""Words of a grammar that sound nearly the same and decide what a sentence does.

"Arm the alarm" and "harm the alarm" differ in one phone. Where one of two such sentences turns
something on and the other turns it off, a recogniser may take one for the other. The author of the
grammar should choose other words, or a dialogue that asks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.sampling import draw
from factored_asr.lexicon import Lexicon
from factored_asr.understanding.interpretation import Interpretation
from factored_asr.understanding.parse import Understander

DRAWN = 8  # sentences of each template that are looked at
TRIED = 100  # sentences in which a pair of words is tried
_Near = Mapping[str, set[str]]


@dataclass(frozen=True)
class Confusable:
    """Two words that differ in one phone or less, and by which sentences differ in their intent."""

    word: str
    other: str
    """Empty where the word may be left out."""
    text: str
    """A sentence with the word."""
    intent: str
    other_intent: str
    template: str
    """File, line and template of the sentence."""

    def __str__(self) -> str:
        other = f"{self.other!r}" if self.other else "no word"
        return (f"{self.template}: {self.word!r} and {other} differ in one phone or less, and "
                f"{self.text!r} is {self.intent} with the one, {self.other_intent} with the other")


def confusable(grammar: Grammar, lexicon: Lexicon) -> list[Confusable]:
    """Return pairs of words that decide about the intent and can hardly be told apart by sound.

    For each template `DRAWN` sentences are drawn. Each word is left out if it has one phone, and
    replaced by words of the grammar of which a pronunciation differs in one phone at most. Each
    pair of words is reported once. Values of other slots, such as "thirteen" and "thirty", do not
    count.

    Parameters
    ----------
    grammar
        Its templates with wildcards are left out.
    lexicon
        Pronunciations; words without one are left out.

    Examples
    --------
    >>> from factored_asr.lexicon import Pronunciation
    >>> text = "#JSGF V1.0; grammar g; public <on> = arm; public <off> = harm;"
    >>> grammar = Grammar.from_text(text)
    >>> spoken = {"arm": (Pronunciation(("AA", "R", "M")),),
    ...           "harm": (Pronunciation(("HH", "AA", "R", "M")),)}
    >>> [(each.word, each.other) for each in confusable(grammar, Lexicon(spoken))]
    [('arm', 'harm')]
    """
    near, understander = _near(grammar, lexicon), Understander(grammar)
    left_out, rng = set(grammar.left_out), Random(0)
    found, tried = dict[frozenset[str], Confusable](), Counter[frozenset[str]]()
    for template in (each for each in grammar.templates if each not in left_out):
        for text in {draw(template, rng) for _ in range(DRAWN)}:
            words = text.split()
            for i, word in enumerate(words):
                for other in near.get(word, ()):
                    pair = frozenset((word, other))
                    if pair in found or tried[pair] >= TRIED:
                        continue
                    tried[pair] += 1
                    changed = [*words[:i], *filter(None, [other]), *words[i + 1 :]]
                    said, meant = understander.parse(text), understander.parse(" ".join(changed))
                    if said and meant and _opposite(said, meant):
                        found[pair] = Confusable(word, other, text, said.intent, meant.intent,
                                                 said.template)
    return list(found.values())


def _opposite(said: Interpretation, meant: Interpretation) -> bool:
    """Return True for other intents with the same slots."""
    return said.intent != meant.intent and said.slots == meant.slots


def _near(grammar: Grammar, lexicon: Lexicon) -> _Near:
    """Return the words of the grammar within one phone of each word; "" is no word."""
    known = [word for word in sorted(grammar.words) if word in lexicon]
    spoken = {word: {each.phones for each in lexicon.find(word)} for word in known}
    by_part = defaultdict[tuple[str, ...], set[str]](set)  # without one phone: near words share it
    for word, ways in spoken.items():
        for phones in ways:
            for part in {phones, *(phones[:i] + phones[i + 1 :] for i in range(len(phones)))}:
                by_part[part].add(word)
    near: dict[str, set[str]] = {word: set() for word in known}
    for part, words in by_part.items():
        for word in words:
            near[word] |= {w for w in words - {word} if _within_one(spoken[word], spoken[w])}
            if not part:
                near[word].add("")
    return near


def _within_one(ways: set[tuple[str, ...]], others: set[tuple[str, ...]]) -> bool:
    """Return True if two words have pronunciations at most one phone apart."""
    return any(_distance_is_small(a, b) for a in ways for b in others)


def _distance_is_small(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    if abs(len(a) - len(b)) > 1:
        return False
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) <= 1
    short, long = sorted((a, b), key=len)
    return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
