"""Home Assistant's YAML of intents, lists and expansion rules, with the line of everything.

``language``, ``intents`` (``data``: ``sentences``, ``slots``, ``requires_context``,
``excludes_context``, ``expansion_rules``, ``lists``, ``required_keywords``), ``lists``,
``expansion_rules``, ``skip_words``; other keys (responses, settings) are ignored. Beyond Home
Assistant, sentences (as ``{sentence:, count:}``) and values of lists may have a ``count`` of how
often they are used; the default is 1. A list with ``replaceable: true`` may get other values while
a recogniser runs; its ``values`` are those to begin with, and may be left out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from factored_asr.language.grammar import expression as tree
from factored_asr.language.grammar.normalisation import normalise_text
from factored_asr.language.grammar.templates import Block, Rule, Scope, Template, Value, ValueList
from factored_asr.language.grammar.yaml_nodes import Node, read_yaml
from factored_asr.language.numerals import number_forms
from factored_asr.language.written import Known

MAX_COUNT = 1e18
MAX_RANGE = 20_000  # numbers in one range
MAX_NUMBER = 10**15
MAX_CHARACTERS = 10_000  # in one spoken form of a value
MAX_FORMS = 10_000  # spoken forms of one value
_TEMPLATE = re.compile(r"[(){}<>\[\]|;]")
_INLINE_RANGE = re.compile(r"(\d+)\.\.(\d+)(?:,(\d+))?")
_FRACTIONS = {"halves": (0.5,), "tenths": tuple(n / 10 for n in range(1, 10))}


def _entries(parts: Mapping[str, Node], key: str) -> dict[str, Node]:
    return parts[key].mapping(key) if key in parts else {}


def _items(parts: Mapping[str, Node], key: str) -> list[Node]:
    return parts[key].sequence(key) if key in parts else []


def _plain(parts: Mapping[str, Node], key: str) -> dict[str, Any]:
    return parts[key].plain_mapping(key) if key in parts else {}


@dataclass
class _Sources:
    """All files merged: the nodes of intents' data blocks, lists and rules."""

    blocks: list[tuple[str, Node]] = field(default_factory=list)
    lists: dict[str, list[Node]] = field(default_factory=dict)
    rules: dict[str, Node] = field(default_factory=dict)
    skip_words: list[str] = field(default_factory=list)
    language: str = "en"

    def add(self, root: Node) -> None:
        """Merge one file: blocks and values add up, a later rule replaces an earlier one."""
        parts = root.mapping("a grammar")
        if "language" in parts:
            self.language = parts["language"].text("language")
        for intent, node in _entries(parts, "intents").items():
            data = node.mapping(f"intent {intent}").get("data")
            if data is None:
                raise node.error(f"intent {intent} needs 'data'")
            self.blocks += [(intent, block) for block in data.sequence(f"data of {intent}")]
        for name, node in _entries(parts, "lists").items():
            self.lists.setdefault(name, []).append(node)
        self.rules.update(_entries(parts, "expansion_rules"))
        self.skip_words += [word.text("a skip word") for word in _items(parts, "skip_words")]


def read_home_assistant(
    texts: Iterable[tuple[str, str]], known: Known | None = None
) -> tuple[list[Template], tuple[tuple[str, ...], ...]]:
    """Read the templates and the skip words of (name, text) pairs, merged.

    Spellings that are `known` are kept whole, see `normalise_text`. Raises FormatError, with file
    and line, for broken YAML, templates and entries of a wrong kind.
    """
    sources = _Sources()
    for name, text in texts:
        sources.add(read_yaml(text, name))
    rules = _read_rules(sources.rules)
    scope = Scope(rules, _read_lists(sources.lists, rules, sources.language, known))
    templates = [
        template for intent, node in sources.blocks
        for template in _read_block(intent, node, scope, sources.language, known)
    ]
    phrases = (normalise_text(words, known) for words in sources.skip_words)
    return templates, tuple(dict.fromkeys(phrase for phrase in phrases if phrase))


def _read_rules(nodes: Mapping[str, Node]) -> dict[str, Rule]:
    rules = {}
    for name, node in nodes.items():
        text, path, line = node.text(f"rule {name}"), node.path, node.line
        rules[name] = Rule(text, tree.parse_template(text, path, line), path, line)
    return rules


def _read_block(
    intent: str, node: Node, scope: Scope, language: str, known: Known | None
) -> Iterator[Template]:
    parts = node.mapping(f"data of {intent}")
    if "sentences" not in parts:
        raise node.error(f"data of {intent} needs 'sentences'")
    keywords = [keyword.text("a keyword") for keyword in _items(parts, "required_keywords")]
    block = Block(intent, _plain(parts, "slots"), _plain(parts, "requires_context"),
                  _plain(parts, "excludes_context"), frozenset(normalise_text(" ".join(keywords))))
    if "expansion_rules" in parts or "lists" in parts:
        rules = {**scope.rules, **_read_rules(_entries(parts, "expansion_rules"))}
        lists = {name: [node] for name, node in _entries(parts, "lists").items()}
        scope = Scope(rules, {**scope.lists, **_read_lists(lists, rules, language, known)})
    for sentence in parts["sentences"].sequence(f"sentences of {intent}"):
        count = None
        if sentence.node.id == "mapping":
            entry = sentence.mapping(f"a sentence of {intent}")
            if "sentence" not in entry:
                raise sentence.error(f"a sentence of {intent} needs 'sentence'")
            sentence, count = entry["sentence"], _read_count(entry)
        text = sentence.text(f"a sentence of {intent}")
        expression = tree.parse_template(text, sentence.path, sentence.line)
        try:
            own = _with_inline_ranges(expression, scope)
        except ValueError as error:
            raise sentence.error(f"{error} in template {text!r}") from None
        yield Template(text, expression, block, own, sentence.path, sentence.line, count)


def _read_count(parts: Mapping[str, Node]) -> float | None:
    if "count" not in parts:
        return None
    count = parts["count"].plain()
    if not _is_number(count, int | float) or not 0 < count < MAX_COUNT:
        raise parts["count"].error(f"a 'count' is a number above 0 and below {MAX_COUNT:g}")
    return float(count)


def _with_inline_ranges(expression: tree.Expression, scope: Scope) -> Scope:
    """Return the scope with a list for every ``{0..100:slot}`` of the template."""
    inline = {}
    for part in tree.walk(expression):
        if isinstance(part, tree.ListReference) and part.name not in scope.lists:
            if match := _INLINE_RANGE.fullmatch(part.name):
                first, last, step = match.groups(default="1")
                inline[part.name] = number_range(part.name, int(first), int(last), int(step))
    return Scope(scope.rules, {**scope.lists, **inline}) if inline else scope


def _read_lists(
    nodes: Mapping[str, list[Node]], rules: Mapping[str, Rule], language: str,
    known: Known | None,
) -> dict[str, ValueList]:
    lists = {}
    for name, definitions in nodes.items():
        values: list[Value] = []
        for node in definitions:
            parts = node.mapping(f"list {name}")
            replaceable = "replaceable" in parts and parts["replaceable"].plain() is True
            if replaceable and ("range" in parts or "wildcard" in parts):
                raise node.error(f"list {name} is replaceable and can only have 'values'")
            if "dictation" in parts and parts["dictation"].plain() is True:
                if len(parts) > 1:
                    raise node.error(f"list {name} is for dictation and has nothing else")
                lists[name] = ValueList(name, (), wildcard=True, replaceable=True)
            elif "values" in parts or replaceable:
                items = _items(parts, "values")
                values += [_read_value(value, name, rules, known) for value in items]
                if replaceable and any(value.context for value in values):
                    raise node.error(f"values of the replaceable list {name} have no 'context'")
                lists[name] = ValueList(name, tuple(values), replaceable=replaceable)
            elif "range" in parts:
                lists[name] = _read_range(parts["range"], name, language)
            elif "wildcard" in parts and parts["wildcard"].plain() is True:
                lists[name] = ValueList(name, (), wildcard=True)
            else:
                raise node.error(f"list {name} needs 'values', 'range', 'wildcard: true' or "
                                 "'dictation: true'")
        if not (lists[name].wildcard or lists[name].values or lists[name].replaceable):
            raise definitions[-1].error(f"list {name} is empty")
    return lists


def _read_value(
    node: Node, name: str, rules: Mapping[str, Rule], known: Known | None
) -> Value:
    if node.node.id == "mapping":
        parts = node.mapping(f"a value of list {name}")
        if "in" not in parts:
            raise node.error(f"a value of list {name} needs 'in'")
        text = parts["in"].text(f"'in' of list {name}")
        out = parts["out"].plain() if "out" in parts else None
    else:
        parts, text = {}, node.text(f"a value of list {name}")
        out = None if _TEMPLATE.search(text) else text
    texts = [text]
    if _TEMPLATE.search(text):
        texts = _texts(tree.parse_template(text, node.path, node.line), rules, node)
    forms = tuple(dict.fromkeys(normalise_text(each, known) for each in texts))
    if () in forms:
        raise node.error(f"a value of list {name} may be empty: {text!r}")
    context, metadata = _plain(parts, "context"), _plain(parts, "metadata")
    return Value(forms, out, context, metadata, _read_count(parts))


def _texts(expression: tree.Expression, rules: Mapping[str, Rule], node: Node) -> list[str]:
    """Return all texts of a value's template."""
    match expression:
        case tree.Text(text):
            return [text]
        case tree.Sequence(items):
            found = _product([_texts(item, rules, node) for item in items], "", node)
        case tree.Permutation(items):
            parts = [_texts(item, rules, node) for item in items]
            orders = itertools.islice(itertools.permutations(parts), MAX_FORMS + 1)
            found = [text for order in orders for text in _product(order, " ", node)]
        case tree.Alternative(items):
            found = [text for item in items for text in _texts(item, rules, node)]
        case tree.RuleReference(rule) if rule in rules:
            inner = {name: body for name, body in rules.items() if name != rule}
            found = _texts(rules[rule].expression, inner, node)
        case tree.RuleReference(rule):
            raise node.error(f"a list value refers to rule <{rule}>: unknown, or inside itself")
        case _:
            raise node.error("a list value may not refer to a list")
    if len(found) > MAX_FORMS:
        raise node.error(f"a list value has more than {MAX_FORMS} forms")
    return found


def _product(parts: Iterable[list[str]], between: str, node: Node) -> list[str]:
    found = [""]
    for texts in parts:
        if len(found) * len(texts) > MAX_FORMS:
            raise node.error(f"a list value has more than {MAX_FORMS} forms")
        found = [before + between + text for before in found for text in texts]
        if max(map(len, found), default=0) > MAX_CHARACTERS:
            raise node.error(f"a list value is longer than {MAX_CHARACTERS} characters")
    return found


def _read_range(node: Node, name: str, language: str) -> ValueList:
    parts = {key: value.plain() for key, value in node.mapping(f"range of {name}").items()}
    if not language.lower().startswith("en"):
        raise node.error(f"numbers are spelled in English only, the language is {language!r}")
    numbers = {key: parts.get(key, 1) for key in ("from", "to", "step")}
    for key, number in numbers.items():
        if key not in parts and key != "step" or not _is_number(number, int):
            raise node.error(f"'{key}' of range {name} must be a whole number")
    multiplier, fractions = parts.get("multiplier"), parts.get("fractions")
    if multiplier is not None and not _is_number(multiplier, int | float):
        raise node.error(f"'multiplier' of range {name} must be a number")
    if fractions is not None and fractions not in _FRACTIONS:
        raise node.error(f"'fractions' of range {name} must be one of {', '.join(_FRACTIONS)}")
    try:
        parts_of_one = _FRACTIONS[fractions] if fractions else ()
        return number_range(name, *numbers.values(), multiplier, parts_of_one)
    except (ValueError, OverflowError) as error:
        raise node.error(f"{error} in range {name}") from None


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


@lru_cache(maxsize=256)
def number_range(
    name: str, first: int, last: int, step: int = 1, multiplier: float | None = None,
    fractions: tuple[float, ...] = (),
) -> ValueList:
    """Return ``first``, ``first + step``, … ≤ ``last`` (and fractions between) as a list.

    Raises ValueError if it is empty, longer than ``MAX_RANGE``, or beyond ``MAX_NUMBER``.

    >>> number_range("degrees", 20, 22, fractions=(0.5,)).values[1].forms
    (('twenty', 'point', 'five'), ('twenty', 'and', 'a', 'half'))
    """
    if max(abs(first), abs(last), step) > MAX_NUMBER:
        raise ValueError(f"numbers of a range may go up to {MAX_NUMBER:,}")
    if step < 1 or first > last:
        raise ValueError(f"a range needs from <= to and step >= 1, got {first}, {last}, {step}")
    if (last - first) // step * (1 + len(fractions)) > MAX_RANGE:
        raise ValueError(f"a range may hold {MAX_RANGE} numbers, {first} to {last} is more")
    values = []
    for whole in range(first, last + 1, step):
        for number in (whole, *(round(whole + part, 6) for part in fractions)):
            out = number if multiplier is None else number * multiplier
            if isinstance(out, float) and out.is_integer():
                out = int(out)
            values.append(Value(tuple(tuple(form.split()) for form in number_forms(number)), out))
    return ValueList(name, tuple(values), is_range=True)
