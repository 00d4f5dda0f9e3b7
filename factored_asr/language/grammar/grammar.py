"""Grammars of spoken commands: one file is the language model and the parser.

A :class:`Grammar` is read from Home Assistant's sentence templates (YAML, a file or a folder) or
from JSGF. :meth:`Grammar.acceptor` gives its word side, G; :attr:`Grammar.network` the whole of
it, which the parser walks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from factored_asr.errors import FormatError, OptionError
from factored_asr.language.grammar.expression import (
    MAX_DEPTH,
    Expression,
    ListReference,
    Permutation,
    Repeat,
    RuleReference,
    children,
    walk,
)
from factored_asr.language.grammar.lists import ValueList
from factored_asr.language.grammar.network import ListSymbol, Network, Symbol
from factored_asr.language.grammar.size import GrammarSize, Ruler, estimate

if TYPE_CHECKING:
    import pynini

MAX_PERMUTED = 8  # items of a permutation: 2^n nodes
MAX_ARCS = 5_000_000
MAX_OPTIONAL = 150  # parts in a row; the time that G takes grows with the cube of it
MAX_WORDS = 500  # of a sentence; with repeats the time grows with the square of it


class GrammarWarning(UserWarning):
    """A part of a grammar is left out of what is compiled."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A named phrase."""

    text: str
    expression: Expression
    path: str | None = None
    line: int | None = None

    def error(self, message: str) -> FormatError:
        """An error that names file, line and template."""
        return FormatError(f"{message} in template {self.text!r}", self.path, self.line)


@dataclass(frozen=True, eq=False)
class Scope:
    """The rules and lists that a template may refer to."""

    rules: Mapping[str, Rule] = field(default_factory=dict)
    lists: Mapping[str, ValueList] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Block:
    """What templates of one intent have in common."""

    intent: str
    slots: Mapping[str, object] = field(default_factory=dict)
    """Slots filled when a template matches, unless its words fill them."""
    requires_context: Mapping[str, object] = field(default_factory=dict)
    """Key → value, list of values, None (anything), or ``{value:, slot:}``."""
    excludes_context: Mapping[str, object] = field(default_factory=dict)
    required_keywords: frozenset[str] = frozenset()

    def allowed(self, values: ValueList) -> frozenset[int] | None:
        """Indices of the list's values whose own context fits the block; None: all fit."""
        fit = frozenset(
            i
            for i, value in enumerate(values.values)
            if not value.context or self._fits(value.context)
        )
        return None if len(fit) == len(values.values) else fit

    def _fits(self, context: Mapping[str, object]) -> bool:
        required = (wanted(v) for k, v in self.requires_context.items() if k in context)
        actual = (wanted(context[k]) for k in self.requires_context if k in context)
        return not self.excludes(context) and all(
            law is None or holds(law, value) for law, value in zip(required, actual, strict=True)
        )

    def excludes(self, context: Mapping[str, object]) -> bool:
        """True if the context holds a value that the block excludes."""
        return any(
            key in context and holds(wanted(law), wanted(context[key]))
            for key, law in self.excludes_context.items()
        )

    def context_slots(self, context: Mapping[str, object]) -> dict[str, object] | None:
        """The slots that the context fills (``slot: true``); None if it does not fit."""
        if self.excludes(context):
            return None
        slots: dict[str, object] = {}
        for key, law in self.requires_context.items():
            value, required = wanted(context.get(key)), wanted(law)
            if value is None or required is not None and not holds(required, value):
                return None
            copy = law.get("slot") if isinstance(law, Mapping) else None
            if copy:
                slots[copy if isinstance(copy, str) else key] = value
        return slots


def wanted(law: object) -> object:
    """The value of a context entry, which may be written ``{value: ..., slot: ...}``."""
    return law.get("value") if isinstance(law, Mapping) else law


def holds(law: object, value: object) -> bool:
    """True if the value is the one wanted, or one of those wanted."""
    if isinstance(law, list | tuple | set | frozenset):
        return value in law
    return value == law


@dataclass(frozen=True, eq=False)
class Template:
    """One sentence template."""

    text: str
    expression: Expression
    block: Block
    scope: Scope
    path: str | None = None
    line: int | None = None
    count: float | None = None
    """How often it is used; None: not told."""

    def error(self, message: str) -> FormatError:
        """An error that names file, line and template."""
        return FormatError(f"{message} in template {self.text!r}", self.path, self.line)


@dataclass(frozen=True, eq=False)
class Grammar:
    """Templates with all they refer to.

    Examples
    --------
    >>> grammar = Grammar.from_text('''
    ... language: en
    ... intents: {Light: {data: [{sentences: ["turn (on|off) [the] {room} light[s]"]}]}}
    ... lists: {room: {values: [kitchen, living room]}}
    ... ''')
    >>> sorted(grammar.words)[:4]
    ['kitchen', 'light', 'lights', 'living']
    >>> grammar.estimate().sentences
    16.0
    """

    templates: tuple[Template, ...]
    skip_words: tuple[tuple[str, ...], ...] = ()
    """Phrases that may be said anywhere and mean nothing ("please")."""
    wildcard_words: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    """Phrases a wildcard stands for in G, each with its cost."""
    digest: str = ""
    """Hash of all that was read: equal digests, equal grammars."""

    @staticmethod
    def read(
        path: str | Path, *, wildcard_words: Iterable[str] | Mapping[str, float] = ()
    ) -> Grammar:
        """Read a grammar: a YAML or JSGF file, or a folder whose files are merged.

        Parameters
        ----------
        path
            The file or folder.
        wildcard_words
            What a wildcard may stand for in G: words or phrases, or a mapping from each to
            its cost (−log probability). Without them templates with wildcards stay out of G
            (see ``left_out``) and serve text alone.

        Raises
        ------
        FormatError
            For a broken file or template, an unknown rule or list, a rule that contains
            itself; names file, line and template.
        """
        from factored_asr.language.grammar.reading import read_sources

        return read_sources(path, wildcard_words)

    @staticmethod
    def from_text(
        text: str,
        *,
        name: str = "<text>",
        wildcard_words: Iterable[str] | Mapping[str, float] = (),
    ) -> Grammar:
        """Read a grammar from a string; ``name`` stands for the file in errors."""
        from factored_asr.language.grammar.reading import read_texts

        return read_texts([(name, text)], wildcard_words)

    def __post_init__(self) -> None:
        checked: set[tuple[Scope, str]] = set()
        for template in self.templates:
            _check(template, template.scope, template.expression, (), checked)

    @cached_property
    def network(self) -> Network:
        """The grammar compiled, words and slots: what the parser walks.

        Raises
        ------
        OptionError
            If it may grow over ``MAX_ARCS`` arcs.
        """
        if (arcs := estimate(self.templates, 0).network_arcs) > MAX_ARCS:
            raise OptionError(f"the grammar may need {arcs:,.0f} arcs, more than {MAX_ARCS:,}")
        return Network(self.templates)

    @cached_property
    def left_out(self) -> tuple[Template, ...]:
        """Templates left out of G: they hold a wildcard and no words were given for it."""
        if self.wildcard_words:
            return ()
        return tuple(t for t in self.templates if _has_wildcard(t, t.expression, {}))

    @cached_property
    def words(self) -> frozenset[str]:
        """All words of G; the words of templates left out are not among them."""
        symbols = {symbol for _, symbol, _, _ in self.spoken_arcs()}
        found = {symbol for symbol in symbols if isinstance(symbol, str)}
        phrases = {*self.wildcard_words, *self.skip_words}
        for symbol in symbols:
            if isinstance(symbol, ListSymbol):
                phrases.update(symbol.word_forms())
        return frozenset(found.union(*phrases))

    def spoken_arcs(self) -> Iterator[tuple[int, Symbol, int, float]]:
        """The arcs (source, symbol, target, cost) of the network that belong to G."""
        left_out = set(self.left_out)
        silent = [template in left_out for template in self.templates]
        owners = self.network.owners
        for source, arcs in enumerate(self.network.arcs):
            for symbol, target, cost in arcs:
                if not silent[owners[target]]:
                    yield source, symbol, target, cost

    def estimate(self) -> GrammarSize:
        """Sentences of G, and a bound on its arcs before determinisation; builds nothing."""
        return estimate(
            (t for t in self.templates if t not in set(self.left_out)), len(self.wildcard_words)
        )

    def acceptor(self, word_ids: Mapping[str, int], *, max_arcs: int = MAX_ARCS) -> pynini.Fst:
        """G: the word side, an epsilon-free deterministic minimal acceptor over word ids.

        Costs are −log of the weights on alternatives, 0 where none are given. Skip words may
        stand before and after a sentence. The empty sentence is never accepted.

        Raises
        ------
        MissingError
            If ``word_ids`` lacks words of the grammar; names them.
        OptionError
            If the grammar may grow over ``max_arcs``, or nothing of it can be said.
        """
        from factored_asr.language.grammar.acceptor import build_acceptor

        size = self.estimate()
        if size.arcs > max_arcs:
            raise OptionError(
                f"the grammar may need {size.arcs:,.0f} arcs, more than max_arcs={max_arcs:,}"
            )
        for template in self.templates:
            lengths = Ruler(template.scope).measure(template.expression)
            if lengths.gaps > MAX_OPTIONAL:
                raise template.error(f"more than {MAX_OPTIONAL} optional parts in a row")
            if lengths.words > MAX_WORDS:
                raise template.error(f"a sentence may have {MAX_WORDS} words, got {lengths.words}")
        return build_acceptor(self, word_ids)


def _has_wildcard(template: Template, expression: Expression, known: dict[str, bool]) -> bool:
    for part in walk(expression):
        if isinstance(part, ListReference) and template.scope.lists[part.name].wildcard:
            return True
        if isinstance(part, RuleReference):
            if part.name not in known:
                rule = template.scope.rules[part.name]
                known[part.name] = _has_wildcard(template, rule.expression, known)
            if known[part.name]:
                return True
    return False


def _check(
    where: Template | Rule,
    scope: Scope,
    expression: Expression,
    rules: tuple[str, ...],
    checked: set[tuple[Scope, str]],
) -> None:
    """Raise FormatError unless every reference of the expression leads somewhere."""
    for child in children(expression):
        _check(where, scope, child, rules, checked)
    match expression:
        case RuleReference(name) if (scope, name) not in checked:
            if name not in scope.rules:
                raise where.error(f"unknown rule <{name}>")
            if name in rules:
                chain = " > ".join(f"<{rule}>" for rule in (*rules, name))
                raise where.error(f"rule <{name}> contains itself ({chain})")
            if len(rules) >= MAX_DEPTH:
                raise where.error(f"rules nest deeper than {MAX_DEPTH}")
            rule = scope.rules[name]
            _check(rule, scope, rule.expression, (*rules, name), checked)
            checked.add((scope, name))
        case ListReference(name) if name not in scope.lists:
            raise where.error(f"unknown list {{{name}}}")
        case Permutation(items) if len(items) > MAX_PERMUTED:
            raise where.error(
                f"a permutation may hold {MAX_PERMUTED} items, this one has {len(items)}"
            )
        case Repeat(item) if Ruler(scope).measure(item).empty:
            raise where.error("a phrase that may be empty is repeated")
