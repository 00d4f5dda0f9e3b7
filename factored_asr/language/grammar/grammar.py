"""Grammars of commands: one file is the language model and the parser.

A `Grammar` is read from Home Assistant's sentence templates (YAML) or from JSGF.
`Grammar.acceptor` gives its word side, G; `Grammar.network` the whole of it for the parser.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language.acceptor import Acceptor
from factored_asr.language.grammar import expression as tree
from factored_asr.language.grammar.acceptor import build_acceptor
from factored_asr.language.grammar.home_assistant import read_home_assistant
from factored_asr.language.grammar.jsgf import read_jsgf
from factored_asr.language.grammar.network import ListSymbol, Network, Symbol, words_of
from factored_asr.language.grammar.normalisation import normalise_text
from factored_asr.language.grammar.size import GrammarSize, Ruler, estimate
from factored_asr.language.grammar.templates import Rule, Scope, Template, ValueList
from factored_asr.language.written import Known
from factored_asr.storage.reading import files_in, read_text

MAX_PERMUTED = 8  # items of a permutation: 2^n nodes
MAX_ARCS = 5_000_000
MAX_OPTIONAL = 150  # parts in a row; the time to build G grows with the cube of it
MAX_WORDS = 500  # of a sentence; with repeats the time grows with the square of it
_SUFFIXES = (".yaml", ".yml", ".jsgf", ".gram")

WildcardWords: TypeAlias = Iterable[str] | Mapping[str, float]
"""Words or phrases that a wildcard may stand for; a mapping gives each its cost."""


class GrammarWarning(UserWarning):
    """A part of a grammar is left out of what is compiled.

    Examples
    --------
    >>> issubclass(GrammarWarning, UserWarning)  # warnings.simplefilter("error", GrammarWarning)
    True
    """


@dataclass(frozen=True, eq=False)
class Grammar:
    """Templates with all they refer to.

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
    """Every sentence template, with its intent and slots."""
    skip_words: tuple[tuple[str, ...], ...] = ()
    """Phrases without meaning that may stand anywhere ("please")."""
    wildcard_words: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    """Phrases a wildcard stands for in G, each with its cost."""
    digest: str = ""
    """Hash of the files read: equal digests, equal grammars."""
    known: Known | None = None
    """Says which spellings are words that are kept whole, such as ``wi-fi`` and ``mp3``."""

    @staticmethod
    def read(
        path: str | Path, *, wildcard_words: WildcardWords = (), known: Known | None = None
    ) -> Grammar:
        """Read a grammar: a YAML or JSGF file, or a folder whose files are merged.

        `wildcard_words` are what a wildcard may stand for in G: words or phrases, or a mapping from
        each to its cost (−log probability). Without them templates with wildcards stay out of G
        (see ``left_out``) and serve text alone. `known` says which spellings are words that are
        kept whole, such as those of a user's dictionary: "mp3", "wi-fi". Raises FormatError, with
        file, line and template, for a broken file or template, an unknown rule or list, a rule that
        contains itself.
        """
        path = Path(path)
        files = [path]
        if path.is_dir():
            files = [f for f in files_in(path) if f.suffix.lower() in _SUFFIXES]
            if not files:
                raise MissingError(f"no grammar (*.yaml, *.jsgf) in the folder {path}")
        return _merged([(str(file), read_text(file)) for file in files], wildcard_words, known)

    @staticmethod
    def from_text(
        text: str, *, name: str = "<text>", wildcard_words: WildcardWords = (),
        known: Known | None = None,
    ) -> Grammar:
        """Read a grammar from a string; ``name`` stands for the file in errors."""
        return _merged([(name, text)], wildcard_words, known)

    def __post_init__(self) -> None:
        checked: set[tuple[Scope, str]] = set()
        for template in self.templates:
            _check(template, template.scope, template.expression, (), checked)

    def key(self) -> str:
        """Return a text that changes with the grammar: the hash of its files, or of its arcs."""
        return self.digest or hashlib.sha256(repr(self.network.arcs).encode()).hexdigest()

    @cached_property
    def network(self) -> Network:
        """The compiled grammar, words and slots; OptionError if it may exceed ``MAX_ARCS`` arcs."""
        if (arcs := estimate(self.templates, 0).network_arcs) > MAX_ARCS:
            raise OptionError(f"the grammar may need {arcs:,.0f} arcs, more than {MAX_ARCS:,}")
        return Network(self.templates, self.known)

    @cached_property
    def left_out(self) -> tuple[Template, ...]:
        """Templates left out of G because they hold a wildcard without words for it."""
        if self.wildcard_words:
            return ()
        owners = {
            self.network.owners[target] for arcs in self.network.arcs for symbol, target, _ in arcs
            if isinstance(symbol, ListSymbol) and symbol.list.wildcard
            and not symbol.list.is_dictation
        }
        return tuple(self.templates[owner] for owner in sorted(owners))

    @cached_property
    def words(self) -> frozenset[str]:
        """All words of G, without those of the templates left out."""
        return self._words(())

    @cached_property
    def places(self) -> tuple[str, ...]:
        """What may stand in G for each list that may be replaced: "{contact}", "{contact}'s"."""
        found = (symbol.place for _, symbol, _, _ in self.word_arcs()
                 if isinstance(symbol, ListSymbol) and symbol.list.replaceable)
        return tuple(sorted(set(found)))

    @property
    def dictated(self) -> tuple[str, ...]:
        """Return those of `places` whose words a language model gives: "{text}"."""
        at = self.network.places
        return tuple(place for place in self.places if at[place].list.is_dictation)

    @property
    def fixed_words(self) -> frozenset[str]:
        """Return all words of G, without those of lists that may be replaced."""
        return self._words(self.places)

    def _words(self, places: Collection[str]) -> frozenset[str]:
        """The words of G, in which these places stand for lists."""
        kept = (symbol for _, symbol, _, _ in self.word_arcs()
                if not (isinstance(symbol, ListSymbol) and symbol.list.replaceable
                        and symbol.place in places))
        return words_of(kept, (*self.wildcard_words, *self.skip_words))

    def with_lists(self, lists: Mapping[str, ValueList]) -> Grammar:
        """Return the grammar with other values of its replaceable lists, by their names.

        See `value_list`; other lists stay as they are.

        >>> from factored_asr.language.grammar.lists import value_list
        >>> grammar = Grammar.from_text('''
        ... intents: {Call: {data: [{sentences: ["call {contact}"]}]}}
        ... lists: {contact: {replaceable: true}}
        ... ''')
        >>> sorted(grammar.with_lists({"contact": value_list("contact", ["Anna"])}).words)
        ['anna', 'call']
        """
        scopes: dict[Scope, Scope] = {}
        for scope in {template.scope for template in self.templates}:
            own = {name: lists.get(name, old) if old.replaceable else old
                   for name, old in scope.lists.items()}
            scopes[scope] = Scope(scope.rules, own)
        templates = tuple(replace(each, scope=scopes[each.scope]) for each in self.templates)
        made = replace(self, templates=templates, digest="")
        made.__dict__["network"] = self.network.with_lists(lists)
        return made

    def word_arcs(self) -> Iterator[tuple[int, Symbol, int, float]]:
        """Iterate over the arcs (source, symbol, target, cost) of the network that belong to G."""
        left_out = set(self.left_out)
        excluded = [template in left_out for template in self.templates]
        owners = self.network.owners
        for source, arcs in enumerate(self.network.arcs):
            for symbol, target, cost in arcs:
                if not excluded[owners[target]]:
                    yield source, symbol, target, cost

    def estimate(self) -> GrammarSize:
        """Return the number of sentences of G and a bound on its arcs, without building it."""
        left_out = set(self.left_out)
        kept = (template for template in self.templates if template not in left_out)
        return estimate(kept, len(self.wildcard_words))

    def acceptor(self, word_ids: Mapping[str, int], *, max_arcs: int = MAX_ARCS) -> Acceptor:
        """Return G: the word side, an epsilon-free deterministic minimal acceptor over word ids.

        Costs are −log of the weights on alternatives, 0 where none are given. Skip words may stand
        before and after a sentence; the empty one is never accepted. A replaceable list whose
        place has an id (`places`) stands there as this one word. Raises MissingError if `word_ids`
        lacks words of the grammar, OptionError if it may exceed `max_arcs` arcs, or accepts no
        sentence.
        """
        if (arcs := self.estimate().arcs) > max_arcs:
            raise OptionError(f"the grammar may need {arcs:,.0f} arcs, more than {max_arcs=:,}")
        ruler = Ruler()
        for template in self.templates:
            size = ruler.measure(template.expression, template.scope)
            if size.optional_parts > MAX_OPTIONAL:
                raise template.error(f"more than {MAX_OPTIONAL} optional parts in a row")
            if size.words > MAX_WORDS:
                raise template.error(f"a sentence may have {MAX_WORDS} words, got {size.words}")
        if self.left_out:
            first, more = self.left_out[0], len(self.left_out) - 1
            which = f"template {first.text!r}" + (f" and {more} more are" if more else " is")
            law = "left out of G: no words are given for a wildcard (wildcard_words)"
            warnings.warn(f"{first.path}:{first.line}: {which} {law}", GrammarWarning, stacklevel=2)
        places = [place for place in self.places if place in word_ids]
        ids = _checked_ids((*self._words(places), *places), word_ids)
        return build_acceptor(self.word_arcs(), self.network, ids, self.wildcard_words,
                              self.skip_words)


def _checked_ids(words: Iterable[str], word_ids: Mapping[str, int]) -> dict[str, int]:
    words = sorted(words)
    if missing := [word for word in words if word not in word_ids]:
        shown = ", ".join(missing[:10]) + (", …" if len(missing) > 10 else "")
        raise MissingError(f"{len(missing)} words of the grammar have no id: {shown}")
    ids = {word: int(word_ids[word]) for word in words}
    if wrong := [word for word, i in ids.items() if i <= 0]:
        raise OptionError(f"word ids start at 1 (0 is epsilon), {wrong[0]!r} has {ids[wrong[0]]}")
    return ids


def _merged(
    texts: Iterable[tuple[str, str]], wildcard_words: WildcardWords, known: Known | None
) -> Grammar:
    """Make one grammar of (name, text) pairs, each YAML or JSGF."""
    phrases = _wildcard_phrases(wildcard_words)
    digest = hashlib.sha256(repr(sorted(phrases.items())).encode())
    yaml_texts, templates = [], list[Template]()
    for name, text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
        if text.lstrip().startswith("#JSGF"):
            templates += read_jsgf(name, text)
        else:
            yaml_texts.append((name, text))
    skip_words: tuple[tuple[str, ...], ...] = ()
    if yaml_texts:
        more, skip_words = read_home_assistant(yaml_texts, known)
        templates += more
    if not templates:
        raise FormatError("a grammar needs a sentence", yaml_texts[0][0] if yaml_texts else None)
    try:
        grammar = Grammar(tuple(templates), skip_words, phrases, digest.hexdigest(), known)
        _ = grammar.network  # built now, so that errors in templates are raised here
    except RecursionError:
        law = "brackets and rules within rules nest too deep"
        raise FormatError(law, templates[0].path) from None
    return grammar


def _wildcard_phrases(words: WildcardWords) -> dict[tuple[str, ...], float]:
    """Return the phrases for wildcards as words, each with its cost (0 where none is given)."""
    if isinstance(words, str):
        raise OptionError(f"wildcard_words are a list of words, got the string {words!r}")
    costs = dict(words) if isinstance(words, Mapping) else dict.fromkeys(words, 0.0)
    phrases = {normalise_text(phrase): float(cost) for phrase, cost in costs.items()}
    if () in phrases or any(not 0 <= cost < float("inf") for cost in phrases.values()):
        raise OptionError("wildcard_words need a word each, and finite costs >= 0")
    return phrases


def _check(
    where: Template | Rule, scope: Scope, expression: tree.Expression, rules: tuple[str, ...],
    checked: set[tuple[Scope, str]],
) -> None:
    """Raise FormatError unless every reference of the expression is defined."""
    for child in tree.children(expression):
        _check(where, scope, child, rules, checked)
    match expression:
        case tree.RuleReference(name) if (scope, name) not in checked:
            if name not in scope.rules:
                raise where.error(f"unknown rule <{name}>")
            if name in rules:
                chain = " > ".join(f"<{rule}>" for rule in (*rules, name))
                raise where.error(f"rule <{name}> contains itself ({chain})")
            if len(rules) >= tree.MAX_DEPTH:
                raise where.error(f"rules nest deeper than {tree.MAX_DEPTH}")
            rule = scope.rules[name]
            _check(rule, scope, rule.expression, (*rules, name), checked)
            checked.add((scope, name))
        case tree.ListReference(name) if name not in scope.lists:
            raise where.error(f"unknown list {{{name}}}")
        case tree.Permutation(items) if (n := len(items)) > MAX_PERMUTED:
            raise where.error(f"a permutation may hold {MAX_PERMUTED} items, this one has {n}")
        case tree.Repeat(item) if Ruler().measure(item, scope).may_be_empty:
            raise where.error("a phrase that may be empty is repeated")
