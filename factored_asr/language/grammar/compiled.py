"""A compiled grammar as JSON: all that a parser needs, read back quickly.

The file holds no expressions, so G cannot be built from it: that takes the `Grammar` itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from factored_asr.errors import FormatError
from factored_asr.language.grammar.expression import EMPTY
from factored_asr.language.grammar.grammar import Grammar
from factored_asr.language.grammar.network import ListSymbol, Mark, Network, Symbol, words_of
from factored_asr.language.grammar.templates import Block, Scope, Template, Value, ValueList
from factored_asr.storage.reading import read_json

VERSION = 3
Thing = TypeVar("Thing")


@dataclass(frozen=True, eq=False)
class CompiledGrammar:
    """A grammar as parsers see it."""

    templates: tuple[Template, ...]
    """Text and block of each, without its expression."""
    network: Network
    skip_words: tuple[tuple[str, ...], ...] = ()
    digest: str = ""

    @cached_property
    def words(self) -> frozenset[str]:
        """All words of its sentences."""
        symbols = (symbol for arcs in self.network.arcs for symbol, _, _ in arcs)
        return words_of(symbols, self.skip_words)

    def with_lists(self, lists: Mapping[str, ValueList]) -> CompiledGrammar:
        """Return the grammar with other values of its replaceable lists, by their names."""
        return replace(self, network=self.network.with_lists(lists))

    @staticmethod
    def read(path: str | Path) -> CompiledGrammar:
        """Read a file of `write_compiled`; FormatError if it is none, or of another version."""
        try:
            plain = read_json(path)
            if plain["version"] != VERSION:
                raise FormatError(f"a compiled grammar of version {plain['version']}", path)
            return _restored(plain)
        except (ArithmeticError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise FormatError(f"not a compiled grammar: {error}", path) from None


def write_compiled(grammar: Grammar, path: str | Path) -> None:
    """Write what a parser needs; TypeError if JSON cannot hold a slot's value, such as a date."""
    Path(path).write_text(json.dumps(_plain(grammar), separators=(",", ":")), encoding="utf-8")


def _plain(grammar: Grammar) -> dict[str, Any]:
    network = grammar.network
    symbols: dict[Symbol, int] = {}
    arcs = [
        [[symbols.setdefault(symbol, len(symbols)), target, cost] for symbol, target, cost in row]
        for row in network.arcs
    ]
    lists = _numbered(symbol.list for symbol in symbols if isinstance(symbol, ListSymbol))
    blocks = _numbered(template.block for template in grammar.templates)
    return {
        "version": VERSION,
        "digest": grammar.digest,
        "skip_words": grammar.skip_words,
        "blocks": [
            [b.intent, dict(b.slots), dict(b.requires_context), dict(b.excludes_context),
             sorted(b.required_keywords)] for b in blocks
        ],
        "templates": [[t.text, t.path, t.line, blocks[t.block]] for t in grammar.templates],
        "lists": [_plain_list(values) for values in lists],
        "symbols": [_plain_symbol(symbol, lists) for symbol in symbols],
        "arcs": arcs,
        "finals": list(network.finals.items()),
    }


def _numbered(things: Iterable[Thing]) -> dict[Thing, int]:
    return {thing: i for i, thing in enumerate(dict.fromkeys(things))}


def _plain_list(values: ValueList) -> list[Any]:
    plain = [
        [[" ".join(form) for form in v.forms], v.out, dict(v.context), dict(v.metadata), v.count]
        for v in values.values
    ]
    return [values.name, plain, values.wildcard, values.is_range, values.replaceable]


def _plain_symbol(symbol: Symbol, lists: Mapping[ValueList, int]) -> Any:
    if isinstance(symbol, ListSymbol):
        allowed = None if symbol.allowed is None else sorted(symbol.allowed)
        return ["list", lists[symbol.list], symbol.slot, symbol.prefix, symbol.suffix, allowed]
    if isinstance(symbol, Mark):
        return ["mark", symbol.slot, symbol.value, symbol.begins]
    return symbol


def _restored(plain: Mapping[str, Any]) -> CompiledGrammar:
    blocks = [
        Block(str(intent), _dict(slots), _dict(requires), _dict(excludes),
              frozenset(map(str, keywords)))
        for intent, slots, requires, excludes, keywords in plain["blocks"]
    ]
    scope = Scope()
    templates = tuple(
        Template(text, EMPTY, blocks[block], scope, path, line)
        for text, path, line, block in plain["templates"]
    )
    lists = [
        ValueList(str(name), tuple(
            Value(tuple(tuple(form.split()) for form in forms), out, _dict(known), _dict(more),
                  None if count is None else _count(count))
            for forms, out, known, more, count in values
        ), wildcard, is_range, replaceable)
        for name, values, wildcard, is_range, replaceable in plain["lists"]
    ]
    symbols = [_restored_symbol(symbol, lists) for symbol in plain["symbols"]]
    arcs = [[(symbols[s], target, cost) for s, target, cost in row] for row in plain["arcs"]]
    finals = dict(map(tuple, plain["finals"]))
    _check_states(arcs, finals, len(templates))
    network = Network.restored(arcs, finals)
    skip_words = tuple(tuple(map(str, phrase)) for phrase in plain["skip_words"])
    if not all(skip_words):
        raise ValueError("a skip phrase without a word")
    return CompiledGrammar(templates, network, skip_words, plain["digest"])


def _count(value: Any) -> float:
    count = float(value)
    if not 0 <= count < math.inf:
        raise ValueError(f"a count of {count}")
    return count


def _check_states(
    arcs: list[list[tuple[Symbol, int, float]]], finals: Mapping[int, int], n_templates: int
) -> None:
    """Raise ValueError for an arc without a target, or a final state without a template."""
    states, templates = range(len(arcs)), range(n_templates)
    for symbol, target, cost in (arc for row in arcs for arc in row):
        if not isinstance(symbol, str | ListSymbol | Mark | None):
            raise ValueError(f"{symbol!r} is no symbol")
        if type(target) is not int or target not in states or not isinstance(cost, float | int):
            raise ValueError(f"an arc of cost {cost!r} to {target!r} of {len(arcs)} states")
    for state, template in finals.items():
        numbers = type(state) is type(template) is int
        if not (numbers and state in states and template in templates):
            raise ValueError(f"state {state!r} ends template {template!r} of {n_templates}")


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} must be a mapping")
    return value


def _restored_symbol(plain: Any, lists: list[ValueList]) -> Symbol:
    if not isinstance(plain, list):
        return plain
    kind, *rest = plain
    if kind == "mark":
        slot, value, begins = rest
        return Mark(str(slot), None if value is None else str(value), bool(begins))
    values, slot, prefix, suffix, allowed = rest
    fit = None if allowed is None else frozenset(map(int, allowed))
    return ListSymbol(lists[values], str(slot), str(prefix), str(suffix), fit)
