"""What a grammar consists of: sentence templates, the blocks they stand in, rules and lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from factored_asr.errors import FormatError
from factored_asr.language.grammar.expression import Expression


class _Located:
    """A text and its place in a file."""

    __slots__ = ()
    text: str
    path: str | None
    line: int | None

    def error(self, message: str) -> FormatError:
        """Return an error that names file, line and template."""
        return FormatError(f"{message} in template {self.text!r}", self.path, self.line)


@dataclass(frozen=True, slots=True)
class Rule(_Located):
    """A named phrase."""

    text: str
    expression: Expression
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a list."""

    forms: tuple[tuple[str, ...], ...]  # All its spoken forms, each a tuple of words
    out: object  # What goes into the slot; None: the recognised words
    context: Mapping[str, object] = field(default_factory=dict)  # What it implies, as its domain
    metadata: Mapping[str, object] = field(default_factory=dict)  # Passed on with the slot
    count: float | None = None  # How often it is used; None: unknown


@dataclass(frozen=True, eq=False, slots=True)
class ValueList:
    """The values a slot may take; compared by identity."""

    name: str
    values: tuple[Value, ...]
    wildcard: bool = False  # Any words at all, at least one
    is_range: bool = False  # Numbers
    replaceable: bool = False  # A compiled graph has a place for it, not its values

    @property
    def is_dictation(self) -> bool:
        """Whether a language model says which words it takes."""
        return self.wildcard and self.replaceable


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
    """Key → value, list of values, None (any value), or ``{value:, slot:}``."""
    excludes_context: Mapping[str, object] = field(default_factory=dict)
    required_keywords: frozenset[str] = frozenset()

    def allowed(self, values: ValueList) -> frozenset[int] | None:
        """Return the indices of the values whose own context fits the block; None: all fit."""
        fit = frozenset(i for i, value in enumerate(values.values) if self._fits(value.context))
        return None if len(fit) == len(values.values) else fit

    def _fits(self, context: Mapping[str, object]) -> bool:
        return not self.excludes(context) and all(
            _value(required) is None or _matches(required, context[key])
            for key, required in self.requires_context.items() if key in context
        )

    def excludes(self, context: Mapping[str, object]) -> bool:
        """Return whether the context holds a value that the block excludes."""
        return any(
            key in context and _matches(excluded, context[key])
            for key, excluded in self.excludes_context.items()
        )

    def context_slots(self, context: Mapping[str, object]) -> dict[str, object] | None:
        """Return the slots that the context fills (``slot: true``); None if it does not fit."""
        if self.excludes(context):
            return None
        slots: dict[str, object] = {}
        for key, required in self.requires_context.items():
            value = _value(context.get(key))
            if value is None or _value(required) is not None and not _matches(required, value):
                return None
            copy = required.get("slot") if isinstance(required, Mapping) else None
            if copy:
                slots[copy if isinstance(copy, str) else key] = value
        return slots


def _value(entry: object) -> object:
    """Return the value of a context entry, which may be written ``{value: ..., slot: ...}``."""
    return entry.get("value") if isinstance(entry, Mapping) else entry


def _matches(condition: object, entry: object) -> bool:
    """Return whether an entry is the required value, or one of the required values."""
    required, value = _value(condition), _value(entry)
    if isinstance(required, list | tuple | set | frozenset):
        return value in required
    return value == required


@dataclass(frozen=True, eq=False)
class Template(_Located):
    """One sentence template."""

    text: str
    expression: Expression
    block: Block
    scope: Scope
    path: str | None = None
    line: int | None = None
    count: float | None = None
    """How often it is used; None: unknown."""
