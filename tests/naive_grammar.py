"""Slow, obvious twins of the grammar compiler: sentences by writing them all out."""

from __future__ import annotations

import itertools
import re

from factored_asr.language.grammar import Grammar, normalise_text
from factored_asr.language.grammar.expression import (
    Alternative,
    Expression,
    ListReference,
    Permutation,
    RuleReference,
    Sequence,
    Text,
)
from factored_asr.language.grammar.templates import Scope

BEGIN, END = "\x01", "\x02"  # of a list value


def texts(expression: Expression, scope: Scope) -> list[str]:
    """All texts of an expression, written out with their blanks."""
    match expression:
        case Text(text):
            return [text]
        case Sequence(items):
            parts = [texts(item, scope) for item in items]
            return ["".join(choice) for choice in itertools.product(*parts)]
        case Alternative(items):
            return [text for item in items for text in texts(item, scope)]
        case Permutation(items):
            parts = [[f" {text} " for text in texts(item, scope)] for item in items]
            return [
                "".join(choice)
                for order in itertools.permutations(parts)
                for choice in itertools.product(*order)
            ]
        case RuleReference(name):
            return texts(scope.rules[name].expression, scope)
        case ListReference(name):
            forms = [form for value in scope.lists[name].values for form in value.forms]
            return [f"{BEGIN}{' '.join(form)}{END}" for form in forms]
    raise TypeError(expression)


def words(text: str) -> tuple[str, ...]:
    """A text as words; a word holds at most one list value."""
    apart = re.sub(f"({END}[^ {BEGIN}]*){BEGIN}", r"\1 ", text)
    return normalise_text(apart.replace(BEGIN, "").replace(END, ""))


def sentences(grammar: Grammar) -> set[tuple[str, ...]]:
    """All sentences of a grammar as words, without the empty one."""
    found = {
        words(text)
        for template in grammar.templates
        for text in texts(template.expression, template.scope)
    }
    return found - {()}


def accepted(grammar: Grammar) -> set[tuple[str, ...]]:
    """All sentences of G, read off its paths."""
    words = sorted(grammar.words)
    acceptor = grammar.acceptor({word: i for i, word in enumerate(words, start=1)})
    found = set()
    waiting = [(acceptor.start, ())]
    while waiting:
        state, path = waiting.pop()
        if acceptor.final[state] < float("inf"):
            found.add(path)
        for label, _, _, target in acceptor.leaving(state).tolist():
            waiting.append((target, (*path, words[label - 1])))
    return found
