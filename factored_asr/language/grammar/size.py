"""How large a grammar is, told before anything is composed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from factored_asr.language.grammar.expression import (
    Alternative,
    Expression,
    ListReference,
    Permutation,
    Repeat,
    RuleReference,
    Sequence,
    Tagged,
    Text,
    children,
)
from factored_asr.language.grammar.normalisation import normalise_text

if TYPE_CHECKING:
    from factored_asr.language.grammar.grammar import Scope, Template


@dataclass(frozen=True, slots=True)
class GrammarSize:
    """The size of a grammar."""

    sentences: float
    """Sentences that the templates generate (those of two templates count twice); may be inf."""
    arcs: float
    """Upper bound on the arcs of G before determinisation."""
    network_arcs: float = 0.0
    """The same for the parser's network, in which a list is one arc."""


def estimate(templates: Iterable[Template], n_wildcard_words: int) -> GrammarSize:
    """Add up the sizes of templates; a wildcard counts as one word of ``n_wildcard_words``."""
    total = GrammarSize(0.0, 0.0, 0.0)
    known: dict[tuple[Scope, str], GrammarSize] = {}
    for template in templates:
        size = _Measure(template.scope, n_wildcard_words, known).size(template.expression)
        total = _sum((total, size), total.sentences + size.sentences)
    return total


def _sum(
    sizes: Iterable[GrammarSize], sentences: float, extra: int = 0, copies: int = 1
) -> GrammarSize:
    """Sizes laid side by side, ``extra`` arcs with each, all of it ``copies`` times."""
    sizes = list(sizes)
    extra *= len(sizes)
    return GrammarSize(
        sentences,
        copies * (sum(size.arcs for size in sizes) + extra),
        copies * (sum(size.network_arcs for size in sizes) + extra),
    )


class _Measure:
    """Sizes of expressions in one scope, each rule measured once."""

    def __init__(
        self, scope: Scope, n_wildcard_words: int, known: dict[tuple[Scope, str], GrammarSize]
    ):
        self.scope, self.n_wildcard_words, self.known = scope, n_wildcard_words, known

    def size(self, expression: Expression) -> GrammarSize:
        """The size of an expression."""
        sizes = [self.size(child) for child in children(expression)]
        sentences = [size.sentences for size in sizes]
        match expression:
            case Text(text):
                arcs = len(normalise_text(text)) + 1.0
                return GrammarSize(1.0, arcs, arcs)
            case Sequence():
                return _sum(sizes, math.prod(sentences))
            case Alternative():
                return _sum(sizes, sum(sentences), 1)
            case Permutation(items):
                orders = math.factorial(len(items))
                return _sum(sizes, orders * math.prod(sentences), 2, 2 ** (len(items) - 1))
            case Repeat():
                return _sum(sizes, math.inf, 3)
            case Tagged():
                return _sum(sizes, sentences[0], 4)
            case ListReference(name):
                return self.list_size(name)
            case RuleReference(name):
                key = (self.scope, name)
                if key not in self.known:
                    self.known[key] = self.size(self.scope.rules[name].expression)
                return self.known[key]

    def list_size(self, name: str) -> GrammarSize:
        values = self.scope.lists[name]
        if values.wildcard:
            return GrammarSize(float(self.n_wildcard_words), self.n_wildcard_words + 2.0, 2.0)
        forms = [form for value in values.values for form in value.forms]
        return GrammarSize(float(len(forms)), sum(map(len, forms)) + 2.0, 2.0)


class Lengths(NamedTuple):
    """How long the phrases of an expression are."""

    empty: bool
    """It may be said without a word."""
    gaps: int = 0
    """Parts that may be left out and follow one another, at most."""
    words: int = 0
    """Of its longest phrase; what is repeated counts once."""


class Ruler:
    """Measures the expressions of one scope; each rule is measured once."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._rules: dict[str, Lengths] = {}

    def measure(self, expression: Expression) -> Lengths:
        """How long the phrases of an expression are."""
        parts = [self.measure(child) for child in children(expression)]
        gaps, words = (max((part[i] for part in parts), default=0) for i in (1, 2))
        match expression:
            case Text(text):
                return Lengths(not normalise_text(text), 0, len(normalise_text(text)))
            case Sequence() | Permutation():
                run = 0
                for part in parts:
                    run = run + max(part.gaps, 1) if part.empty else 0
                    gaps = max(gaps, run)
                return Lengths(all(p.empty for p in parts), gaps, sum(p.words for p in parts))
            case Alternative():
                return Lengths(any(part.empty for part in parts), gaps, words)
            case Repeat() | Tagged():
                return parts[0]
            case RuleReference(name) if name in self.scope.rules:
                if name not in self._rules:
                    self._rules[name] = self.measure(self.scope.rules[name].expression)
                return self._rules[name]
            case _:
                return Lengths(False, 0, 1)
