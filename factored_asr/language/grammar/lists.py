"""Lists of slot values: named values, number ranges, wildcards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from factored_asr.language.grammar.normalisation import number_forms

MAX_RANGE = 20_000  # numbers in one range
MAX_NUMBER = 10**15


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a list."""

    forms: tuple[tuple[str, ...], ...]
    """All its spoken forms, each a tuple of words."""
    out: object
    """What goes into the slot; None: the recognised words."""
    context: Mapping[str, object] = field(default_factory=dict)
    """What the value implies, such as its domain."""
    metadata: Mapping[str, object] = field(default_factory=dict)
    """Further facts about it, passed on with the slot."""
    count: float | None = None
    """How often it is used; None: unknown."""


@dataclass(frozen=True, eq=False, slots=True)
class ValueList:
    """The values a slot may take; compared by identity."""

    name: str
    values: tuple[Value, ...]
    wildcard: bool = False
    """Any words at all, at least one."""
    is_range: bool = False
    """Numbers."""


@lru_cache(maxsize=256)
def number_range(
    name: str, first: int, last: int, step: int = 1, multiplier: float | None = None,
    fractions: tuple[float, ...] = (),
) -> ValueList:
    """Return ``first``, ``first + step``, … ≤ ``last`` (and fractions between) as a list.

    Raises
    ------
    ValueError
        If the range is empty, longer than ``MAX_RANGE``, or beyond ``MAX_NUMBER``.

    Examples
    --------
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
