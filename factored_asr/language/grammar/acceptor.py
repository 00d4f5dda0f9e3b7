"""G: the word side of a grammar, deterministic and minimal.

Templates are determinised with lists as symbols, every list by itself; then the lists replace their
symbols. The other order would determinise every list as often as a template names it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.language.acceptor import (
    Acceptor,
    Row,
    concatenated,
    led_by,
    minimal,
    optional,
    repeated,
    replaced,
    united,
)
from factored_asr.language.grammar.network import ListSymbol, Network, Symbol

SKIPPED_PHRASES = 2  # skip words allowed before and after a sentence, one after another
_Phrases: TypeAlias = Mapping[tuple[str, ...], float]


def build_acceptor(
    arcs: Iterable[tuple[int, Symbol, int, float]], network: Network, ids: Mapping[str, int],
    wildcard_words: _Phrases, skip_words: Iterable[tuple[str, ...]],
    made: Mapping[str, Acceptor] | None = None,
) -> Acceptor:
    """Build G of the arcs (source, symbol, target, cost) of a network; see `Grammar.acceptor`.

    `made` are acceptors that stand for wildcards, by their names; they may be empty, and so may G
    then be. Otherwise raises OptionError if no sentence is accepted.
    """
    lists: dict[object, tuple[ListSymbol, int]] = {}
    first_label = max(ids.values(), default=0) + 1  # labels of lists stand above those of words

    def labelled() -> Iterator[Row]:
        for source, symbol, target, cost in arcs:
            if isinstance(symbol, ListSymbol) and symbol.list.replaceable and symbol.place in ids:
                label = ids[symbol.place]
            elif isinstance(symbol, ListSymbol):
                entry = (symbol, first_label + len(lists))
                label = lists.setdefault((*symbol.key, symbol.allowed), entry)[1]
            else:
                label = ids[symbol] if isinstance(symbol, str) else 0
            yield source, label, cost, target

    finals = dict.fromkeys(network.finals, 0.0)
    root = minimal(Acceptor.from_rows(labelled(), finals, len(network.arcs)))
    if lists:
        parts = dict[int, Acceptor]()
        for symbol, label in lists.values():
            if made and symbol.list.name in made:
                parts[label] = made[symbol.list.name]
            elif symbol.list.wildcard:
                parts[label] = minimal(repeated(_phrases(wildcard_words, ids)))
            else:
                parts[label] = _phrases(symbol.word_forms(), ids)
        root = minimal(replaced(root, parts))
    root = _without_empty(root)
    if phrases := dict.fromkeys(skip_words, 0.0):
        skip = [optional(_phrases(phrases, ids))] * SKIPPED_PHRASES
        root = minimal(concatenated([*skip, root, *skip]))
    if root.is_empty and made is None:
        raise OptionError("the grammar accepts no sentence (are words for wildcards missing?)")
    return root


def relabelled(acceptors: Iterable[Acceptor], labels: Mapping[int, int]) -> Acceptor:
    """Return the union of acceptors with other first words, without sentences of other words."""
    changed = []
    for each in acceptors:
        first = each.leaving(each.start)
        first = first[np.isin(first["label"], list(labels))]
        first["label"] = first["word"] = [labels[label] for label in first["label"].tolist()]
        changed.append(led_by(each, first))
    return minimal(united(changed))


def beginning_with(acceptor: Acceptor, labels: Collection[int]) -> Acceptor:
    """Return the sentences of an acceptor whose first word is one of some."""
    return relabelled([acceptor], {label: label for label in labels})


def _phrases(costs: _Phrases, ids: Mapping[str, int]) -> Acceptor:
    """Return a minimal acceptor of phrases, each at its cost."""
    rows: list[Row] = []
    n_states = 2
    for phrase, cost in costs.items():
        state = 0
        for word in phrase[:-1]:
            rows.append((state, ids[word], cost, n_states))
            state, cost, n_states = n_states, 0.0, n_states + 1
        rows.append((state, ids[phrase[-1]], cost, 1))
    return minimal(Acceptor.from_rows(rows, {1: 0.0}))


def _without_empty(acceptor: Acceptor) -> Acceptor:
    """Return the acceptor without the empty sentence: silence is no command."""
    if acceptor.final[acceptor.start] == float("inf"):
        return acceptor
    return minimal(led_by(acceptor, acceptor.leaving(acceptor.start)))
