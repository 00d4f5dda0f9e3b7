"""Sentence templates as small trees, and the reader of Home Assistant's template syntax.

``[optional]``, ``(a|b)`` one of, ``(a;b)`` both in any order, ``{list}`` or ``{list:slot}``,
``<rule>``; a backslash makes the next character literal. Blanks separate words: ``fan[s]`` is
"fan" or "fans", ``fan [s]`` is "fan" or "fan s".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from factored_asr.errors import FormatError

MAX_DEPTH = 60  # nested brackets, counted through rules; real grammars stay below 12


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text; its blanks separate words, its ends join the neighbouring parts."""

    text: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """Items one after another."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of the items; an optional is an alternative with an empty text."""

    items: tuple[Expression, ...]
    weights: tuple[float, ...] | None = None
    """Use counts or JSGF weights, one an item; None: no weights, every item costs 0."""


@dataclass(frozen=True, slots=True)
class Permutation:
    """All items, in any order."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The item once or more (JSGF ``+``)."""

    item: Expression


@dataclass(frozen=True, slots=True)
class Tagged:
    """A phrase whose words, or a fixed value, fill a slot (JSGF tags)."""

    item: Expression
    slot: str
    value: str | None = None
    """The slot's value; None: the recognised words."""


@dataclass(frozen=True, slots=True)
class ListReference:
    """A value of a list, which fills a slot (an empty slot name: none)."""

    name: str
    slot: str


@dataclass(frozen=True, slots=True)
class RuleReference:
    """An expansion rule by its name."""

    name: str


Expression: TypeAlias = (
    Text | Sequence | Alternative | Permutation | Repeat | Tagged | ListReference | RuleReference
)
EMPTY = Text("")
_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}
_TEXT = re.compile(r"(?:\\.|[^\\()\[\]{}<>|;])+", re.DOTALL)
_WEIGHT = re.compile(r"\s*/([-+.,\d][-+.,\deE%]*)/\s*")
_NAME = re.compile(r"[^()\[\]{}<>|;]+")


def children(expression: Expression) -> tuple[Expression, ...]:
    """Return the parts of an expression; references are not followed."""
    if isinstance(expression, Sequence | Alternative | Permutation):
        return expression.items
    if isinstance(expression, Repeat | Tagged):
        return (expression.item,)
    return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """Iterate over an expression and all its parts; references are not followed."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def sequence(items: list[Expression]) -> Expression:
    """Return the items as one expression, without a needless bracket."""
    return items[0] if len(items) == 1 else Sequence(tuple(items)) if items else EMPTY


def parse_template(
    template: str, path: str | Path | None = None, line: int | None = None
) -> Expression:
    """Read a sentence template; FormatError, with its place, for unbalanced or empty brackets.

    An alternative may begin with a weight, as in JSGF; those without one then weigh 1.

    >>> parse_template("fan[s] {state}").items[-1]
    ListReference(name='state', slot='state')
    >>> parse_template("(/9/ turn|flip)").weights
    (9.0, 1.0)
    """
    return _TemplateReader(template, path, line).read()


class _TemplateReader:
    """Recursive descent over one template."""

    def __init__(self, template: str, path: str | Path | None, line: int | None):
        self.template, self.path, self.line = template, path, line
        self.position = len(template) - len(template.lstrip())
        self.end = len(template.rstrip())

    def read(self) -> Expression:
        if self.position >= self.end:
            raise self.error("a template needs a word")
        return self.group("", 0)

    def error(self, message: str) -> FormatError:
        return FormatError(f"{message} in template {self.template.strip()!r}", self.path, self.line)

    def group(self, opening: str, depth: int) -> Expression:
        """Read up to the bracket that closes ``opening``; ``""`` is the whole template."""
        start = self.position
        if depth > MAX_DEPTH:
            raise self.error(f"brackets nest deeper than {MAX_DEPTH}")
        items: list[Expression] = []
        branches: list[Expression] = []
        kind, weights = "", [self.weight()]
        while self.position < self.end:
            c = self.template[self.position]
            if opening and c == _CLOSING[opening]:
                self.position += 1
                if not items and not branches:
                    raise self.error(f"empty brackets at column {start}")
                return self.combined(kind, branches, items, weights)
            if c in "|;":
                self.position += 1
                if kind and kind != c:  # as in hassil, the separator read first binds first
                    branches = [self.combined(kind, branches, items, weights)]
                    weights = [None]
                else:
                    branches.append(sequence(items))
                kind, items = c, []
                weights.append(self.weight())
            else:
                items.append(self.item(c, depth))
        if opening:
            raise self.error(f"'{opening}' at column {start} is never closed")
        return self.combined(kind, branches, items, weights)

    def weight(self) -> float | None:
        """Read the weight that an alternative may begin with."""
        match = _WEIGHT.match(self.template, self.position, self.end)
        if match is None:
            return None
        try:
            weight = float(match.group(1))
        except ValueError:
            weight = 0.0
        if weight <= 0:
            raise self.error(f"the weight {match.group().strip()} must be a number above 0")
        self.position = match.end()
        return weight

    def combined(
        self, kind: str, branches: list[Expression], items: list[Expression],
        weights: list[float | None],
    ) -> Expression:
        """Return what stands between two brackets, with its weights."""
        given = any(weight is not None for weight in weights)
        if given and kind != "|":
            raise self.error("only alternatives, (a|b), have weights")
        if not kind:
            return sequence(items)
        parts = (*branches, sequence(items))
        if kind == ";":
            return Permutation(parts)
        each = tuple(1.0 if weight is None else weight for weight in weights)
        return Alternative(parts, each if given else None)

    def item(self, c: str, depth: int) -> Expression:
        if c in ")]}>":
            raise self.error(f"'{c}' at column {self.position + 1} closes nothing")
        if c in "([":
            self.position += 1
            inner = self.group(c, depth + 1)
            return inner if c == "(" else Alternative((inner, EMPTY))
        if c in "{<":
            return self.reference(c)
        match = _TEXT.match(self.template, self.position, self.end)
        if match is None:
            raise self.error("a backslash ends the text")
        self.position = match.end()
        return Text(re.sub(r"\\(.)", r"\1", " ".join(re.split(r"\s", match.group()))))

    def reference(self, c: str) -> Expression:
        column = self.position + 1
        match = _NAME.match(self.template, column, self.end)
        end = column if match is None else match.end()
        if match is None or not match.group().strip() or end >= self.end:
            raise self.error(f"'{c}' at column {column} needs a name and a '{_CLOSING[c]}'")
        if self.template[end] != _CLOSING[c]:
            raise self.error(f"'{c}' at column {column} is never closed")
        self.position = end + 1
        name = match.group().strip()
        if c == "<":
            return RuleReference(name)
        name, _, slot = name.partition(":")
        if name.startswith("@") or slot.startswith("@"):  # a capture: for responses, no slot
            return ListReference(name.lstrip("@"), "")
        return ListReference(name, slot or name)
