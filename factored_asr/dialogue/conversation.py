"""What a dialogue understands, as a grammar to recognise.

`Dialogue` reads far more than the sentences of its grammar: "no, the bedroom", "turn it off", "undo
that". A `Conversation` holds these as patterns (heard.yaml) around phrases that come from the
user's grammar (phrases.py). What the reader does not understand with this grammar is left out, so
that what is recognised is understood.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random

from factored_asr.dialogue.frames import base_forms
from factored_asr.dialogue.phrases import AND, MENDS, Phrases, excepted
from factored_asr.dialogue.reader import Reader
from factored_asr.dialogue.scene import NOTHING_SAID, Scene
from factored_asr.graph.convert import graph_of
from factored_asr.graph.denials import verbs_of
from factored_asr.language.acceptor import Acceptor, minimal, united
from factored_asr.language.grammar import Grammar, ListSymbol, Network
from factored_asr.language.grammar.acceptor import beginning_with, build_acceptor, relabelled
from factored_asr.language.grammar.expression import ListReference, walk
from factored_asr.language.grammar.network import Symbol, words_of
from factored_asr.language.grammar.sampling import draw
from factored_asr.language.grammar.templates import Template
from factored_asr.understanding.parse import Understander

PATTERNS = Path(__file__).with_name("heard.yaml")
VERSION = 3
"""Raise it when the same grammar gives another conversation than before."""
WHOLE = ("heard", "denied")  # intents of whole sentences
TRIES = 4  # sentences of each candidate that are read; all must be understood
KINDS = ("command", "pointed", "doing", "fragment", "bare", "state", "excepted", "exception")
_DOUBLED = re.compile(r"[^aeiouy]*[aeiouy][^aeiouywx]")  # one short vowel: put, stop, shut
_Growing = dict[str, dict[Template, list[str]]]
_Pools = Mapping[str, Mapping[Template, Sequence[str]]]
"""Of each kind of phrase: examples by the template of the grammar that they come from."""


@dataclass(frozen=True, eq=False)
class Conversation:
    """The sentences of a grammar, and what a dialogue makes of them; a grammar for a graph.

    Examples
    --------
    >>> grammar = Grammar.from_text('''
    ... intents: {On: {data: [{sentences: ["turn (on|off) [the] {room} light"]}]}}
    ... lists: {room: {values: [kitchen, hall]}}
    ... ''')
    >>> from factored_asr.language.grammar.sampling import random_sentences
    >>> said = [" ".join(words) for words in random_sentences(Conversation(grammar), 2000)]
    >>> [text in said for text in ("turn on the hall light", "turn it on", "undo that")]
    [True, True, True]
    """

    grammar: Grammar
    known: Container[str] | None = None
    """Words that can be pronounced: what needs others is left out; None: all can be."""

    @property
    def kept(self) -> Mapping[str, tuple[Template, ...]]:
        """Return the phrases of each kind that the reader understands."""
        return self._phrases[0]

    @cached_property
    def patterns(self) -> Mapping[str, tuple[Template, ...]]:
        """Return the patterns of each intent that the reader understands with these phrases."""
        fits = {name: self._fits if name in WHOLE else self._bases for name in patterns()}
        return {name: tuple(filter(fits[name], some)) for name, some in patterns().items()}

    @cached_property
    def words(self) -> frozenset[str]:
        """Return all words of the grammar, and those of the patterns that can be pronounced."""
        made = [each for of_kind in (self.kept, self.patterns) for some in of_kind.values()
                for each in some]
        more = words_of((symbol for row in Network(made).arcs for symbol, _, _ in row
                         if not _is_wildcard(symbol)), ())
        more |= {gerund(word) for word in self.grammar.words}
        return self.grammar.words | {w for w in more if self.known is None or w in self.known}

    def acceptor(self, word_ids: Mapping[str, int]) -> Acceptor:
        """Return G, as `Grammar.acceptor` does; what needs a word without an id is left out."""
        return minimal(united(self.parts(word_ids)))

    def parts(self, word_ids: Mapping[str, int]) -> tuple[Acceptor, Acceptor]:
        """Return the G of what is not denied, and that of what is ("don't turn it on").

        Only sentences that begin with a verb are denied whole: "don't the light on" says no one.
        """
        made = self._made(word_ids)
        own = graph_of(self.grammar.acceptor(word_ids))
        verbs = verbs_of(own, ["", *sorted(word_ids, key=lambda word: word_ids[word])])
        ordered = beginning_with(made["sentence"], {word_ids[verb] for verb in verbs})
        plain = self._acceptor(self.patterns["heard"], word_ids, made)
        return plain, self._acceptor(self.patterns["denied"], word_ids,
                                     {**made, "sentence": ordered})

    def _made(self, word_ids: Mapping[str, int]) -> dict[str, Acceptor]:
        """Return the acceptors that stand for phrases in the patterns of whole sentences."""
        grammar = self.grammar
        made = {kind: self._acceptor(some, word_ids) for kind, some in self.kept.items() if some}
        forms = {word_ids[word]: word_ids[gerund(word)] for word in grammar.words
                 if gerund(word) in word_ids}
        plain = [grammar.acceptor(word_ids), *(made[k] for k in made if k == "pointed")]
        made["doing"] = relabelled(plain, forms)
        made["command"] = self._acceptor((*self._heard, *self.kept["command"]), word_ids,
                                         skip=grammar.skip_words)
        for name, some in self.patterns.items():
            if some and name not in WHOLE:
                made[name] = self._acceptor(some, word_ids, made)
        return made

    def _acceptor(
        self, templates: Sequence[Template], word_ids: Mapping[str, int],
        made: Mapping[str, Acceptor] | None = None, skip: Iterable[tuple[str, ...]] = (),
    ) -> Acceptor:
        """Return the word side of templates, without words that have no id."""
        network = Network(templates)
        arcs = (
            (source, symbol, target, cost) for source, row in enumerate(network.arcs)
            for symbol, target, cost in row if not isinstance(symbol, str) or symbol in word_ids
        )
        return build_acceptor(arcs, network, word_ids, self.grammar.wildcard_words, skip,
                              made or {})

    @cached_property
    def _heard(self) -> tuple[Template, ...]:
        """The templates of the grammar that a graph may hold."""
        left_out = set(self.grammar.left_out)
        return tuple(each for each in self.grammar.templates if each not in left_out)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(Understander(self.grammar))

    @cached_property
    def _phrases(self) -> tuple[dict[str, tuple[Template, ...]], _Pools]:
        """The phrases of each kind that the reader understands, and examples of them."""
        kept: dict[str, list[Template]] = {kind: [] for kind in KINDS if kind != "doing"}
        pools: _Growing = {kind: {} for kind in KINDS}
        cut = Phrases(self._heard)
        for base in self._heard:
            rng = Random(len(pools["command"]))
            said = [draw(base, rng) for _ in range(TRIES)]
            pools["command"][base] = said
            pools["doing"][base] = list(filter(None, map(doing, said)))
            for phrase in cut.of(base):
                tried = [draw(phrase.template, rng) for _ in range(TRIES)]
                pairs = zip(tried, said, strict=True)
                if all(self._follows(phrase.kind, *pair, said) for pair in pairs):
                    kept[phrase.kind].append(phrase.template)
                    pools[phrase.kind].setdefault(base, []).extend(tried)
            for between in (MENDS, AND):
                for again in cut.repaired(base, between):
                    if all(self._moves(draw(again, rng)) for _ in range(2 * TRIES)):
                        kept["command"].append(again)
        self._except(kept, pools)
        return {kind: tuple(of_kind) for kind, of_kind in kept.items()}, pools

    def _except(self, kept: dict[str, list[Template]], pools: _Growing) -> None:
        """Add what may be excepted from a sentence about all of a kind: "all but the hall"."""
        rng = Random(0)
        for base in (each for each in self._heard if each.block.slots.get("which") == "all"):
            for fragment in {each.expression: each for each in kept["fragment"]}.values():
                made = excepted(base, fragment)
                texts = [draw(made, rng) for _ in range(TRIES)]
                if fragment.scope is base.scope and all(map(self._excepts, texts)):
                    kept["excepted"].append(made)
                    kept["exception"].append(fragment)
                    pools["excepted"].setdefault(base, []).extend(texts)
                    pools["exception"].setdefault(base, []).append(draw(fragment, rng))

    def _excepts(self, text: str) -> bool:
        """Return True if a text commands something with an exception."""
        return "except" in {each.note for each in self._reader.read(text).acts}

    def _follows(self, kind: str, text: str, before: str, said: Sequence[str]) -> bool:
        """Return True if a phrase is understood after a sentence.

        "Off" is none after "turn off the light", so a state need only follow one of all `said`.
        """
        return any(self._moves(text, each) for each in (said if kind == "state" else [before]))

    def _moves(self, text: str, before: str = "") -> bool:
        """Return True if something is commanded or denied by a text after another."""
        acts = self._reader.read(text, scene=self._after(before)).acts
        return any(a.kind in ("command", "deny") and a.reading is not None for a in acts)

    def _after(self, text: str) -> Scene:
        return NOTHING_SAID.after(self._reader.read(text).acts) if text else NOTHING_SAID

    def _fits(self, pattern: Template) -> bool:
        """Return True if sentences of a pattern are understood after some others."""
        bases, rng = self._bases(pattern), Random(0)
        return bool(bases) and all(self._example(pattern, bases, rng) for _ in range(2 * TRIES))

    def _bases(self, pattern: Template) -> list[Template]:
        """Return the templates of the grammar that give all phrases of a pattern."""
        return [base for base in self._phrases[1]["command"] if self._gives(base, pattern)]

    def _gives(self, base: Template, pattern: Template) -> bool:
        """Return True if a template of the grammar gives all phrases of a pattern."""
        return all(
            any(self._gives(base, each) for each in patterns()[kind]) if kind in patterns()
            else bool(self._phrases[1][kind].get(base)) for kind in _kinds(pattern)
        )

    def _example(self, pattern: Template, bases: Sequence[Template], rng: Random) -> bool:
        """Return True if a random sentence is understood after one of some sentences."""
        base = rng.choice(bases)

        def phrase(kind: str) -> str:
            if kind in patterns():
                inner = [each for each in patterns()[kind] if self._gives(base, each)]
                return draw(rng.choice(inner), rng, phrase)
            return rng.choice(self._phrases[1][kind][base])

        text = draw(pattern, rng, phrase)
        before = [base, *(() if _kinds(pattern) else rng.sample(bases, len(bases)))]
        said = (text for each in before for text in self._phrases[1]["command"][each])
        return any(self._reader.read(text, scene=self._after(each)).acts for each in said)


def _kinds(pattern: Template) -> set[str]:
    """Return the kinds of phrases, and the intents, that a pattern is made of."""
    return {each.name for each in walk(pattern.expression) if isinstance(each, ListReference)}


def _is_wildcard(symbol: Symbol) -> bool:
    return isinstance(symbol, ListSymbol) and symbol.list.wildcard


def gerund(word: str) -> str:
    """Return the form of a verb with -ing; "" for what cannot be a verb.

    Examples
    --------
    >>> [gerund(word) for word in ("turn", "close", "put", "open", "tie", "don't")]
    ['turning', 'closing', 'putting', 'opening', 'tying', '']
    """
    if not word.isalpha():
        return ""
    stem = word
    if word.endswith("ie"):
        stem = word[:-2] + "y"
    elif word.endswith("e") and not word.endswith(("ee", "oe", "ye")):
        stem = word[:-1]
    elif _DOUBLED.fullmatch(word):
        stem = word + word[-1]
    return stem + "ing"


def doing(sentence: str) -> str:
    """Return "turning on the light" for "turn on the light"; "" if its first word is no verb."""
    first, _, rest = sentence.partition(" ")
    return f"{gerund(first)} {rest}" if first in base_forms(gerund(first)) else ""


@lru_cache(maxsize=1)
def patterns() -> Mapping[str, tuple[Template, ...]]:
    """Return the templates of heard.yaml by their intents, read once."""
    found: dict[str, tuple[Template, ...]] = {}
    for template in Grammar.read(PATTERNS).templates:
        name = template.block.intent
        found[name] = (*found.get(name, ()), template)
    return found
