"""Random sentences of a grammar, to read aloud, synthesise or inspect."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Protocol

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.language.acceptor import Acceptor
from factored_asr.language.grammar import expression as tree
from factored_asr.language.grammar.normalisation import normalise_text
from factored_asr.language.grammar.templates import Scope, Template

MAX_WORDS = 1000  # of a sentence: a grammar that repeats itself may never come to an end


class Sentences(Protocol):
    """What may be said, such as a `Grammar`."""

    @property
    def words(self) -> Collection[str]:
        """All words."""

    def acceptor(self, word_ids: Mapping[str, int]) -> Acceptor:
        """Return G over word ids."""


def random_sentences(grammar: Sentences, n: int, seed: int = 0) -> tuple[tuple[str, ...], ...]:
    """Draw sentences by a random walk through G.

    Each next word, and the end, has the probability of its weight in the grammar; without weights
    all are equally likely. A sentence may come twice; the same seed gives the same sentences.
    Raises OptionError if n is negative, or a sentence exceeds `MAX_WORDS`.

    >>> from factored_asr.language import Grammar
    >>> grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <s> = [please] (stop | go);")
    >>> sorted({" ".join(words) for words in random_sentences(grammar, 50)})
    ['go', 'please go', 'please stop', 'stop']
    """
    if n < 0:
        raise OptionError(f"{n} sentences cannot be drawn: n must be 0 or more")
    names = ["", *sorted(grammar.words)]
    acceptor = grammar.acceptor({name: i for i, name in enumerate(names) if i})
    arcs_of: list[list[tuple[int, int]]] = []
    shares: list[np.ndarray] = []
    for state in range(acceptor.n_states):
        arcs = acceptor.leaving(state)
        following = zip(arcs["label"].tolist(), arcs["target"].tolist(), strict=True)
        arcs_of.append([*following, (0, -1)])
        costs = np.append(arcs["cost"], acceptor.final[state])
        weights = np.exp(costs.min() - costs)
        shares.append(weights / weights.sum())
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(n):
        words, state = [], acceptor.start
        while state >= 0:
            label, state = arcs_of[state][rng.choice(len(shares[state]), p=shares[state])]
            words += [names[label]] * (label > 0)
            if len(words) > MAX_WORDS:
                raise OptionError(f"a sentence has more than {MAX_WORDS} words and no end")
        drawn.append(tuple(words))
    return tuple(drawn)


def draw(template: Template, rng: Random, wildcard: Callable[[str], str] = str) -> str:
    """Return a random sentence of one template; weights do not count.

    `wildcard` gives words for a wildcard of this name, by default its name.

    >>> from factored_asr.language import Grammar
    >>> grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <s> = [please] (stop | go);")
    >>> draw(grammar.templates[0], Random(1))
    'please stop'
    """

    def said(part: tree.Expression, scope: Scope) -> str:
        match part:
            case tree.Text(text):
                return text
            case tree.Sequence(items):
                return "".join(said(item, scope) for item in items)
            case tree.Alternative(items):
                return said(rng.choice(items), scope)
            case tree.Permutation(items):
                return " ".join(said(item, scope) for item in rng.sample(items, len(items)))
            case tree.Repeat(item) | tree.Tagged(item):
                return said(item, scope)
            case tree.RuleReference(name):
                return said(scope.rules[name].expression, scope)
            case tree.ListReference(name):
                values = scope.lists[name]
                if values.wildcard:
                    return wildcard(name)
                allowed = template.block.allowed(values)
                fit = range(len(values.values)) if allowed is None else sorted(allowed)
                return " ".join(rng.choice(values.values[rng.choice(fit)].forms)) if fit else ""
        raise AssertionError(part)

    return " ".join(normalise_text(said(template.expression, template.scope)))
