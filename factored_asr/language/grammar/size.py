"""How large a grammar is, told before anything is composed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
from factored_asr.language.grammar.spoken import spoken

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
                arcs = len(spoken(text)) + 1.0
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


class Gaps:
    """Which expressions of a scope may be said without a word; each rule is looked at once."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._rules: dict[str, tuple[bool, int]] = {}

    def accepts_nothing(self, expression: Expression) -> bool:
        """True if the expression may be said without a word."""
        return self._look(expression)[0]

    def longest(self, expression: Expression) -> int:
        """How many parts that may be left out follow one another, at most."""
        return self._look(expression)[1]

    def _look(self, expression: Expression) -> tuple[bool, int]:
        parts = [self._look(child) for child in children(expression)]
        longest = max((run for _, run in parts), default=0)
        match expression:
            case Text(text):
                return not spoken(text), 0
            case Sequence() | Permutation():
                run = 0
                for empty, inner in parts:
                    run = run + max(inner, 1) if empty else 0
                    longest = max(longest, run)
                return all(empty for empty, _ in parts), longest
            case Alternative():
                return any(empty for empty, _ in parts), longest
            case Repeat() | Tagged():
                return parts[0]
            case RuleReference(name) if name in self.scope.rules:
                if name not in self._rules:
                    self._rules[name] = self._look(self.scope.rules[name].expression)
                return self._rules[name]
            case _:
                return False, 0
