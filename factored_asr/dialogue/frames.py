"""The rules of acts.yaml: which of them fit a phrase, and around which parts of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.normalisation import normalise_text
from factored_asr.language.grammar.yaml_nodes import read_yaml
from factored_asr.understanding.parse import Understander

RULES = Path(__file__).with_name("acts.yaml")
Words: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A rule that fits: its name and the words of its parts."""

    rule: str
    parts: Mapping[str, Words]
    state: str = ""
    """The value of ``{state}``, as in "leave it on"."""


class Frames:
    """All rules; one object serves all threads."""

    def __init__(self) -> None:
        text = RULES.read_text(encoding="utf-8")
        grammar = Grammar.from_text(text, name=RULES.name)
        self._understander = Understander(grammar)
        self._order = {f"{t.path}:{t.line}: {t.text}": i for i, t in enumerate(grammar.templates)}
        parts = read_yaml(text, RULES.name).mapping("the rules")
        opposites = parts["opposites"].mapping("opposites")
        self._opposites = {word: node.text("a command") for word, node in opposites.items()}
        self.pronouns: dict[Words, str] = {
            normalise_text(phrase.text("a pronoun")): kind
            for kind, node in parts["pronouns"].mapping("pronouns").items()
            for phrase in node.sequence("pronouns")
        }

    def fitting(self, words: Words) -> list[Frame]:
        """The rules that fit the words, first rules first, each with every way it fits.

        Of those ways the first leaves most words to a rule's only part: "don't … now" may be
        "don't (what time is it now)".
        """
        found = []
        for reading in self._understander.readings(words):
            parts = {s.name: words[s.start : s.end] for s in reading.spans if s.name != "state"}
            frame = Frame(reading.intent, parts, str(reading.slots.get("state", "")))
            length = sum(map(len, parts.values())) if len(parts) == 1 else 0
            found.append((self._order[reading.template], -length, frame))
        return [frame for *_, frame in sorted(found, key=lambda entry: entry[:2])]

    def kept_from(self, state: str, what: Words) -> Words:
        """The command that "leave ``what`` ``state``" forbids.

        Examples
        --------
        >>> " ".join(frames().kept_from("on", ("the", "light")))
        'turn the light off'
        """
        return tuple(self._opposites[state].format(" ".join(what)).split())


@lru_cache(maxsize=1)
def frames() -> Frames:
    """The rules, read once."""
    return Frames()


def base_forms(word: str) -> list[str]:
    """What "turning" or "turned" may be a form of, the likeliest first.

    Examples
    --------
    >>> base_forms("setting"), base_forms("closed"), base_forms("put")
    (['set', 'sett', 'sette'], ['clos', 'close'], ['put'])
    """
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 1:
            doubled = [stem[:-1]] if stem[-1] == stem[-2] else []
            return [*doubled, stem, stem + "e"]
    return [word]


def as_command(words: Words) -> list[Words]:
    """The ways to read "turning on the light" as a command: its first word put back."""
    return [(base, *words[1:]) for base in base_forms(words[0])] if words else []
