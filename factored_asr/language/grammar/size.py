"""The size of a grammar, computed before anything is composed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from factored_asr.language.grammar import expression as tree
from factored_asr.language.grammar.normalisation import normalise_text
from factored_asr.language.grammar.templates import Scope, Template


@dataclass(frozen=True, slots=True)
class GrammarSize:
    """The size of a grammar or of a phrase in it."""

    sentences: float  # Sentences generated, those of two templates twice; may be inf
    arcs: float  # Upper bound on the arcs of G before determinisation
    network_arcs: float = 0.0  # The same for the parser's network, in which a list is one arc
    may_be_empty: bool = False  # Whether a sentence may have no words
    optional_parts: int = 0  # Most optional parts that follow one another
    words: int = 0  # Words of the longest sentence; a repeated phrase counts once


def estimate(templates: Iterable[Template], n_wildcard_words: int) -> GrammarSize:
    """Add up the sizes of templates; a wildcard counts as one word of ``n_wildcard_words``."""
    total = GrammarSize(0.0, 0.0)
    ruler = Ruler(n_wildcard_words)
    for template in templates:
        size = ruler.measure(template.expression, template.scope)
        total = _side_by_side([total, size], total.sentences + size.sentences)
    return total


class Ruler:
    """Measures expressions; each rule of a scope is measured once."""

    def __init__(self, n_wildcard_words: int = 0) -> None:
        self.n_wildcard_words = n_wildcard_words
        self._rules: dict[tuple[Scope, str], GrammarSize] = {}

    def measure(self, expression: tree.Expression, scope: Scope) -> GrammarSize:
        """Return the size of an expression."""
        parts = [self.measure(child, scope) for child in tree.children(expression)]
        sentences = [part.sentences for part in parts]
        match expression:
            case tree.Text(text):
                n = len(normalise_text(text))
                return GrammarSize(1.0, n + 1.0, n + 1.0, not n, 0, n)
            case tree.Sequence():
                return _in_a_row(parts, math.prod(sentences))
            case tree.Alternative():
                return _side_by_side(parts, sum(sentences), 1)
            case tree.Permutation(items):
                orders = math.factorial(len(items))
                return _in_a_row(parts, orders * math.prod(sentences), 2, 2 ** (len(items) - 1))
            case tree.Repeat():
                return _side_by_side(parts, math.inf, 3)
            case tree.Tagged():
                return _side_by_side(parts, sentences[0], 4)
            case tree.ListReference(name):
                return self._measure_list(name, scope)
            case tree.RuleReference(name):
                key = (scope, name)
                if key not in self._rules:
                    self._rules[key] = self.measure(scope.rules[name].expression, scope)
                return self._rules[key]

    def _measure_list(self, name: str, scope: Scope) -> GrammarSize:
        values = scope.lists[name]
        n_forms, n_words = self.n_wildcard_words, self.n_wildcard_words
        if not values.wildcard:
            forms = [form for value in values.values for form in value.forms]
            n_forms, n_words = len(forms), sum(map(len, forms))
        return GrammarSize(float(n_forms), n_words + 2.0, 2.0, words=1)


def _side_by_side(
    parts: list[GrammarSize], sentences: float, extra: int = 0, copies: int = 1
) -> GrammarSize:
    """Return the size of one of the parts, ``extra`` arcs with each, all laid ``copies`` times."""
    extra *= len(parts)
    return GrammarSize(
        sentences,
        copies * (sum(part.arcs for part in parts) + extra),
        copies * (sum(part.network_arcs for part in parts) + extra),
        any(part.may_be_empty for part in parts),
        max((part.optional_parts for part in parts), default=0),
        max((part.words for part in parts), default=0),
    )


def _in_a_row(
    parts: list[GrammarSize], sentences: float, extra: int = 0, copies: int = 1
) -> GrammarSize:
    """Return the size of all parts one after another; ``extra`` and ``copies`` as above."""
    size = _side_by_side(parts, sentences, extra, copies)
    longest, run = size.optional_parts, 0
    for part in parts:
        run = run + max(part.optional_parts, 1) if part.may_be_empty else 0
        longest = max(longest, run)
    may_be_empty = all(part.may_be_empty for part in parts)
    words = sum(part.words for part in parts)
    return replace(size, may_be_empty=may_be_empty, optional_parts=longest, words=words)
