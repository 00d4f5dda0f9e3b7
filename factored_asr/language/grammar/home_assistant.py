"""Home Assistant's YAML of intents, lists and expansion rules, with the line of everything.

``language``, ``intents`` (``data``: ``sentences``, ``slots``, ``requires_context``,
``excludes_context``, ``expansion_rules``, ``lists``, ``required_keywords``), ``lists``,
``expansion_rules``, ``skip_words``; other keys (responses, settings) are for other
programs. Beyond Home Assistant, sentences (as ``{sentence:, count:}``) and values of lists may
tell how often they are used: what is not told counts as once.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from factored_asr.language.grammar.expression import (
    Alternative,
    Expression,
    ListReference,
    Permutation,
    RuleReference,
    Sequence,
    Text,
    parse_template,
    walk,
)
from factored_asr.language.grammar.lists import Value, ValueList, number_range
from factored_asr.language.grammar.normalisation import normalise_text
from factored_asr.language.grammar.templates import Block, Rule, Scope, Template
from factored_asr.language.grammar.yaml_nodes import Node, read_yaml

if TYPE_CHECKING:
    Rules = Mapping[str, Rule]

MAX_COUNT = 1e18
MAX_CHARACTERS = 10_000  # in one way to say a value
MAX_FORMS = 10_000  # ways to say one value
_TEMPLATE = re.compile(r"[(){}<>\[\]|;]")
_INLINE_RANGE = re.compile(r"(\d+)\.\.(\d+)(?:,(\d+))?")
_FRACTIONS = {"halves": (0.5,), "tenths": tuple(n / 10 for n in range(1, 10))}


@dataclass
class _Sources:
    """All files merged: the nodes of intents' data blocks, lists and rules."""

    blocks: list[tuple[str, Node]] = field(default_factory=list)
    lists: dict[str, list[Node]] = field(default_factory=dict)
    rules: dict[str, Node] = field(default_factory=dict)
    skip_words: list[str] = field(default_factory=list)
    language: str = "en"

    def add(self, root: Node) -> None:
        """Merge one file: blocks and values add up, a rule read later replaces the earlier."""
        parts = root.mapping("a grammar")
        if "language" in parts:
            self.language = parts["language"].text("language")
        intents = parts["intents"].mapping("intents") if "intents" in parts else {}
        for intent, node in intents.items():
            data = node.mapping(f"intent {intent}").get("data")
            if data is None:
                raise node.error(f"intent {intent} needs 'data'")
            self.blocks += [(intent, block) for block in data.sequence(f"data of {intent}")]
        if "lists" in parts:
            for name, node in parts["lists"].mapping("lists").items():
                self.lists.setdefault(name, []).append(node)
        if "expansion_rules" in parts:
            self.rules.update(parts["expansion_rules"].mapping("expansion_rules"))
        if "skip_words" in parts:
            words = parts["skip_words"].sequence("skip_words")
            self.skip_words += [word.text("a skip word") for word in words]


def read_home_assistant(
    texts: Iterable[tuple[str, str]],
) -> tuple[list[Template], tuple[tuple[str, ...], ...]]:
    """Read the templates and the skip words of (name, text) pairs, merged.

    Raises
    ------
    FormatError
        For broken YAML, a wrong kind of entry, a broken template; names file and line.
    """
    sources = _Sources()
    for name, text in texts:
        sources.add(read_yaml(text, name))
    rules = _read_rules(sources.rules)
    scope = Scope(rules, _read_lists(sources.lists, rules, sources.language))
    templates = list(
        itertools.chain.from_iterable(
            _read_block(intent, node, scope, sources.language) for intent, node in sources.blocks
        )
    )
    phrases = (normalise_text(words) for words in sources.skip_words)
    return templates, tuple(dict.fromkeys(phrase for phrase in phrases if phrase))


def _read_rules(nodes: Mapping[str, Node]) -> dict[str, Rule]:
    rules = {}
    for name, node in nodes.items():
        text = node.text(f"rule {name}")
        rules[name] = Rule(text, parse_template(text, node.path, node.line), node.path, node.line)
    return rules


def _read_block(intent: str, node: Node, scope: Scope, language: str) -> Iterator[Template]:
    parts = node.mapping(f"data of {intent}")
    if "sentences" not in parts:
        raise node.error(f"data of {intent} needs 'sentences'")
    plain: dict[str, dict[str, Any]] = {
        key: parts[key].plain_mapping(key) if key in parts else {}
        for key in ("slots", "requires_context", "excludes_context")
    }
    keywords = set[str]()
    if "required_keywords" in parts:
        for keyword in parts["required_keywords"].sequence("required_keywords"):
            keywords.update(normalise_text(keyword.text("a keyword")))
    block = Block(intent, required_keywords=frozenset(keywords), **plain)
    if "expansion_rules" in parts or "lists" in parts:
        scope = _local_scope(parts, scope, language)
    for sentence in parts["sentences"].sequence(f"sentences of {intent}"):
        count = None
        if sentence.is_mapping:
            entry = sentence.mapping(f"a sentence of {intent}")
            if "sentence" not in entry:
                raise sentence.error(f"a sentence of {intent} needs 'sentence'")
            sentence, count = entry["sentence"], _read_count(entry)
        text = sentence.text(f"a sentence of {intent}")
        expression = parse_template(text, sentence.path, sentence.line)
        try:
            own = _with_inline_ranges(expression, scope)
        except ValueError as error:
            raise sentence.error(f"{error} in template {text!r}") from None
        yield Template(text, expression, block, own, sentence.path, sentence.line, count)


def _read_count(parts: Mapping[str, Node]) -> float | None:
    """How often something was used, if it is told."""
    if "count" not in parts:
        return None
    count = parts["count"].plain()
    if not _is_number(count, int | float) or not 0 < count < MAX_COUNT:
        raise parts["count"].error(f"a 'count' is a number above 0 and below {MAX_COUNT:g}")
    return float(count)


def _local_scope(parts: Mapping[str, Node], scope: Scope, language: str) -> Scope:
    rules, lists = dict(scope.rules), dict(scope.lists)
    if "expansion_rules" in parts:
        rules.update(_read_rules(parts["expansion_rules"].mapping("expansion_rules")))
    if "lists" in parts:
        nodes = {name: [node] for name, node in parts["lists"].mapping("lists").items()}
        lists.update(_read_lists(nodes, rules, language))
    return Scope(rules, lists)


def _with_inline_ranges(expression: Expression, scope: Scope) -> Scope:
    """The scope with a list for every ``{0..100:slot}`` of the template."""
    inline = {}
    for part in walk(expression):
        if isinstance(part, ListReference) and part.name not in scope.lists:
            if match := _INLINE_RANGE.fullmatch(part.name):
                first, last, step = match.groups(default="1")
                inline[part.name] = number_range(part.name, int(first), int(last), int(step))
    return Scope(scope.rules, {**scope.lists, **inline}) if inline else scope


def _read_lists(
    nodes: Mapping[str, list[Node]], rules: Mapping[str, Rule], language: str
) -> dict[str, ValueList]:
    lists = {}
    for name, definitions in nodes.items():
        values: list[Value] = []
        for node in definitions:
            parts = node.mapping(f"list {name}")
            if "values" in parts:
                for value in parts["values"].sequence(f"values of list {name}"):
                    values.append(_read_value(value, name, rules))
                lists[name] = ValueList(name, tuple(values))
            elif "range" in parts:
                lists[name] = _read_range(parts["range"], name, language)
            elif "wildcard" in parts and parts["wildcard"].plain() is True:
                lists[name] = ValueList(name, (), wildcard=True)
            else:
                raise node.error(f"list {name} needs 'values', 'range' or 'wildcard: true'")
        if not lists[name].wildcard and not lists[name].values:
            raise definitions[-1].error(f"list {name} is empty")
    return lists


def _read_value(node: Node, name: str, rules: Mapping[str, Rule]) -> Value:
    if node.is_mapping:
        parts = node.mapping(f"a value of list {name}")
        if "in" not in parts:
            raise node.error(f"a value of list {name} needs 'in'")
        text = parts["in"].text(f"'in' of list {name}")
        out = parts["out"].plain() if "out" in parts else None
        context, metadata = (
            parts[key].plain_mapping(key) if key in parts else {} for key in ("context", "metadata")
        )
        count = _read_count(parts)
    else:
        text, context, metadata, count = node.text(f"a value of list {name}"), {}, {}, None
        out = None if _TEMPLATE.search(text) else text
    if _TEMPLATE.search(text):
        texts = _texts(parse_template(text, node.path, node.line), rules, node)
        forms = tuple(dict.fromkeys(normalise_text(said) for said in texts))
    else:
        forms = (normalise_text(text),)
    if () in forms:
        raise node.error(f"a value of list {name} can be said without a word: {text!r}")
    return Value(forms, out, context, metadata, count)


def _texts(expression: Expression, rules: Mapping[str, Rule], node: Node) -> list[str]:
    """All texts of a value's template."""
    match expression:
        case Text(text):
            return [text]
        case Sequence(items):
            parts = [_texts(item, rules, node) for item in items]
            found = _product(parts, "", node)
        case Permutation(items):
            parts = [_texts(item, rules, node) for item in items]
            orders = itertools.islice(itertools.permutations(parts), MAX_FORMS + 1)
            found = [said for order in orders for said in _product(order, " ", node)]
        case Alternative(items):
            found = [said for item in items for said in _texts(item, rules, node)]
        case RuleReference(rule) if rule in rules:
            inner = {name: body for name, body in rules.items() if name != rule}
            found = _texts(rules[rule].expression, inner, node)
        case RuleReference(rule):
            raise node.error(f"a list value refers to rule <{rule}>: unknown, or inside itself")
        case _:
            raise node.error("a list value may not refer to a list")
    if len(found) > MAX_FORMS:
        raise node.error(f"a list value can be said in more than {MAX_FORMS} ways")
    return found


def _product(parts: Iterable[list[str]], between: str, node: Node) -> list[str]:
    found = [""]
    for texts in parts:
        if len(found) * len(texts) > MAX_FORMS:
            raise node.error(f"a list value can be said in more than {MAX_FORMS} ways")
        found = [said + between + text for said in found for text in texts]
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
        return number_range(
            name,
            numbers["from"],
            numbers["to"],
            numbers["step"],
            multiplier,
            _FRACTIONS[fractions] if fractions else (),
        )
    except (ValueError, OverflowError) as error:
        raise node.error(f"{error} in range {name}") from None


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
